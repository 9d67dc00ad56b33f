"""What a report is made of: the records of a run folder, every number checked as it is taken."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nasproxy.errors import ArtifactError, shown
from nasproxy.report.calibration import Calibration, load_calibration
from nasproxy.report.field import (
    take_count,
    take_counts,
    take_fractions,
    take_list,
    take_number,
    take_object,
    take_optional_count,
    take_optional_fraction,
    take_optional_object,
)
from nasproxy.report.goal import Goal, parse_goal
from nasproxy.report.trust import TrustCheck, load_trust
from nasproxy.run_folder import (
    CANDIDATES_FILE,
    RUN_FILE,
    TIMINGS_FILE,
    VERIFICATION_FILE,
    read_records,
    read_run,
    read_timings,
)
from nasproxy.training.metric import METRICS, mean_score, recorded_metric

Architecture = dict[str, Any]
STATUSES = ("complete", "pruned", "failed")
SELECTIONS = ("top", "uniform")


@dataclass(frozen=True)
class Candidate:
    """An architecture of the space and what it is worth on the proxy."""

    trial: int
    architecture: Architecture
    metric: str
    proxy: dict[str, float | None]
    """Mean score in [0, 1] by metric; None where not scored, not known or not defined."""
    num_params: int
    num_flops: int
    seconds: float | None
    status: str

    @property
    def proxy_score(self) -> float | None:
        """Return the score on the proxy by the run's metric, in [0, 1]."""
        return self.proxy[self.metric]


@dataclass(frozen=True)
class Verified:
    """A scored candidate and its full trainings."""

    candidate: Candidate
    selected_by: tuple[str, ...]
    full: dict[str, tuple[float, ...]]
    """Scores in [0, 1] on validation by metric, one a finished seed; empty where not known."""
    test: dict[str, tuple[float, ...]]
    """The same on the test split."""
    seconds: float
    """Of all its trainings together, each on one worker."""
    num_failed: int

    @property
    def proxy_score(self) -> float:
        """Return the score on the proxy by the run's metric, in [0, 1]."""
        assert self.candidate.proxy_score is not None
        return self.candidate.proxy_score

    @property
    def full_scores(self) -> tuple[float, ...]:
        """Return the validation scores of the seeds by the run's metric, in [0, 1]."""
        return self.full[self.candidate.metric]

    @property
    def full_score(self) -> float:
        """Return their mean."""
        return math.fsum(self.full_scores) / len(self.full_scores)

    def means(self) -> dict[str, float | None]:
        """Return the means over the seeds as `full_METRIC` and `test_METRIC`."""
        return {
            f"{split}_{metric}": mean_score(scores[metric])
            for split, scores in (("full", self.full), ("test", self.test))
            for metric in METRICS
        }


@dataclass(frozen=True)
class Run:
    """The facts of `run.json` that a report repeats or counts with."""

    command: str
    metric: str
    class_counts: tuple[int, ...]
    """Validation images per class; empty where an older run does not say."""
    dataset: str
    space: str
    space_size: int | None
    proxy_kind: str
    proxy_method: str
    ipc: int | None
    class_names: tuple[str, ...]
    distill_seconds: float
    search_workers: int | None
    verify_workers: int
    hardware: str
    verify_hardware: str
    versions: dict[str, str]
    recipe: dict[str, Any]
    verify_recipe: dict[str, Any] | None


@dataclass(frozen=True)
class Records:
    """All that is known of a run; `verified` is empty before verification."""

    run: Run
    candidates: tuple[Candidate, ...]
    verified: tuple[Verified, ...]
    timings: dict[str, float]
    trust: TrustCheck | None = None
    """None where the proxy was not checked before the search."""
    calibration: Calibration | None = None
    """None where the recipe was not chosen before the search."""
    goal: Goal = field(default_factory=Goal)


def load_records(folder: Path) -> Records:
    """Read and check a run folder; verification may be missing.

    Raises:
        ArtifactError: a file is missing or damaged, or holds what cannot be.
    """
    run_record = read_run(folder)
    run = parse_run(run_record, str(folder / RUN_FILE))
    _check_writable(run_record, folder / RUN_FILE)
    raw = read_records(folder, CANDIDATES_FILE, ("trial",))
    candidates = parse_candidates(raw, run.metric, str(folder / CANDIDATES_FILE))
    _check_writable(raw, folder / CANDIDATES_FILE)
    goal = parse_goal(run_record, raw, str(folder))
    verified: tuple[Verified, ...] = ()
    if (folder / VERIFICATION_FILE).exists():
        raw = read_records(folder, VERIFICATION_FILE, ("trial",))
        verified = parse_verification(raw, candidates, str(folder / VERIFICATION_FILE))
    timings = parse_timings(read_timings(folder), str(folder / TIMINGS_FILE))
    calibration = load_calibration(folder)
    if calibration is not None and calibration.recipe != run.recipe:
        calibration = None  # of a search that was never begun: this one has another recipe
    return Records(run, candidates, verified, timings, load_trust(folder), calibration, goal)


