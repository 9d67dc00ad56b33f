"""The quality of a proxy: networks trained on it from scratch, tested on the real test split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from nasproxy._environment import versions
from nasproxy._random import named_seed
from nasproxy._timing import Stopwatch
from nasproxy.config import Recipe
from nasproxy.data.dataset import Dataset, LabelledImages
from nasproxy.data.holdout import load_test_split
from nasproxy.errors import ConfigError, EvaluationError
from nasproxy.executors.base import Report, ReportTo, Task
from nasproxy.executors.choose import choose_executor
from nasproxy.models.family import Architecture, check_architecture
from nasproxy.progress import Progress, Watch, unwatched
from nasproxy.proxy.dataset import ProxyDataset
from nasproxy.proxy.store import seal
from nasproxy.training.evaluate import accuracy, count_classes, score
from nasproxy.training.fit import EpochLog
from nasproxy.training.metric import majority_class_rate, score_text, shown_metrics
from nasproxy.training.network import TrainingSet, train_network

CURVE_IMAGES = 2000


@dataclass(frozen=True)
class QualityTraining:
    """Trains on the proxy and scores on test; a payload is the index of a seed."""

    architecture: Architecture
    data: TrainingSet
    test: LabelledImages
    recipe: Recipe
    seed: int
    watched: LabelledImages | None = None
    """Validation images on which every epoch is scored, for a curve; None: no curve."""

    def __call__(self, payload: int, report: ReportTo) -> dict[str, Any]:
        """Return accuracy, balanced accuracy, AUC (two classes), seconds, and the curve if any."""
        device = self.data.images.device
        clock = Stopwatch(device)
        curve: list[float] = []
        looking = 0.0

        def look(model: nn.Module, log: EpochLog) -> None:
            nonlocal looking
            if self.watched is not None:
                pause = Stopwatch(device)
                curve.append(accuracy(model, self.watched))
                looking += pause.seconds()

        seed = named_seed(self.seed, "quality", payload)
        model = train_network(self.architecture, self.data, self.recipe, seed, after_epoch=look)
        seconds = clock.seconds() - looking
        return {**score(model, self.test)._asdict(), "seconds": seconds, "curve": curve}


def evaluate_proxy(
    dataset: Dataset,
    proxy: ProxyDataset,
    architecture: Architecture,
    recipe: Recipe,
    *,
    seeds: int = 5,
    seed: int = 0,
    workers: int | None = None,
    curve: bool = False,
    watch: Watch = unwatched,
) -> dict[str, Any]:
    """Measure what networks reach when the proxy is all they are trained on.

    The last network of each training is tested, never the best one on test. With `curve`, each
    run also lists the accuracy after every epoch on 2,000 validation images.

    Returns:
        Mean and sample standard deviation over the seeds of every score, the scores themselves,
        the majority-class rate of the test split, and what it was measured with.

    Raises:
        ConfigError: there is no seed, or the architecture does not fit the images.
        EvaluationError: a training failed.
    """
    if seeds < 1:
        raise ConfigError(f"seeds must be >= 1, got {seeds} (--seeds)")
    proxy.check_fits(dataset)
    proxy = seal(proxy)
    check_architecture(architecture, dataset.image_shape)
    test = load_test_split(dataset)
    class_counts = count_classes(test, dataset.num_classes)
    shown = shown_metrics("accuracy", class_counts)
    watched = dataset.validation_part(CURVE_IMAGES) if curve else None
    work = QualityTraining(architecture, proxy.training_set(), test, recipe, seed, watched)
    executor = choose_executor(work, dataset.train.labels.device, workers)
    waiting = iter(range(seeds))
    results: dict[int, dict[str, Any]] = {}

    def next_task() -> Task | None:
        index = next(waiting, None)
        return None if index is None else Task(index, index)

    for event in executor.run(next_task):
        if isinstance(event, Report):
            continue
        if event.error is not None:
            raise EvaluationError(f"training {event.key} failed: {event.error}")
        results[event.key] = event.value
        watch(Progress("evaluate", len(results), seeds, score_text(event.value, shown, 2)))
    runs = [results[index] for index in range(seeds)]
    return {
        "architecture": architecture,
        "recipe": recipe.to_dict(),
        "num_seeds": seeds,
        "seed": seed,
        "proxy_sha256": proxy.manifest.tensors_sha256,
        **_moments(runs, "accuracy"),
        **_moments(runs, "balanced_accuracy"),
        **(_moments(runs, "auc") if runs[0]["auc"] is not None else {}),
        **_moments(runs, "seconds"),
        "majority_class_rate": majority_class_rate(class_counts),
        "test_class_counts": class_counts,
        "runs": runs,
        "versions": versions(),
    }


def _moments(runs: list[dict[str, Any]], name: str) -> dict[str, float]:
    values = np.array([run[name] for run in runs])
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return {f"{name}_mean": float(values.mean()), f"{name}_std": spread}
