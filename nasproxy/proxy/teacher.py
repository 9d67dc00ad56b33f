"""Teachers: networks trained on the full training split, whose opinion becomes a soft label."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from nasproxy.config import full_recipe
from nasproxy.data.dataset import Dataset
from nasproxy.errors import ConfigError
from nasproxy.models.family import Architecture
from nasproxy.progress import Watch
from nasproxy.training.apprentice import data_identity, train_experts
from nasproxy.training.expert import Expert, ExpertPlan, check_data, load_experts, outputs

TEACHER: Architecture = {"family": "convnet", "depth": 3, "width": 32}
NUM_TEACHERS = 2
TEMPERATURE = 4.0
"""Teachers are nearly sure of everything (99% accuracy on MNIST), so their probabilities say little
more than hard labels do: 100 random images of MNIST train ConvNet-3 of width 32 to 93.4% of
validation images with hard labels, and to 93.9, 95.2, 95.9, 95.6% with labels at temperature 1, 2,
4, 8 (200 epochs, 2 seeds, 2026-11-22: docs/log.md)."""


class Teaching(NamedTuple):
    """What teachers say, what it cost and who they are.

    Attributes:
        soft_labels: (N, K) float32 class probabilities.
        seconds: wall seconds of the teachers' trainings, in this run or an earlier one.
        record: JSON values for a manifest.
    """

    soft_labels: Tensor
    seconds: float
    record: dict[str, Any]


def teach(
    dataset: Dataset,
    images: Tensor,
    *,
    experts: Path | None,
    num_teachers: int | None,
    epochs: int | None,
    temperature: float,
    seed: int,
    workers: int | None,
    watch: Watch,
) -> Teaching:
    """Return the mean of the teachers' class probabilities for images.

    Args:
        dataset: whose training split the teachers learn, on the device to train on.
        images: (N, C, H, W) normalised.
        experts: folder to train teachers into, as many as it lacks; or one of other networks,
            such as the experts of a distillation, which then are the teachers, all of them;
            None: train them and throw them away.
        num_teachers: to train; None: 2.
        epochs: on the full training split; None: as many as verification takes.
        temperature: that logits are divided by.
        seed: root of their chance.
        workers: processes; None: what fits the device.
        watch: told of their training.

    Raises:
        ArtifactError: networks there are damaged, or of other data or size.
        ConfigError: they are other ones than `num_teachers` and `epochs` ask for, or the
            temperature is next to nothing.
        EvaluationError: a training failed.
    """
    recipe = full_recipe(len(dataset.train))
    if epochs is not None:
        recipe = recipe.replace(epochs=epochs)
    plan = ExpertPlan(
        architecture=TEACHER,
        recipe=recipe,
        num_periods=recipe.epochs,
        num_snapshots=1,
    )
    with _folder(experts) as folder:
        there = list(folder.glob("expert-*.json"))
        teachers = load_experts(folder) if there else []
        if all(teacher.record.plan == plan for teacher in teachers):
            teachers = train_experts(
                dataset,
                plan,
                folder,
                num_experts=NUM_TEACHERS if num_teachers is None else num_teachers,
                seed=seed,
                workers=workers,
                watch=watch,
            )
        else:
            _refuse_options(teachers, folder, num_teachers, epochs)
        for teacher in teachers:
            check_data(teacher, data_identity(dataset), dataset.image_shape)
        soft_labels = (outputs(teachers, images) / temperature).softmax(2).mean(0)
    if not soft_labels.isfinite().all():
        raise ConfigError(f"temperature {temperature} leaves no numbers: use more (--temperature)")
    records = [teacher.record for teacher in teachers]
    seconds = sum(record.seconds for record in records)
    record = {
        "architecture": records[0].plan.architecture,
        "recipe": records[0].plan.recipe.to_dict(),
        "validation_accuracy": [record.validation_accuracy for record in records],
        "sha256": [record.tensors_sha256 for record in records],
        "temperature": temperature,
        "seconds": seconds,
    }
    return Teaching(soft_labels, seconds, record)


def _refuse_options(
    teachers: list[Expert], folder: Path, num_teachers: int | None, epochs: int | None
) -> None:
    """Refuse options of teachers to train where others are there, which teach as they are."""
    found = teachers[0].record.plan.recipe.epochs
    asked = {"teachers": (num_teachers, len(teachers)), "teacher-epochs": (epochs, found)}
    for option, (wanted, there) in asked.items():
        if wanted is not None and wanted != there:
            raise ConfigError(
                f"{folder} holds {len(teachers)} networks of another kind, trained for {found} "
                f"epochs, which all teach: leave out --{option} {wanted}, or choose another "
                "--experts-dir"
            )


@contextlib.contextmanager
def _folder(chosen: Path | None) -> Iterator[Path]:
    if chosen is not None:
        yield chosen
        return
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)