def parse_run(record: dict[str, Any], where: str) -> Run:
    """Check the content of `run.json`."""
    config = take_object(record, "config", where)
    proxy = take_object(record, "proxy", where)
    search = take_object(config, "search", f"{where}: config")
    data = take_optional_object(record, "data", where)
    space = take_optional_object(record, "space", where)
    versions = take_optional_object(record, "versions", where)
    verify = take_optional_object(config, "verify", f"{where}: config")
    hardware = str(versions.get("hardware", "unknown hardware"))
    return Run(
        command=str(record.get("command", "")),
        metric=recorded_metric(record, where),
        class_counts=take_counts(data, "validation_class_counts", f"{where}: data"),
        dataset=str(take_object(config, "data", f"{where}: config").get("dataset", "unknown")),
        space=str(search.get("space", "unknown")),
        space_size=take_optional_count(space, "feasible", f"{where}: space"),
        proxy_kind=str(proxy.get("kind", "unknown")),
        proxy_method=str(proxy.get("method", "unknown")),
        ipc=take_optional_count(proxy, "ipc", f"{where}: proxy"),
        class_names=tuple(str(name) for name in take_list(proxy, "class_names", f"{where}: proxy")),
        distill_seconds=take_number(proxy, "seconds", f"{where}: proxy"),
        search_workers=take_optional_count(record, "search_workers", where, low=1),
        verify_workers=take_optional_count(record, "verify_workers", where, low=1) or 1,
        hardware=hardware,
        verify_hardware=str(
            take_optional_object(record, "verify_versions", where).get("hardware", hardware)
        ),
        versions={name: str(value) for name, value in versions.items() if name != "hardware"},
        recipe=take_optional_object(search, "recipe", f"{where}: config.search"),
        verify_recipe=take_optional_object(verify, "recipe", f"{where}: config.verify") or None,
    )


def parse_candidates(
    records: list[dict[str, Any]], metric: str, where: str
) -> tuple[Candidate, ...]:
    """Check the content of `candidates.json`."""
    found: dict[int, Candidate] = {}
    for index, record in enumerate(records):
        at = f"{where}: entry {index}"
        status = record.get("status")
        if status not in STATUSES:
            raise ArtifactError(f"{at}: status must be {', '.join(STATUSES)}, got {shown(status)}")
        proxy: dict[str, float | None] = dict.fromkeys(METRICS)
        if status == "complete":
            proxy = {m: take_optional_fraction(record, f"proxy_{m}", at) for m in METRICS}
            proxy[metric] = take_number(record, f"proxy_{metric}", at, high=1)
        candidate = Candidate(
            trial=take_count(record, "trial", at),
            architecture=take_object(record, "architecture", at),
            metric=metric,
            proxy=proxy,
            num_params=take_count(record, "num_params", at),
            num_flops=take_count(record, "num_flops", at),
            seconds=None if record.get("seconds") is None else take_number(record, "seconds", at),
            status=status,
        )
        if candidate.trial in found:
            raise ArtifactError(f"{at}: trial {candidate.trial} is listed twice")
        found[candidate.trial] = candidate
    return tuple(found.values())


def parse_verification(
    records: list[dict[str, Any]], candidates: tuple[Candidate, ...], where: str
) -> tuple[Verified, ...]:
    """Check the content of `verification.json` and join it with the candidates by trial."""
    known = {candidate.trial: candidate for candidate in candidates}
    found: dict[int, Verified] = {}
    for index, record in enumerate(records):
        at = f"{where}: entry {index}"
        trial = take_count(record, "trial", at)
        candidate = known.get(trial)
        if candidate is None or candidate.proxy_score is None:
            raise ArtifactError(f"{at}: trial {trial} is no scored candidate of {CANDIDATES_FILE}")
        if record.get("architecture") != candidate.architecture:
            raise ArtifactError(f"{at}: trial {trial} has another architecture than the candidate")
        if trial in found:
            raise ArtifactError(f"{at}: trial {trial} is listed twice")
        selected_by = tuple(take_list(record, "selected_by", at))
        if not selected_by or any(name not in SELECTIONS for name in selected_by):
            raise ArtifactError(
                f"{at}: selected_by must be top or uniform, got {shown(selected_by)}"
            )
        found[trial] = Verified(
            candidate=candidate,
            selected_by=selected_by,
            full=_take_scores(record, "full", {METRICS[0], candidate.metric}, at),
            test=_take_scores(record, "test", {METRICS[0]}, at),
            seconds=take_number(record, "seconds", at),
            num_failed=len(take_list(record, "errors", at)),
        )
    return tuple(found.values())


def _take_scores(
    record: dict[str, Any], split: str, needed: set[str], where: str
) -> dict[str, tuple[float, ...]]:
    """Take the seeds' scores by metric; one that a seed lacks is not known, unless it is needed."""
    scores: dict[str, tuple[float, ...]] = {}
    for metric in METRICS:
        key = f"{split}_{metric}"
        values = take_list(record, key, where)
        if metric not in needed and (not values or None in values):
            scores[metric] = ()
            continue
        scores[metric] = take_fractions(record, key, where)
        if len(values) != len(scores[METRICS[0]]):
            raise ArtifactError(
                f"{where}: {key} must have a value for each of {split}_accuracy, got "
                f"{shown(values)}"
            )
    return scores


def parse_timings(record: Any, where: str) -> dict[str, float]:
    """Check the content of `timings.json`: seconds per stage."""
    if not isinstance(record, dict):
        raise ArtifactError(f"{where} must hold an object, got {type(record).__name__}")
    return {name: take_number(record, name, where) for name in record}


def _check_writable(content: Any, path: Path) -> None:
    """Refuse what Python's JSON reader takes and a report cannot pass on: NaN, half characters."""
    try:
        json.dumps(content, allow_nan=False, ensure_ascii=False).encode()
    except ValueError as error:
        raise ArtifactError(f"{path} holds a value that is not JSON: {error}") from error
