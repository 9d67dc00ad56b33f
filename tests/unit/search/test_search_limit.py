from __future__ import annotations

import math

import pytest

from nasproxy.config import SearchConfig
from nasproxy.errors import ConfigError, SearchSpaceError
from nasproxy.search import limit
from nasproxy.search.limit import check_goal, check_latency, fast_points, size_of, small_points
from nasproxy.search.space import SearchSpace, point_key

SPACE = SearchSpace(
    name="tiny", family="convnet", parameters={"depth": (1, 2), "width": (4, 8), "norm": ("none",)}
)


def params_by_hand(point) -> int:
    width, depth = point["width"], point["depth"]
    blocks = 10 * width + (depth - 1) * (9 * width + 1) * width
    return blocks + (width * (8 // 2**depth) ** 2 + 1) * 10


def flops_by_hand(point) -> int:
    width, depth = point["width"], point["depth"]
    convolutions = 9 * width * 64 + (depth - 1) * 9 * width**2 * 16
    return 2 * (convolutions + width * (8 // 2**depth) ** 2 * 10)


@pytest.mark.parametrize(
    ("limits", "by_hand"),
    [
        ({}, lambda p: True),
        ({"max_params": 700}, lambda p: params_by_hand(p) <= 700),
        ({"max_flops": 15_000}, lambda p: flops_by_hand(p) <= 15_000),
        ({"max_params": params_by_hand({"depth": 1, "width": 4})}, lambda p: p["width"] == 4),
        (
            {"max_params": 1500, "max_flops": 20_000},
            lambda p: params_by_hand(p) <= 1500 and flops_by_hand(p) <= 20_000,
        ),
    ],
)
def test_what_is_small_enough_keeps_its_order(digits, limits, by_hand):
    points = small_points(SPACE, digits, SearchConfig(**limits))
    assert points == [point for point in SPACE.points() if by_hand(point)]


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (
            {"max_params": 50},
            r"space tiny is within max_params 50: the smallest has 358; .*\(--max-params\)",
        ),
        ({"max_flops": 5}, r"max_flops 5: the smallest has 5,888; raise .*\(--max-flops\)"),
        (
            {"max_params": 700, "max_flops": 100},
            "space tiny that keeps the other limits is within max_flops 100: the smallest",
        ),
    ],
)
def test_nothing_left(digits, limits, message):
    with pytest.raises(SearchSpaceError, match=message):
        check_goal(SPACE, digits, SearchConfig(**limits))


def test_fast_enough():
    points = list(SPACE.points())
    latencies = {point_key(point): index / 10 for index, point in enumerate(points, start=1)}
    assert fast_points(SPACE, points, {}, SearchConfig()) == points
    config = SearchConfig(max_latency_ms=0.2)
    assert fast_points(SPACE, points, latencies, config) == points[:2]
    with pytest.raises(SearchSpaceError, match=r"max_latency_ms 0\.05: the smallest has 0\.1;"):
        fast_points(SPACE, points, latencies, SearchConfig(max_latency_ms=0.05))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (SearchConfig(max_latency_ms=1.0), "--max-latency-ms is measured on this machine"),
        (SearchConfig(objectives=("accuracy", "latency")), "--objective latency is measured"),
    ],
)
def test_no_shared_study_depends_on_one_machines_speed(config, message):
    with pytest.raises(ConfigError, match=message):
        check_latency(config, "sqlite:///shared.db")
    check_latency(config, None)
    check_latency(SearchConfig(max_flops=9, objectives=("accuracy", "params")), "sqlite:///x.db")


def test_a_size_is_counted_once(digits, monkeypatch):
    architecture = {"family": "convnet", "depth": 1, "width": 11, "norm": "none"}
    first = size_of(architecture, digits)
    monkeypatch.setattr(limit, "measure_cost", None)
    assert size_of(dict(architecture), digits) == first


@pytest.mark.parametrize(("patience", "told"), [(math.inf, []), (-1.0, [(1, 3), (2, 3), (3, 3)])])
def test_only_long_work_is_told_of(monkeypatch, patience, told):
    monkeypatch.setattr(limit, "PATIENCE_SECONDS", patience)
    seen = []
    assert list(limit.telling("size", "abc", seen.append)) == ["a", "b", "c"]
    assert [(p.done, p.total) for p in seen] == told
    assert {p.stage for p in seen} <= {"size"}
