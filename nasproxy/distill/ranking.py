"""The ranking of real images by difficulty, by networks trained for it; kept beside the experts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from nasproxy._files import check_file, read_json, sha256_of, write_bytes, write_json
from nasproxy._random import named_seed
from nasproxy._timing import Stopwatch
from nasproxy.config import Recipe
from nasproxy.data.dataset import Dataset
from nasproxy.distill.difficulty import el2n, forgetting, gradient_norm
from nasproxy.errors import ArtifactError, EvaluationError
from nasproxy.executors.base import Report, ReportTo, Task
from nasproxy.executors.choose import choose_executor
from nasproxy.executors.engine import Engine
from nasproxy.models.base import FeatureNet
from nasproxy.models.family import Architecture
from nasproxy.progress import Progress, Watch
from nasproxy.training.apprentice import data_identity
from nasproxy.training.fit import EpochLog
from nasproxy.training.network import TrainingSet, train_network

TENSORS_FILE = "difficulty.safetensors"
RECORD_FILE = "difficulty.json"
MAX_TENSORS_BYTES = 2**30
MAX_SECONDS = 1e12
_BATCH = 500


@dataclass(frozen=True)
class RankingTraining:
    """Trains a network on all images and scores each; a payload is the network's number.

    Picklable work for any executor.
    """

    data: TrainingSet
    architecture: Architecture
    recipe: Recipe
    difficulty: str
    seed: int

    def __call__(self, payload: int, report: ReportTo) -> npt.NDArray[np.float32]:
        """Return scores (N,), greater is harder."""
        correct: list[Tensor] = []

        def after_epoch(model: nn.Module, log: EpochLog) -> None:
            if self.difficulty == "forgetting":
                correct.append(self._outputs(model)[0].argmax(1) == self.data.targets)

        seed = named_seed(self.seed, "difficulty", payload)
        model = train_network(
            self.architecture, self.data, self.recipe, seed, after_epoch=after_epoch
        )
        if self.difficulty == "forgetting":
            scores = forgetting(torch.stack(correct))
        else:
            logits, embedding = self._outputs(model)
            scores = (
                el2n(logits, self.data.targets)
                if self.difficulty == "el2n"
                else gradient_norm(logits, embedding, self.data.targets)
            )
        found: npt.NDArray[np.float32] = scores.cpu().numpy()
        return found

    @torch.no_grad()
    def _outputs(self, model: nn.Module) -> tuple[Tensor, Tensor]:
        """Return logits (N, K) and embeddings (N, D) of the images as they are."""
        assert isinstance(model, FeatureNet)
        model.eval()
        seen = [model.features(batch).embedding for batch in self.data.images.split(_BATCH)]
        embedding = torch.cat(seen)
        return model.classifier(embedding), embedding


@dataclass(frozen=True)
class Ranking:
    """How the images of a data set are ranked, and where that is kept.

    Attributes:
        dataset: on the device to train on.
        folder: of the experts.
        architecture: of the networks that rank.
        recipe: of their training.
        difficulty: `el2n`, `gradient` or `forgetting`.
        num_networks: whose scores are averaged.
        seed: root of chance.
    """

    dataset: Dataset
    folder: Path
    architecture: Architecture
    recipe: Recipe
    difficulty: str
    num_networks: int
    seed: int

    def scores(self, workers: int | None, watch: Watch, engine: Engine = None) -> Tensor:
        """Return scores (N,) of the training images, greater is harder: read, or measured.

        Raises:
            ArtifactError: the folder holds another ranking, or a damaged one.
            EvaluationError: a training failed.
        """
        if (self.folder / RECORD_FILE).exists():
            return self._read()
        clock = Stopwatch(self.dataset.train.labels.device)
        scores = self._measure(workers, watch, engine)
        content = save({"scores": scores})
        write_bytes(self.folder / TENSORS_FILE, content)
        record = {**self._key(), "seconds": clock.seconds(), "sha256": sha256_of([content])}
        write_json(self.folder / RECORD_FILE, record)
        return scores

    def seconds(self) -> float:
        """Return the wall seconds that the ranking took, 0 where there is none.

        Raises:
            ArtifactError: its record is damaged.
        """
        path = self.folder / RECORD_FILE
        record = read_json(path) if path.exists() else {"seconds": 0.0}
        seconds = record.get("seconds") if isinstance(record, dict) else None
        if not isinstance(seconds, int | float) or not 0 <= seconds <= MAX_SECONDS:
            raise ArtifactError(f"{path} does not say how long the ranking took: delete it")
        return float(seconds)

    def _key(self) -> dict[str, Any]:
        return {
            "data": data_identity(self.dataset),
            "image_shape": list(self.dataset.image_shape),
            "architecture": self.architecture,
            "recipe": self.recipe.to_dict(),
            "difficulty": self.difficulty,
            "num_networks": self.num_networks,
        }

    def _read(self) -> Tensor:
        path = self.folder / TENSORS_FILE
        record = read_json(self.folder / RECORD_FILE)
        key = self._key()
        if not isinstance(record, dict) or any(record.get(n) != v for n, v in key.items()):
            raise ArtifactError(
                f"{path} ranks other images, or in another way: choose another --out or "
                "--experts-dir"
            )
        try:
            check_file(path, MAX_TENSORS_BYTES)
            content = path.read_bytes()
            if sha256_of([content]) != record.get("sha256"):
                raise ArtifactError(
                    f"{path} is cut off or was changed: delete {RECORD_FILE} to rank anew"
                )
            scores = load(content)["scores"]
        except OSError as error:
            raise ArtifactError(f"cannot read {path}: {error.strerror}") from error
        except (SafetensorError, KeyError) as error:
            raise ArtifactError(f"{path} holds no scores: delete {RECORD_FILE}") from error
        self._check_scores(path, scores)
        return scores

    def _check_scores(self, path: Path, scores: Tensor) -> None:
        num_images = len(self.dataset.train)
        if scores.shape != (num_images,) or scores.dtype != torch.float32:
            raise ArtifactError(
                f"{path} holds {scores.dtype} {tuple(scores.shape)} instead of a score each for "
                f"{num_images:,} images: delete {RECORD_FILE} to rank anew"
            )
        if not scores.isfinite().all():
            raise ArtifactError(
                f"{path} holds scores that are no finite numbers: delete {RECORD_FILE} to rank anew"
            )

    def _measure(self, workers: int | None, watch: Watch, engine: Engine) -> Tensor:
        train = self.dataset.train
        data = TrainingSet(
            train.images, train.labels, self.dataset.num_classes, self.dataset.augmentation
        )
        # as the experts: see apprentice
        recipe = self.recipe.replace(precision="float32")
        work = RankingTraining(data, self.architecture, recipe, self.difficulty, self.seed)
        waiting = iter([Task(index, index) for index in range(self.num_networks)])
        found: dict[int, Tensor] = {}
        watch(Progress("ranking", 0, self.num_networks, f"images by {self.difficulty}"))
        for event in choose_executor(work, train.labels.device, workers, engine).run(
            lambda: next(waiting, None)
        ):
            if isinstance(event, Report):
                continue
            if event.error is not None:
                raise EvaluationError(f"ranking the images failed: {event.error}")
            found[event.key] = torch.from_numpy(event.value)
            watch(Progress("ranking", len(found), self.num_networks, f"by {self.difficulty}"))
        # in the order of the networks, not of their ends: sums of floats depend on it
        return torch.stack([found[index] for index in range(self.num_networks)]).mean(0)
