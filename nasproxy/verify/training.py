"""One full training of one architecture with one seed: the unit of truth, never repeated."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasproxy._files import read_json, write_json
from nasproxy._random import named_seed
from nasproxy._timing import Stopwatch
from nasproxy.config import Recipe
from nasproxy.data.dataset import LabelledImages
from nasproxy.executors.base import ReportTo
from nasproxy.models.family import Architecture
from nasproxy.training.evaluate import score
from nasproxy.training.metric import METRICS
from nasproxy.training.network import TrainingSet, train_network


@dataclass(frozen=True)
class FullTraining:
    """Trains on the full training split, scores on validation and test.

    Picklable work for any executor; a payload is an architecture and the index of a seed.
    """

    data: TrainingSet
    validation: LabelledImages
    test: LabelledImages
    recipe: Recipe
    seed: int

    def __call__(
        self, payload: tuple[Architecture, int], report: ReportTo
    ) -> dict[str, float | None]:
        """Return the scores on both, in [0, 1], and wall and processor seconds of the training."""
        architecture, index = payload
        clock, before = Stopwatch(self.data.images.device), time.process_time()
        seed = named_seed(self.seed, "full", index)
        model = train_network(architecture, self.data, self.recipe, seed)
        seconds, cpu_seconds = clock.seconds(), time.process_time() - before
        full, test = score(model, self.validation), score(model, self.test)
        return {
            **{f"full_{name}": value for name, value in full._asdict().items()},
            **{f"test_{name}": value for name, value in test._asdict().items()},
            "seconds": seconds,
            "cpu_seconds": cpu_seconds,
        }


class TrainingRecords:
    """A folder of finished full trainings, one small file each, named by what went in.

    Older records hold accuracies alone; where `metric` is another, they count as not there.
    """

    def __init__(
        self,
        folder: Path,
        *,
        data: dict[str, Any],
        recipe: Recipe,
        seed: int,
        metric: str = METRICS[0],
    ) -> None:
        self._folder = folder
        self._needed = f"full_{metric}"
        self._key = {"data": data, "recipe": recipe.to_dict(), "seed": seed}

    def path(self, architecture: Architecture, index: int) -> Path:
        """Return where the record of a training is or will be."""
        key = json.dumps([self._key, architecture, index], sort_keys=True)
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"

    def read(self, architecture: Architecture, index: int) -> dict[str, Any] | None:
        """Return the record of a finished training, or None."""
        path = self.path(architecture, index)
        record: dict[str, Any] = read_json(path) if path.exists() else {}
        return record if record.get(self._needed) is not None else None

    def write(self, architecture: Architecture, index: int, result: dict[str, Any]) -> None:
        """Keep the result of a training, with all that it depends on."""
        record = {**self._key, "architecture": architecture, "seed_index": index, **result}
        write_json(self.path(architecture, index), record)
