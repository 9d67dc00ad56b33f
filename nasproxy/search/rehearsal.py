"""Trainings that come before a search: on the proxy as in the search, and shortly on all data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nasproxy._files import read_json, write_json
from nasproxy._random import named_generator, named_seed
from nasproxy._timing import Stopwatch
from nasproxy.config import SearchConfig, TrustConfig
from nasproxy.data.dataset import Dataset
from nasproxy.data.pixels import StoredImages
from nasproxy.data.split import stratified_subset
from nasproxy.executors.base import Executor, Report, ReportTo, Task
from nasproxy.models.family import Architecture
from nasproxy.progress import Progress, Watch
from nasproxy.proxy.dataset import ProxyDataset
from nasproxy.run_folder import read_timings, write_timing
from nasproxy.search.latency import measure_latencies
from nasproxy.search.limit import fast_points, small_points
from nasproxy.search.objective import CandidateResult, ProxyObjective, build_objective
from nasproxy.search.space import Params, SearchSpace, load_space
from nasproxy.search.spread import choose_spread
from nasproxy.training.network import TrainingSet

KINDS = ("full", "proxy")
MIN_TO_RANK = 3
"""Architectures below which there is no ranking to check."""


@dataclass(frozen=True)
class Rehearsal:
    """Trains on the proxy as a trial does, or shortly on all data; both see validation alone.

    Picklable work for any executor; a payload is one of KINDS and an architecture.
    """

    proxy: ProxyObjective
    full: ProxyObjective

    def __call__(self, payload: tuple[str, Architecture], report: ReportTo) -> CandidateResult:
        """Return the result of one architecture."""
        kind, architecture = payload
        return (self.full if kind == "full" else self.proxy)(architecture, report)


@dataclass(frozen=True)
class Job:
    """A training, and where its outcome belongs.

    Attributes:
        payload: for the executor's work.
        kind: one of KINDS; the outcome is kept as `{kind}_scores`, `_seconds` and `_error`.
        entry: of a record, that the outcome is added to.
        name: in a few words, for the progress.
    """

    payload: Any
    kind: str
    entry: dict[str, Any]
    name: str

    @property
    def is_done(self) -> bool:
        """Say whether there are scores; a training that failed is tried again."""
        return f"{self.kind}_scores" in self.entry


@dataclass(frozen=True)
class Diary:
    """What a stage before the search keeps: a record in the run's folder, and its seconds.

    Attributes:
        folder: of the run.
        file: name of the record's file.
        stage: for the progress; the seconds are `{stage}_seconds` in `timings.json`.
        record: that entries of jobs are parts of.
        num_jobs: in all.
    """

    folder: Path
    file: str
    stage: str
    record: dict[str, Any]
    num_jobs: int

    def work_off(
        self, jobs: Sequence[Job], executor: Executor, *, before: int, anew: bool, watch: Watch
    ) -> None:
        """Do the trainings that have no scores yet, and keep the record after each.

        Args:
            jobs: in the order to do them: long ones first, so that workers end together.
            executor: of the trainings.
            before: jobs of the stage that are done and not among these.
            anew: whether seconds of earlier calls belong to another record.
            watch: told after every training.
        """
        seconds_key = f"{self.stage}_seconds"
        already = 0.0 if anew else read_timings(self.folder).get(seconds_key, 0.0)
        clock = Stopwatch()
        todo = [job for job in jobs if not job.is_done]
        done = before + len(jobs) - len(todo)
        waiting = iter([Task(key, job.payload) for key, job in enumerate(todo)])
        for event in executor.run(lambda: next(waiting, None)):
            if isinstance(event, Report):
                continue
            job = todo[event.key]
            job.entry.update(_outcome(job.kind, event.value, event.error))
            write_json(self.folder / self.file, self.record)
            write_timing(self.folder, seconds_key, already + clock.seconds())
            done += 1
            watch(Progress(self.stage, done, self.num_jobs, event.error or job.name))


def _outcome(kind: str, result: CandidateResult | None, error: str | None) -> dict[str, Any]:
    """Write down a training; one that failed has no scores and is tried again by the next call."""
    if result is None:
        return {f"{kind}_error": error}
    return {
        f"{kind}_scores": result.by_metric(),
        f"{kind}_seconds": round(result.seconds, 4),
        f"{kind}_error": None,
    }


def begin_record(
    dataset: Dataset,
    search: SearchConfig,
    trust: TrustConfig,
    *,
    settings: dict[str, Any],
    folder: Path,
    watch: Watch,
) -> dict[str, Any]:
    """Return a record of architectures spread over the space, none of which is trained yet.

    Where there is a limit on it, latency is measured first, as the search would, into the folder.

    Raises:
        SearchSpaceError: the space is unknown or does not fit the data.
    """
    space = load_space(search.space)
    points = small_points(space, dataset, search, watch)
    if search.max_latency_ms is not None:
        latencies = measure_latencies(space, points, dataset, folder, watch)
        points = fast_points(space, points, latencies, search)
    return {
        "settings": settings,
        "space": space.to_dict(),
        "architectures": [
            {"architecture": architecture}
            for architecture in _spread_architectures(space, points, search, trust)
        ],
    }


def _spread_architectures(
    space: SearchSpace, points: Sequence[Params], search: SearchConfig, trust: TrustConfig
) -> list[Architecture]:
    if len(points) < MIN_TO_RANK:
        return []
    chosen = choose_spread(points, space.choices, trust.architectures, search.seed)
    return [space.architecture(point) for point in chosen]


def earlier_record(path: Path, record: dict[str, Any]) -> dict[str, Any]:
    """Return what an earlier call has left of this very record, else the new one."""
    found = read_json(path) if path.exists() else None
    if not isinstance(found, dict) or not isinstance(found.get("architectures"), list):
        return record
    same = all(found.get(name) == record[name] for name in ("settings", "space"))
    chosen = [entry["architecture"] for entry in record["architectures"]]
    kept = [isinstance(e, dict) and e.get("architecture") for e in found["architectures"]]
    return found if same and kept == chosen else record


def build_rehearsal(
    dataset: Dataset, proxy: ProxyDataset, search: SearchConfig, trust: TrustConfig
) -> Rehearsal:
    """Gather what both kinds of training need; the full ones draw other weights."""
    objective = replace(build_objective(dataset, proxy, search), watched=None)
    size, recipe = trust.num_images(len(dataset.train)), trust.short_recipe(len(dataset.train))
    train = dataset.train
    images, labels = train.images, train.labels
    if size < len(train):
        generator = named_generator(search.seed, "trust", "images")
        rows = stratified_subset(labels.cpu(), size, generator).to(labels.device)
        images = images.select(rows) if isinstance(images, StoredImages) else images[rows]
        labels = labels[rows]
    full = replace(
        objective,
        data=TrainingSet(images, labels, dataset.num_classes, dataset.augmentation),
        validation=dataset.validation_part(recipe.validation_images),
        calibration=dataset.calibration_part(recipe.recalibrate_images),
        recipe=recipe,
        seeds=1,
        seed=named_seed(search.seed, "trust", "full"),
    )
    return Rehearsal(objective, full)


def describe_rehearsal(
    dataset: Dataset,
    proxy: ProxyDataset,
    search: SearchConfig,
    trust: TrustConfig,
) -> dict[str, Any]:
    """Say all that the scores depend on."""
    num_train = len(dataset.train)
    recipe, size = trust.short_recipe(num_train), trust.num_images(num_train)
    # checks of versions without a choice of labels had those that the proxy has
    labels = {} if search.labels == "kept" else {"labels": search.labels}
    return {
        "data": dataset.config.identity(),
        "data_sha256": dataset.fingerprint,
        "proxy_sha256": proxy.manifest.tensors_sha256,
        "metric": search.metric,
        "seeds": search.seeds,
        "seed": search.seed,
        "recipe": search.recipe.to_dict(),
        **labels,
        "full_recipe": recipe.to_dict(),
        "full_images": size,
        "full_epochs": size * recipe.epochs / num_train,
        "architectures": trust.architectures,
    }
