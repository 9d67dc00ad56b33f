"""What training every network of a space in full costs beside a search on a proxy: a cost model.

Steps and scores are measured on a sample of the space; the rest is multiplication.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nasproxy._random import named_generator
from nasproxy.bench.clock import read, threads
from nasproxy.bench.material import Material
from nasproxy.config import (
    SEARCH_RECIPE,
    STUDY_PROTOCOL,
    Recipe,
    SearchConfig,
    VerifyConfig,
    full_recipe,
)
from nasproxy.models.family import Architecture
from nasproxy.progress import Progress
from nasproxy.report.statistic import Scores, bootstrap_interval
from nasproxy.scores.cost import measure_cost
from nasproxy.search.space import load_space
from nasproxy.training.evaluate import score
from nasproxy.training.fit import sgd
from nasproxy.training.network import TrainingSet, build_start

NUM_VERIFIED = VerifyConfig().top
"""The best on the proxy, which are trained in full."""
FEW_CANDIDATES, FEW_GOAL = SearchConfig().trials, 8.0
"""Of a search that stops early, and how many times cheaper than training them all it is to be."""
SPACE_GOAL = 50.0
"""The same over a whole space."""
SCORED_IMAGES = 300
"""On which scoring is timed, a few of its batches."""
MOST_STEPS = 3
"""The first one warms up, the last one is left out where a step is slow."""
SLOW_SECONDS = 0.5


class NetworkSeconds(NamedTuple):
    """What one network takes on one thread."""

    full_step_seconds: float
    proxy_step_seconds: float
    score_image_seconds: float


class Effort(NamedTuple):
    """How long one network is trained, and how many images score it."""

    num_steps: int
    num_scored: int

    def seconds(self, step_seconds: float, score_image_seconds: float) -> float:
        """Return what training and scoring a network takes."""
        return self.num_steps * step_seconds + self.num_scored * score_image_seconds


def measure_end_to_end(material: Material) -> dict[str, Any]:
    """Measure a sample of each space, and work out what searching the space costs."""
    proxy, full = proxy_effort(material), full_efforts(material)
    with threads(1):
        spaces = {
            name: _measure_space(material, name, proxy, full)
            for name in material.config.cost_spaces
        }
    return {
        "end_to_end": {
            "spaces": spaces,
            "threads": 1,
            "num_verified": NUM_VERIFIED,
            "full": {str(epochs): effort._asdict() for epochs, effort in full.items()},
            "proxy": {"num_images": _num_proxy(material), **proxy._asdict()},
            "meaning": _meaning(material, proxy, full),
        }
    }


def full_efforts(material: Material) -> dict[int, Effort]:
    """Return what training on all images takes, by its epochs: verification's, and the study's."""
    recipe, scored = _verified(material), len(material.dataset.validation)
    return {
        epochs: Effort(recipe.replace(epochs=epochs).num_steps(len(material.dataset.train)), scored)
        for epochs in (recipe.epochs, STUDY_PROTOCOL.epochs)
    }


def proxy_effort(material: Material) -> Effort:
    """Return what training a candidate on the proxy takes in a search."""
    scored = material.dataset.validation_part(SEARCH_RECIPE.validation_images)
    return Effort(SEARCH_RECIPE.num_steps(_num_proxy(material)), len(scored))


def price_searches(
    networks: Sequence[NetworkSeconds],
    proxy: Effort,
    full: dict[int, Effort],
    num_architectures: int,
) -> list[dict[str, Any]]:
    """Return what searching some networks of a space and all of them costs, by epochs in full.

    Args:
        networks: a sample of the space.
        proxy: of a candidate.
        full: of a full training, by its epochs.
        num_architectures: of the whole space.
    """
    short = [proxy.seconds(one.proxy_step_seconds, one.score_image_seconds) for one in networks]
    sizes = ((min(FEW_CANDIDATES, num_architectures), FEW_GOAL), (num_architectures, SPACE_GOAL))
    found = []
    for epochs, effort in full.items():
        long = [effort.seconds(one.full_step_seconds, one.score_image_seconds) for one in networks]
        found += [{"full_epochs": epochs, **price(short, long, *size)} for size in sizes]
    return found


def price(
    proxy: Sequence[float], full: Sequence[float], num_candidates: int, goal: float
) -> dict[str, Any]:
    """Return what a search costs each way, and how many times more in full.

    Args:
        proxy: (N,) seconds of training and scoring each network of a sample on the proxy.
        full: (N,) seconds of doing so on all images.
        num_candidates: that are searched, each as costly as the mean of the sample.
        goal: the ratio that leaves some seconds for distilling, or does not.

    Returns:
        Seconds of both searches; their ratio if the proxy costs nothing, with its 95% interval,
        None below three networks; the seconds that distilling may take at the goal, None where
        the goal is out of reach even for nothing.
    """
    training = statistics.fmean(full)
    full_search = num_candidates * training
    num_verified = min(NUM_VERIFIED, num_candidates)
    verify = num_verified * training
    proxy_search = num_candidates * statistics.fmean(proxy) + verify
    left = full_search / goal - proxy_search

    def ratio_rows(x: Scores, y: Scores) -> Scores:
        """Return the ratio (B,) of resampled seconds (B, N)."""
        short, long = x.mean(axis=1), y.mean(axis=1)
        rows: Scores = num_candidates * long / (num_candidates * short + num_verified * long)
        return rows

    interval = bootstrap_interval(proxy, full, ratio_rows)
    return {
        "num_candidates": num_candidates,
        "full_search_seconds": full_search,
        "proxy_search_seconds": proxy_search,
        "verify_seconds": verify,
        "ratio": full_search / proxy_search,
        "interval": None if interval is None else list(interval),
        "goal": goal,
        "distilling_may_take_seconds": left if left >= 0 else None,
    }


def _verified(material: Material) -> Recipe:
    """Return the recipe by which verification trains on so many images."""
    return full_recipe(len(material.dataset.train))


def _num_proxy(material: Material) -> int:
    return material.config.ipc * material.dataset.num_classes


def _measure_space(
    material: Material, name: str, proxy: Effort, full: dict[int, Effort]
) -> dict[str, Any]:
    """Measure a sample of a space."""
    dataset, config = material.dataset, material.config
    space = load_space(name)
    everything = [space.architecture(p) for p in space.feasible_points(dataset.image_shape)]
    flops = [
        measure_cost(one, dataset.image_shape, dataset.num_classes).num_flops for one in everything
    ]
    generator = named_generator(config.seed, "bench", "end-to-end", name)
    chosen = [everything[index] for index in spread_sample(flops, config.cost_networks, generator)]
    networks = []
    for architecture in chosen:
        networks.append(measure_network(material, architecture))
        material.watch(Progress(f"end to end, {name}", len(networks), len(chosen)))
    return {
        "num_architectures": len(everything),
        "num_measured": len(networks),
        "searches": price_searches(networks, proxy, full, len(everything)),
        "networks": [
            {"architecture": architecture, **seconds._asdict()}
            for architecture, seconds in zip(chosen, networks, strict=True)
        ],
    }


def spread_sample(sizes: Sequence[float], count: int, generator: torch.Generator) -> list[int]:
    """Draw indices without replacement, small and large sizes in their proportion.

    A systematic sample in the order of size: each index is as likely as any other, and the few
    networks that take most of the seconds of a space are neither missed nor all drawn.

    Args:
        sizes: (N,); equal ones are put in an order of chance.
        count: how many, at most N.
        generator: CPU source of the order and of the first index.
    """
    order = torch.randperm(len(sizes), generator=generator).tolist()
    order.sort(key=lambda index: sizes[index])
    count = min(count, len(sizes))
    first = torch.rand((), generator=generator, dtype=torch.float64).item()
    return [order[int((first + place) * len(sizes) / count)] for place in range(count)]


def measure_network(material: Material, architecture: Architecture) -> NetworkSeconds:
    """Time a step on a full batch, one on a batch of the proxy, and scoring."""
    augmentation, recipe = material.dataset.augmentation, _verified(material)
    data = replace(material.full(MOST_STEPS * recipe.batch_size), augmentation=augmentation)
    full_step, model = _time_step(material, architecture, data, recipe)
    proxy_step, _ = _time_step(material, architecture, material.proxy(augmentation), SEARCH_RECIPE)
    scored = material.dataset.validation_part(SCORED_IMAGES)
    scoring = _least_seconds(lambda: score(model, scored), material.device)
    return NetworkSeconds(full_step, proxy_step, scoring / len(scored))


def _time_step(
    material: Material, architecture: Architecture, data: TrainingSet, recipe: Recipe
) -> tuple[float, nn.Module]:
    """Return the seconds of one step of our loop, as it is uncompiled, and the network."""
    seed = material.config.seed
    # a step takes as long at any learning rate, and at a small one no network diverges
    recipe = recipe.replace(steps=MOST_STEPS, lr=1e-6)
    start = build_start(architecture, data, recipe, seed)
    generator = named_generator(seed, "batches")
    losses = sgd(
        start.model.train(),
        start.images,
        data.targets,
        recipe,
        batches=_whole_batches(len(data.targets), recipe.batch_size, generator),
        num_steps=MOST_STEPS,
        augmentation=data.augmentation,
        generator=generator,
    )
    return _least_seconds(lambda: next(losses), material.device), start.model


def _whole_batches(count: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield indices (B,) of random images, as many as the first step of an epoch takes."""
    while True:
        yield torch.randperm(count, generator=generator)[:batch_size]


