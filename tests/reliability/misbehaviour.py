"""Candidates that misbehave beside good ones, in a search with real worker processes."""

from __future__ import annotations

import faulty
from strikes import Ground
from tally import Tally

from nasproxy.config import DataConfig, SearchConfig
from nasproxy.data.dataset import load_dataset
from nasproxy.executors.engine import EngineConfig
from nasproxy.executors.processes import ProcessExecutor
from nasproxy.search.session import _drive, own_storage
from nasproxy.search.space import SearchSpace
from nasproxy.search.study import ArchitectureStudy


def misbehave(ground: Ground, tally: Tally, count: int) -> None:
    """Let candidates raise, be NaN, allocate, hang, leave and kill themselves, among good ones."""
    widths = tuple(range(1, count + count // 6 + 1))
    space = SearchSpace(family="convnet", parameters={"width": widths})
    config = SearchConfig(sampler="grid", trials=len(widths))
    folder = ground.new("search")
    storage = own_storage(folder)
    study = ArchitectureStudy(space, list(space.points()), config, storage=storage, name="s")
    limits = EngineConfig(timeout_seconds=8, memory_bytes=256 << 20)
    executor = ProcessExecutor(faulty.Faulty(), 2, limits)
    dataset = load_dataset(DataConfig(dataset="digits"))
    candidates = _drive(study, executor, dataset, folder, latencies={}, watch=lambda _: None)
    tally.look_at(folder, {})
    for candidate, width in zip(candidates, widths, strict=True):
        found = (candidate["architecture"]["width"], candidate["status"], candidate["proxy_score"])
        if faulty.fault_of(width) != "well":
            tally.judge(1, (*found, bool(candidate["reason"])), (width, "failed", None, True))
        elif found != (width, "complete", width / 100):
            tally.problems.append(f"a good candidate beside bad ones came out as {found}")
