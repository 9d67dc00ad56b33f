"""Which architectures are small enough, and fast enough here, to be searched at all.

The others are left out before the study begins, so that none is proposed and none is trained.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import torch

from nasproxy.config import SearchConfig
from nasproxy.data.dataset import Dataset
from nasproxy.errors import ConfigError, SearchSpaceError
from nasproxy.models.family import Architecture, build_model
from nasproxy.progress import Progress, Watch, unwatched
from nasproxy.scores.cost import Cost, count_params, measure_cost
from nasproxy.search.sampler import check_sampler
from nasproxy.search.space import Params, SearchSpace, point_key

PATIENCE_SECONDS = 2.0
"""From when on a person is told that measuring goes on."""

CACHE_SIZE = 2**17
"""Architectures: a look before a distillation costs nothing again in the search."""

T = TypeVar("T")


def small_points(
    space: SearchSpace, dataset: Dataset, config: SearchConfig, watch: Watch = unwatched
) -> list[Params]:
    """Return the points whose networks fit the data and the limits on parameters and FLOPs.

    Raises:
        SearchSpaceError: there is none; the message names the limit and the smallest value.
    """
    points = space.feasible_points(dataset.image_shape)
    for setting, count in (("max_params", _num_params), ("max_flops", _num_flops)):
        if setting in config.limits:  # the cheaper count first, so that fewer need the dearer
            values = [
                count(json.dumps(space.architecture(point)), *_shape(dataset))
                for point in telling("size", points, watch)
            ]
            points = _within(points, values, setting, config, space)
    return points


def fast_points(
    space: SearchSpace,
    points: Sequence[Params],
    latencies: Mapping[str, float],
    config: SearchConfig,
) -> list[Params]:
    """Return the points within the limit on latency.

    Args:
        space: that the points are of.
        points: to choose among.
        latencies: in milliseconds by `point_key`; unused where there is no such limit.
        config: with the limit.

    Raises:
        SearchSpaceError: there is none; the message names the limit and the smallest value.
    """
    if config.max_latency_ms is None:
        return list(points)
    values = [latencies[point_key(point)] for point in points]
    return _within(points, values, "max_latency_ms", config, space)


def check_latency(config: SearchConfig, storage: str | None) -> None:
    """Check that drivers of a shared study need not agree on how fast a network is.

    Raises:
        ConfigError: they would have to.
    """
    if storage is not None and config.needs_latency:
        setting = "objective latency" if "latency" in config.costs else "max-latency-ms"
        raise ConfigError(
            f"--{setting} is measured on this machine, and drivers of a shared study may run on "
            "others: leave out --storage, or limit --max-flops instead"
        )


def check_goal(
    space: SearchSpace,
    dataset: Dataset,
    config: SearchConfig,
    storage: str | None = None,
    watch: Watch = unwatched,
) -> None:
    """Check objectives and limits before a distillation or a trust check is spent on them.

    Raises:
        ConfigError: the sampler or a shared study cannot go by these objectives or limits.
        SearchSpaceError: no architecture is within the limits on parameters and FLOPs.
    """
    check_sampler(config)
    check_latency(config, storage)
    small_points(space, dataset, config, watch)


def size_of(architecture: Architecture, dataset: Dataset) -> Cost:
    """Count an architecture's parameters and FLOPs, once a process."""
    return _size(json.dumps(architecture), *_shape(dataset))


def _shape(dataset: Dataset) -> tuple[tuple[int, int, int], int]:
    return dataset.image_shape, dataset.num_classes


@functools.lru_cache(maxsize=CACHE_SIZE)
def _size(architecture: str, image_shape: tuple[int, int, int], num_classes: int) -> Cost:
    return measure_cost(json.loads(architecture), image_shape, num_classes)


def _num_flops(architecture: str, image_shape: tuple[int, int, int], num_classes: int) -> int:
    return _size(architecture, image_shape, num_classes).num_flops


@functools.lru_cache(maxsize=CACHE_SIZE)
def _num_params(architecture: str, image_shape: tuple[int, int, int], num_classes: int) -> int:
    """Count parameters alone, which takes a sixth of the time."""
    with torch.device("meta"):
        return count_params(build_model(json.loads(architecture), image_shape, num_classes))


def telling(stage: str, items: Sequence[T], watch: Watch) -> Iterator[T]:
    """Yield items; where the work on them takes more than a moment, tell how far it is."""
    start = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        if time.monotonic() - start > PATIENCE_SECONDS:
            watch(Progress(stage, done, len(items)))


def _within(
    points: Sequence[Params],
    values: Sequence[float],
    setting: str,
    config: SearchConfig,
    space: SearchSpace,
) -> list[Params]:
    """Keep the points whose value is at most a setting's."""
    limit = getattr(config, setting)
    if limit is None:
        return list(points)
    kept = [point for point, value in zip(points, values, strict=True) if value <= limit]
    if not kept:
        others = " that keeps the other limits" if len(config.limits) > 1 else ""
        raise SearchSpaceError(
            f"no architecture of space {space.name}{others} is within {setting} {limit:,}: the "
            f"smallest has {min(values):,.6g}; raise the limit (--{setting.replace('_', '-')}) or "
            "search another space"
        )
    return kept
