"""The study's search: every network of a small space, trained on the same data.

The study scored candidates on the very images they had been trained on, with one seed. Here they
are scored on validation images, with several; the study's own number is kept beside it as a
contrast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nasproxy._random import named_seed
from nasproxy._timing import Stopwatch
from nasproxy.config import Recipe
from nasproxy.data.dataset import LabelledImages
from nasproxy.errors import EvaluationError
from nasproxy.executors.base import Report, ReportTo, Task
from nasproxy.executors.choose import choose_executor
from nasproxy.models.family import Architecture
from nasproxy.progress import Progress, Watch
from nasproxy.search.space import load_space
from nasproxy.training.evaluate import accuracy
from nasproxy.training.network import TrainingSet, train_network

SPACE = "mlp20"


@dataclass(frozen=True)
class MlpTraining:
    """Trains one network; a payload is its architecture and the index of its seed."""

    data: TrainingSet
    own: LabelledImages
    """The training images with their hard labels."""
    validation: LabelledImages
    recipe: Recipe
    seed: int

    def __call__(self, payload: tuple[Architecture, int], report: ReportTo) -> dict[str, float]:
        """Return validation accuracy, accuracy on the training images, and seconds."""
        architecture, index = payload
        clock = Stopwatch(self.data.images.device)
        seed = named_seed(self.seed, "mlp", index)
        model = train_network(architecture, self.data, self.recipe, seed)
        seconds = clock.seconds()
        return {
            "validation": accuracy(model, self.validation),
            "own": accuracy(model, self.own),
            "seconds": seconds,
        }


def train_all(
    work: MlpTraining, seeds: int, *, workers: int | None, watch: Watch
) -> list[dict[str, Any]]:
    """Train all 20 networks `seeds` times.

    Returns:
        For each network its architecture, its scores and seconds a seed.

    Raises:
        EvaluationError: a training failed.
    """
    space = load_space(SPACE)
    architectures = [space.architecture(point) for point in space.points()]
    executor = choose_executor(work, work.validation.labels.device, workers)
    payloads = [(a, index) for index in range(seeds) for a in range(len(architectures))]
    waiting = iter([Task(key, (architectures[a], i)) for key, (a, i) in enumerate(payloads)])
    found: dict[int, dict[str, float]] = {}
    for event in executor.run(lambda: next(waiting, None)):
        if isinstance(event, Report):
            continue
        if event.error is not None:
            raise EvaluationError(f"training {event.key} failed: {event.error}")
        found[event.key] = event.value
        watch(Progress("search", len(found), len(payloads)))
    return [
        {
            "architecture": architecture,
            **{
                name: [found[index * len(architectures) + a][name] for index in range(seeds)]
                for name in ("validation", "own", "seconds")
            },
        }
        for a, architecture in enumerate(architectures)
    ]
