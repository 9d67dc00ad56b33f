"""Verification of a search on the full data; the same call goes on where it stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nasproxy._environment import versions
from nasproxy._files import write_json
from nasproxy.config import Recipe, VerifyConfig
from nasproxy.data.dataset import Dataset
from nasproxy.data.holdout import load_test_split
from nasproxy.errors import ArtifactError
from nasproxy.executors.base import Executor, Outcome, Report, Task
from nasproxy.executors.choose import choose_executor
from nasproxy.executors.engine import Engine
from nasproxy.models.builder import check_code
from nasproxy.progress import Progress, Watch, unwatched
from nasproxy.run_folder import (
    CANDIDATES_FILE,
    RUN_FILE,
    VERIFICATION_FILE,
    amend_run,
    command_line,
    locked,
    read_records,
    read_run,
)
from nasproxy.training.evaluate import count_classes
from nasproxy.training.metric import METRICS, recorded_metric, score_text, shown_metrics
from nasproxy.training.network import TrainingSet
from nasproxy.verify.select import (
    Candidate,
    check_candidates,
    proxy_score,
    select_top,
    select_uniform,
)
from nasproxy.verify.training import FullTraining, TrainingRecords

CANDIDATE_KEYS = (
    "trial", "architecture", "proxy_accuracy", "num_params", "status", "origin",
)  # fmt: skip


def verify(
    dataset: Dataset,
    folder: Path | str,
    config: VerifyConfig,
    *,
    trainings: Path | None = None,
    workers: int | None = None,
    engine: Engine = None,
    at_most: bool = False,
    watch: Watch = unwatched,
) -> list[dict[str, Any]]:
    """Train the top candidates and a uniform sample on the full data, with several seeds.

    Args:
        dataset: that was searched on, on the device to train on.
        folder: of the search.
        config: how many, how often, how.
        trainings: folder of finished trainings, shared by runs; None: `trainings` in the folder.
        workers: processes; None: one a core on a CPU, this one on a GPU.
        engine: `serial`, `processes` or `ray`, or with its limits; None: what fits.
        at_most: verify as many uniformly drawn candidates as there are, where some failed.
        watch: told after every training.

    Returns:
        The verified candidates, as in `verification.json`.

    Raises:
        ArtifactError: the folder is no search of this data set.
        ConfigError: fewer uniformly drawn candidates are there than asked for, unless `at_most`.
        SearchSpaceError: a candidate takes code that may not or cannot be imported.
    """
    folder = Path(folder)
    recipe = config.full_recipe(len(dataset.train))
    run = read_run(folder)
    data = dataset.config.identity()
    searched = run["config"]
    if (searched.get("data_sha256"), searched.get("data")) != (dataset.fingerprint, data):
        raise ArtifactError(
            f"{folder} was searched on other data than this ({searched.get('data')} instead of "
            f"{data}): give the data set, size, split and seed of the search"
        )
    metric = recorded_metric(run, str(folder / RUN_FILE))
    class_counts = count_classes(dataset.validation, dataset.num_classes)
    candidates = read_records(folder, CANDIDATES_FILE, CANDIDATE_KEYS)
    check_candidates(candidates, str(folder / CANDIDATES_FILE))
    covered = sum(c["status"] == "complete" for c in candidates) >= _space_size(run, folder)
    top = select_top(candidates, config.top)
    uniform = select_uniform(
        candidates, config.uniform, config.seed, covers_space=covered, at_most=at_most
    )
    chosen = {c["trial"]: c for c in [*top, *uniform]}
    check_code(c["architecture"] for c in chosen.values())
    records = TrainingRecords(
        trainings or folder / "trainings",
        data={"sha256": dataset.fingerprint, **data},
        recipe=recipe,
        seed=config.seed,
        metric=metric,
    )
    with locked(folder):
        executor = choose_executor(
            build_full_training(dataset, recipe, config.seed),
            dataset.train.labels.device,
            workers,
            engine,
        )
        amend_run(
            folder,
            config={"verify": config.replace(recipe=recipe.to_dict(), epochs=None).to_dict()},
            data={**(run.get("data") or {}), "validation_class_counts": class_counts},
            verify_command=command_line(),
            verify_workers=executor.num_workers,
            verify_versions=versions(),
        )
        wanted = [(c, index) for index in range(config.seeds) for c in chosen.values()]
        shown = shown_metrics(metric, class_counts)
        errors = _train_missing(wanted, records, executor, watch, shown)
        verified = [
            {**_summarize(c, top, uniform), **_measured(c, records, config.seeds)}
            | {"errors": errors.get(trial, [])}
            for trial, c in chosen.items()
        ]
        write_json(folder / VERIFICATION_FILE, verified)
    return verified


def build_full_training(dataset: Dataset, recipe: Recipe, seed: int) -> FullTraining:
    """Gather what full trainings need; here the test split comes in."""
    train = dataset.train
    return FullTraining(
        data=TrainingSet(train.images, train.labels, dataset.num_classes, dataset.augmentation),
        validation=dataset.validation,
        test=load_test_split(dataset),
        recipe=recipe,
        seed=seed,
    )


def _space_size(run: dict[str, Any], folder: Path) -> int:
    """Return how many architectures of the space fit the data."""
    space = run.get("space")
    size = space.get("feasible") if isinstance(space, dict) else None
    if not isinstance(size, int):
        raise ArtifactError(f"{folder / RUN_FILE} does not say how large the space is: restore it")
    return size


def _train_missing(
    wanted: list[tuple[Candidate, int]],
    records: TrainingRecords,
    executor: Executor,
    watch: Watch,
    shown: tuple[str, ...],
) -> dict[int, list[str]]:
    """Do the trainings that have no record yet; return what failed, by trial."""
    todo = [(c, index) for c, index in wanted if records.read(c["architecture"], index) is None]
    waiting = iter([Task(key, (c["architecture"], index)) for key, (c, index) in enumerate(todo)])
    done = len(wanted) - len(todo)
    errors: dict[int, list[str]] = {}
    for event in executor.run(lambda: next(waiting, None)):
        if isinstance(event, Report):
            continue
        candidate, index = todo[event.key]
        if event.error is None:
            records.write(candidate["architecture"], index, event.value)
        else:  # kept out of the records: the next call tries again
            errors.setdefault(candidate["trial"], []).append(event.error)
        done += 1
        watch(Progress("verify", done, len(wanted), _message(event, shown)))
    return errors


def _summarize(
    candidate: Candidate, top: list[Candidate], uniform: list[Candidate]
) -> dict[str, Any]:
    """Say which candidate it is and why it was chosen."""
    groups = (("top", top), ("uniform", uniform))
    return {
        "trial": candidate["trial"],
        "architecture": candidate["architecture"],
        "selected_by": [name for name, group in groups if candidate in group],
        "proxy_score": proxy_score(candidate),
        "proxy_accuracy": candidate["proxy_accuracy"],
        "num_params": candidate["num_params"],
    }


def _measured(candidate: Candidate, records: TrainingRecords, seeds: int) -> dict[str, Any]:
    """Gather what the finished trainings of a candidate gave, in the order of the seeds.

    A score that is not defined, or that an older record lacks, is None.
    """
    found = [records.read(candidate["architecture"], index) for index in range(seeds)]
    done = [record for record in found if record is not None]
    names = [f"{split}_{metric}" for split in ("full", "test") for metric in METRICS]
    return {
        **{name: [record.get(name) for record in done] for name in names},
        "seconds": sum(record["seconds"] for record in done),
    }


def _message(outcome: Outcome, shown: tuple[str, ...]) -> str:
    if outcome.error is not None:
        return f"failed: {outcome.error}"
    scores = {name: outcome.value[f"full_{name}"] for name in shown}
    return f"last {score_text(scores, shown, 2)} on validation"