def _least_seconds(work: Callable[[], object], device: torch.device) -> float:
    """Do the work once to warm up; return the seconds of the next time, or the less of two."""
    work()
    first = _seconds(work, device)
    return first if first >= SLOW_SECONDS else min(first, _seconds(work, device))


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    """Return processor seconds on a CPU, else wall seconds.

    Processor seconds leave out waiting for other processes, but not what these cost by emptying
    shared caches.
    """
    reading = read(work, device)
    return reading.cpu if device.type == "cpu" else reading.wall


def _meaning(material: Material, proxy: Effort, full: dict[int, Effort]) -> str:
    epochs, batch_size = " or ".join(map(str, full)), _verified(material).batch_size
    scored = next(iter(full.values())).num_scored
    return (
        "a model: seconds of training every network in full over those of training every network "
        f"on a proxy and the best {NUM_VERIFIED} in full, all on one thread (processor seconds on "
        "a CPU), each network taken to cost the mean of a sample (systematic, by FLOPs), with "
        "a 95% bootstrap interval as if it were drawn regardless of them; full training is "
        f"{epochs} epochs in batches of {batch_size}, scored on {scored:,} images; "
        f"training on the proxy is {proxy.num_steps} steps, scored on {proxy.num_scored:,} "
        "images: early stopping after as many steps of as many images costs the same, if it is "
        "scored on as many; both sides are our own loop with the data's "
        "augmentation, not compiled, though commands compile what is long, more of the trainings "
        "in full than on a proxy; making the proxy is not counted: distilling_may_take_seconds is "
        f"what is left for it at a ratio of {FEW_GOAL:g} over {FEW_CANDIDATES} networks and of "
        f"{SPACE_GOAL:g} over the whole space, null where even a proxy that costs nothing misses "
        "that; not counted either are BatchNorm's re-estimated statistics and scores on the way, "
        "on the proxy, building networks, and the search's own overhead"
    )
