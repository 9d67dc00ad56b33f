"""A search from its first trial to `candidates.json`; the same call goes on where it stopped."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from nasproxy._timing import Stopwatch
from nasproxy.config import SearchConfig
from nasproxy.data.dataset import Dataset
from nasproxy.executors.base import Executor, Outcome, Report, Task
from nasproxy.executors.choose import choose_executor
from nasproxy.executors.engine import Engine
from nasproxy.progress import Progress, Watch, unwatched
from nasproxy.proxy.dataset import ProxyDataset
from nasproxy.proxy.store import seal
from nasproxy.run_folder import (
    PROXY_FOLDER,
    begin_run,
    check_run,
    locked,
    read_timings,
    write_timing,
)
from nasproxy.search.candidates import CandidateList
from nasproxy.search.latency import measure_latencies
from nasproxy.search.lease import LEASE_SECONDS, home_of
from nasproxy.search.limit import check_latency, fast_points, size_of, small_points
from nasproxy.search.objective import build_objective, check_metric
from nasproxy.search.record import (
    describe_run,
    describe_space,
    describe_study,
    keep_proxy,
    may_differ,
    own_storage,
)
from nasproxy.search.sampler import check_sampler
from nasproxy.search.shared import SharedStudy
from nasproxy.search.space import Params, SearchSpace, load_space, point_key
from nasproxy.search.storage import mask, opening_patience, patiently, storage_errors
from nasproxy.search.study import ArchitectureStudy
from nasproxy.training.evaluate import count_classes
from nasproxy.training.metric import shown_metrics

FACTS = ("data", "data_sha256", "proxy_sha256")
"""What, besides space and settings, all drivers of a study have in common."""
POLL_SECONDS = 1.0
"""Between two looks at a study of which other drivers run the rest."""


def search(
    dataset: Dataset,
    proxy: ProxyDataset,
    config: SearchConfig,
    folder: Path | str,
    *,
    workers: int | None = None,
    engine: Engine = None,
    storage: str | None = None,
    study_name: str | None = None,
    lease_seconds: float = LEASE_SECONDS,
    watch: Watch = unwatched,
) -> list[dict[str, Any]]:
    """Search a space, training each candidate on the proxy.

    With `storage`, any number of such calls, each with a folder of its own, share one study: each
    ends when the study has its trials, and then lists all of them.

    Args:
        dataset: whose validation split scores; its device is where candidates train.
        proxy: what candidates train on.
        config: space, metric, sampler, recipe.
        folder: of the run, created or gone on with.
        workers: processes; None: one a core on a CPU, this one on a GPU.
        engine: `serial`, `processes` or `ray`, or with its limits; None: what fits.
        storage: Optuna storage URL (see `open_storage`) to be shared; None: SQLite in the folder.
        study_name: in the storage; None: `search` in the folder's own, else the folder's name.
        lease_seconds: after which a driver that gives no sign loses its trials to the others.
        watch: told after every trial.

    Returns:
        The candidates, as in `candidates.json`.

    Raises:
        ArtifactError: the folder holds another run, or cannot be written.
        ConfigError: the metric is not defined on this data set, or the study cannot be shared.
        SearchSpaceError: the space is unknown, does not fit the data, or is all beyond the limits.
    """
    folder = Path(folder)
    check_metric(config.metric, dataset)
    check_sampler(config)
    check_latency(config, storage)
    proxy.check_fits(dataset)
    proxy = seal(proxy)
    space = load_space(config.space)
    points = small_points(space, dataset, config, watch)
    objective = build_objective(dataset, proxy, config)
    executor = choose_executor(objective, dataset.train.labels.device, workers, engine)
    record = describe_run(dataset, proxy, config, space)
    with locked(folder), storage_errors(storage or own_storage(folder)):
        check_run(folder, record, may_differ=may_differ(folder, config))
        record["study"] = describe_study(folder, storage, study_name)
        record["search_workers"] = executor.num_workers  # which may join a cluster
        if storage is not None:
            record["command"] = record["command"].replace(storage, mask(storage))
        latencies: dict[str, float] = {}
        if config.needs_latency:
            latencies = measure_latencies(space, points, dataset, folder, watch)
        points = fast_points(space, points, latencies, config)
        record["space"] = describe_space(space, points, dataset, config)
        study = _open_study(
            space, points, config, folder,
            record=record, storage=storage, lease_seconds=lease_seconds,
        )  # fmt: skip
        begin_run(folder, record)
        keep_proxy(proxy, folder / PROXY_FOLDER)
        with study.driving():
            return _drive(study, executor, dataset, folder, latencies=latencies, watch=watch)


def _open_study(
    space: SearchSpace,
    points: list[Params],
    config: SearchConfig,
    folder: Path,
    *,
    record: dict[str, Any],
    storage: str | None,
    lease_seconds: float,
) -> ArchitectureStudy:
    name = record["study"]["name"]
    if storage is None:
        return ArchitectureStudy(space, points, config, storage=own_storage(folder), name=name)
    join = partial(
        SharedStudy,
        space,
        points,
        config,
        storage=storage,
        name=name,
        home=home_of(folder, record["study"]["driver"]),
        facts={fact: record["config"][fact] for fact in FACTS},
        lease_seconds=lease_seconds,
    )
    return patiently(join, opening_patience(storage))


def _drive(
    study: ArchitectureStudy,
    executor: Executor,
    dataset: Dataset,
    folder: Path,
    *,
    latencies: Mapping[str, float],
    watch: Watch,
) -> list[dict[str, Any]]:
    """Hand out trials and record what comes back, until none is left."""
    clock = Stopwatch()
    counts = count_classes(dataset.validation, dataset.num_classes)
    shown = shown_metrics(study.metric, counts)
    already = read_timings(folder).get("search_seconds", 0.0)
    running: dict[int, dict[str, float]] = {}  # what the architectures cost

    def next_task() -> Task | None:
        number = _next_trial(study, running)
        if number is None:
            return None
        architecture = study.space.architecture(study.point(number))
        costs: dict[str, float] = size_of(architecture, dataset)._asdict()
        if latencies:
            costs["latency_ms"] = latencies[point_key(study.point(number))]
        study.note(number, **costs)
        running[number] = costs
        return Task(number, architecture)

    def write(*, at_the_end: bool = False) -> None:
        if candidates.is_due(at_the_end=at_the_end):
            candidates.write()
            write_timing(folder, "search_seconds", already + clock.seconds())

    candidates = CandidateList(study, dataset, folder)
    candidates.write()
    try:
        for event in executor.run(next_task):
            if isinstance(event, Report):
                event.stop = study.should_prune(event.key, event.step, event.value)
                continue
            _record(study, event, running.pop(event.key))
            candidates.update()
            write()
            message = candidates.message(shown)
            watch(Progress("search", len(candidates), study.num_trials, message))
        candidates.update()  # what other drivers did last
    finally:
        write(at_the_end=True)
    return candidates.entries


def _record(study: ArchitectureStudy, outcome: Outcome, costs: Mapping[str, float]) -> None:
    if outcome.stopped:
        study.prune(outcome.key)
    elif outcome.error is not None:
        study.fail(outcome.key, outcome.error)
    else:
        study.complete(outcome.key, outcome.value, costs)


def _next_trial(study: ArchitectureStudy, running: Collection[int]) -> int | None:
    """Return the next trial to run; None when there is none before another of ours is done.

    With nothing of our own under way, what is left is other drivers': wait for them, and for what
    they may leave behind.
    """
    while True:
        number = study.take()
        if number is not None or running or study.is_over():
            return number
        time.sleep(POLL_SECONDS)
