"""What a candidate is worth on the proxy."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from nasproxy._random import named_seed
from nasproxy._timing import Stopwatch
from nasproxy.config import Recipe
from nasproxy.data.dataset import Dataset, LabelledImages
from nasproxy.executors.base import ReportTo
from nasproxy.models.family import Architecture
from nasproxy.proxy.dataset import ProxyDataset
from nasproxy.training.evaluate import accuracy
from nasproxy.training.fit import EpochLog
from nasproxy.training.network import TrainingSet, train_network

NUM_REPORTS = 4
"""Times a candidate is scored on the way where a pruner looks on."""


@dataclass(frozen=True)
class CandidateResult:
    """Validation accuracies in [0, 1], one a seed, and wall seconds of training and scoring."""

    accuracies: tuple[float, ...]
    seconds: float

    @property
    def proxy_accuracy(self) -> float:
        """Mean over the seeds."""
        return sum(self.accuracies) / len(self.accuracies)


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
        reports: whether accuracies on the way are reported, for a pruner.
    """

    data: TrainingSet
    validation: LabelledImages
    calibration: Tensor
    recipe: Recipe
    seeds: int
    seed: int
    reports: bool

    def __call__(self, payload: Architecture, report: ReportTo) -> CandidateResult:
        """Return the result of one architecture."""
        clock = Stopwatch(self.data.images.device)
        accuracies = tuple(self._train(payload, index, report) for index in range(self.seeds))
        return CandidateResult(accuracies, clock.seconds())

    def _train(self, architecture: Architecture, index: int, report: ReportTo) -> float:
        every = max(1, self.recipe.epochs // NUM_REPORTS)

        def after_epoch(model: nn.Module, log: EpochLog) -> None:
            if log.epoch % every == 0 and log.epoch < self.recipe.epochs:
                report(log.epoch, accuracy(model, self.validation))

        model = train_network(
            architecture,
            self.data,
            self.recipe,
            named_seed(self.seed, "candidate", index),
            calibration=self.calibration,
            after_epoch=after_epoch if self.reports and index == 0 else None,
        )
        return accuracy(model, self.validation)


def build_objective(
    dataset: Dataset, proxy: ProxyDataset, recipe: Recipe, *, seeds: int, seed: int, reports: bool
) -> ProxyObjective:
    """Gather what candidates need, on the data set's device."""
    return ProxyObjective(
        data=proxy.training_set(),
        validation=dataset.validation_part(recipe.validation_images),
        calibration=dataset.calibration_part(recipe.recalibrate_images),
        recipe=recipe,
        seeds=seeds,
        seed=seed,
        reports=reports,
    )
