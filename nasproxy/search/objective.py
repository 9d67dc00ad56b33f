"""What a candidate is worth on the proxy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor, nn

from nasproxy._random import named_seed
from nasproxy._timing import Stopwatch
from nasproxy.config import Recipe, SearchConfig
from nasproxy.data.dataset import Dataset, LabelledImages
from nasproxy.errors import ConfigError
from nasproxy.executors.base import ReportTo
from nasproxy.models.family import Architecture
from nasproxy.proxy.dataset import ProxyDataset
from nasproxy.training.evaluate import score
from nasproxy.training.fit import EpochLog
from nasproxy.training.metric import METRICS, Score, mean_score
from nasproxy.training.network import TrainingSet, train_network

NUM_REPORTS = 4
"""Parts of a training after which a candidate is scored on the way, but for the last."""
WATCHED_IMAGES = 500
"""Validation images of a training curve that people look at; a pruner takes all that score."""


@dataclass(frozen=True)
class CandidateResult:
    """Scores on validation images, one a seed, and wall seconds of training and scoring."""

    scores: tuple[Score, ...]
    seconds: float

    def by_metric(self) -> dict[str, list[float | None]]:
        """Return the scores of the seeds by metric."""
        return {name: [getattr(one, name) for one in self.scores] for name in METRICS}

    def mean(self, metric: str) -> float | None:
        """Return the mean over the seeds."""
        return mean_score(self.by_metric()[metric])


@dataclass(frozen=True)
class ProxyObjective:
    """Trains a candidate on the proxy and scores it on real validation images.

    Picklable work for any executor; its tensors are shared, not copied, with processes.

    Attributes:
        data: the proxy.
        validation: real images of the validation split.
        calibration: (M, C, H, W) real training images for BatchNorm's statistics.
        recipe: of training and scoring.
        seeds: trainings per candidate.
        seed: root seed.
        metric: that counts, one of METRICS.
        watched: validation images that score on the way; None: it is not scored there.
    """

    data: TrainingSet
    validation: LabelledImages
    calibration: Tensor
    recipe: Recipe
    seeds: int
    seed: int
    metric: str
    watched: LabelledImages | None

    def __call__(self, payload: Architecture, report: ReportTo) -> CandidateResult:
        """Return the result of one architecture."""
        clock = Stopwatch(self.data.images.device)
        scores = tuple(self._train(payload, index, report) for index in range(self.seeds))
        return CandidateResult(scores, clock.seconds())

    def _train(self, architecture: Architecture, index: int, report: ReportTo) -> Score:
        num_periods = self.recipe.num_periods(len(self.data.targets))
        every = max(1, num_periods // NUM_REPORTS)

        def after_epoch(model: nn.Module, log: EpochLog) -> None:
            if self.watched is None or log.epoch % every or log.epoch == num_periods:
                return
            value = getattr(score(model, self.watched), self.metric)
            if value is not None:
                report(log.epoch, value)

        model = train_network(
            architecture,
            self.data,
            self.recipe,
            named_seed(self.seed, "candidate", index),
            calibration=self.calibration,
            after_epoch=None if self.watched is None or index else after_epoch,
        )
        return score(model, self.validation)


def directions(config: SearchConfig) -> list[Literal["maximize", "minimize"]]:
    """Return Optuna's direction of every objective: the metric up, costs down."""
    costs: list[Literal["maximize", "minimize"]] = ["minimize"] * len(config.costs)
    return ["maximize", *costs]


def check_metric(metric: str, dataset: Dataset) -> None:
    """Check, before anything is trained, that a metric is defined on the validation images.

    Raises:
        ConfigError: it is not.
    """
    if metric != "auc":
        return
    name, remedy = dataset.config.dataset, "use --metric balanced_accuracy or accuracy"
    if dataset.num_classes != 2:
        raise ConfigError(
            f"metric 'auc' takes two classes, {name} has {dataset.num_classes}: {remedy}"
        )
    if len(dataset.validation.labels.unique()) != 2:
        raise ConfigError(
            f"metric 'auc' takes validation images of both classes, {name} has them of one: "
            f"{remedy}, or add images"
        )


def build_objective(dataset: Dataset, proxy: ProxyDataset, config: SearchConfig) -> ProxyObjective:
    """Gather what candidates need, on the data set's device."""
    recipe = config.recipe
    size = recipe.validation_images
    if config.pruner == "none":
        size = min(size or WATCHED_IMAGES, WATCHED_IMAGES)
    return ProxyObjective(
        data=candidate_data(proxy, config),
        validation=dataset.validation_part(recipe.validation_images),
        calibration=dataset.calibration_part(recipe.recalibrate_images),
        recipe=recipe,
        seeds=config.seeds,
        seed=config.seed,
        metric=config.metric,
        # Optuna takes curves of one objective alone
        watched=None if config.costs else dataset.validation_part(size),
    )


def candidate_data(proxy: ProxyDataset, config: SearchConfig) -> TrainingSet:
    """Return what candidates train on, its soft labels left aside where the search says so."""
    data = proxy.training_set()
    return replace(data, targets=proxy.labels) if config.labels == "hard" else data
