"""The making of experts: in parallel, one after another where interrupted, snapshots kept."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from nasproxy._environment import versions
from nasproxy._files import ensure_folder, sha256_of, write_bytes, write_json
from nasproxy._random import named_generator, named_seed
from nasproxy.data.dataset import Dataset, LabelledImages
from nasproxy.errors import ArtifactError, EvaluationError
from nasproxy.executors.base import Report, ReportTo, Task
from nasproxy.executors.choose import choose_executor
from nasproxy.executors.engine import Engine
from nasproxy.models.family import build_model
from nasproxy.progress import Progress, Watch, unwatched
from nasproxy.training.evaluate import accuracy
from nasproxy.training.expert import (
    Expert,
    ExpertPlan,
    ExpertRecord,
    check_data,
    check_plan,
    expert_path,
    flat,
    load_expert,
    statistics,
)
from nasproxy.training.fit import sgd
from nasproxy.training.network import TrainingSet, build_start

Curriculum = Callable[[int], Tensor]
"""Names the images that are in use in a period, counted from 0: ascending int64 (M,)."""


@dataclass(frozen=True)
class ExpertTraining:
    """Trains an expert and writes its tensors; a payload is its number.

    Picklable work for any executor.
    """

    data: TrainingSet
    validation: LabelledImages
    plan: ExpertPlan
    folder: Path
    seed: int
    curriculum: Curriculum | None = None

    def __call__(self, payload: int, report: ReportTo) -> dict[str, Any]:
        """Return the parts of the record that only the training knows.

        Raises:
            EvaluationError: the training diverged.
        """
        plan = self.plan
        seed = named_seed(self.seed, "expert", payload)
        # trajectories are matched weight by weight: bfloat16 would only add noise to them
        recipe = plan.recipe.replace(precision="float32")
        start = build_start(plan.architecture, self.data, recipe, seed)
        generator = named_generator(seed, "batches")
        losses = sgd(
            start.model,
            start.images,
            self.data.targets,
            recipe,
            batches=self._batches(generator),
            num_steps=sum(self._num_steps(period) for period in range(plan.num_periods)),
            augmentation=self.data.augmentation,
            generator=generator,
            forward=start.forward,
        )
        parameters = list(start.model.parameters())
        snapshots = [flat(parameters)]
        for period in range(plan.num_periods):
            start.model.train()
            total = torch.zeros((), device=start.images.device)
            for loss in islice(losses, self._num_steps(period)):
                total += loss
            if not math.isfinite(total.item()):
                raise EvaluationError(f"diverged in period {period + 1}: use a smaller expert_lr")
            if len(snapshots) < plan.num_snapshots:
                snapshots.append(flat(parameters))
            report(period + 1, total.item())
        content = save(
            {
                "snapshots": torch.stack(snapshots),
                "final": flat(parameters),
                "buffers": flat(statistics(start.model)),
            }
        )
        write_bytes(expert_path(self.folder, payload), content)
        return {
            "seed": seed,
            "num_parameters": len(snapshots[0]),
            "validation_accuracy": accuracy(start.model, self.validation),
            "tensors_sha256": sha256_of([content]),
        }

    def _in_use(self, period: int) -> Tensor:
        everything = torch.arange(len(self.data.targets))
        return everything if self.curriculum is None else self.curriculum(period)

    def _num_steps(self, period: int) -> int:
        passing = math.ceil(len(self._in_use(period)) / self.plan.recipe.batch_size)
        return self.plan.period_steps or passing

    def _batches(self, generator: torch.Generator) -> Iterator[Tensor]:
        """Yield batches of indices: passes over the images in use, begun anew in each period."""
        for period in range(self.plan.num_periods):
            members = self._in_use(period)
            left = self._num_steps(period)
            while left:
                order = members[torch.randperm(len(members), generator=generator)]
                batches = order.split(self.plan.recipe.batch_size)[:left]
                left -= len(batches)
                yield from batches


def train_experts(
    dataset: Dataset,
    plan: ExpertPlan,
    folder: Path,
    *,
    num_experts: int,
    seed: int,
    curriculum: Callable[[], Curriculum] | None = None,
    workers: int | None = None,
    engine: Engine = None,
    watch: Watch = unwatched,
) -> list[Expert]:
    """Train the experts of a folder that are not there yet, several at once.

    Args:
        dataset: on the device to train on.
        plan: that all follow.
        folder: to be created or gone on with.
        num_experts: wanted in all.
        seed: root of the new ones' chance.
        curriculum: makes what names the images in use; asked only if an expert is missing.
        workers: processes; None: one a core on a CPU, this one on a GPU.
        engine: `serial`, `processes` or `ray`, or with its limits; None: what fits.
        watch: told of snapshots and of finished experts.

    Raises:
        ArtifactError: an expert there is damaged, or another than wanted; the disk is too small.
        EvaluationError: a training failed.
    """
    folder = folder.absolute()  # workers elsewhere have other working folders
    data = data_identity(dataset)
    missing = []
    for index in range(num_experts):
        if not expert_path(folder, index).with_suffix(".json").exists():
            missing.append(index)
            continue
        expert = load_expert(folder, index)
        check_data(expert, data, dataset.image_shape)
        check_plan(expert, plan)
    if missing:
        ensure_folder(folder)
        size = expert_bytes(dataset, plan)
        _refuse_small_disk(folder, size * len(missing))
        said = f"{plan.num_snapshots} snapshots each, {size * num_experts / 2**20:,.0f} MiB on disk"
        watch(Progress("experts", num_experts - len(missing), num_experts, said))
        train = dataset.train
        work = ExpertTraining(
            TrainingSet(train.images, train.labels, dataset.num_classes, dataset.augmentation),
            dataset.validation,
            plan,
            folder,
            seed,
            curriculum() if curriculum else None,
        )
        _train_missing(
            work,
            missing,
            dataset,
            num_experts=num_experts,
            workers=workers,
            engine=engine,
            watch=watch,
        )
    return [load_expert(folder, index) for index in range(num_experts)]


def data_identity(dataset: Dataset) -> dict[str, Any]:
    """Return what decides the training images: settings and fingerprint."""
    return {**dataset.config.identity(), "sha256": dataset.fingerprint}


def expert_bytes(dataset: Dataset, plan: ExpertPlan) -> int:
    """Return the size of one expert's file, headers left out."""
    model = build_model(plan.architecture, dataset.image_shape, dataset.num_classes)
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    return 4 * num_parameters * (plan.num_snapshots + 1)


def _train_missing(
    work: ExpertTraining,
    missing: list[int],
    dataset: Dataset,
    *,
    num_experts: int,
    workers: int | None,
    engine: Engine,
    watch: Watch,
) -> None:
    """Run the trainings; each expert's record is written when its tensors are on disk."""
    waiting = iter([Task(index, index) for index in missing])
    done = num_experts - len(missing)
    executor = choose_executor(work, dataset.train.labels.device, workers, engine)
    before = time.monotonic()
    for event in executor.run(lambda: next(waiting, None)):
        if isinstance(event, Report):
            said = f"expert {event.key}: period {event.step} of {work.plan.num_periods}"
            watch(Progress("experts", done, num_experts, said))
            continue
        if event.error is not None:
            raise EvaluationError(f"expert {event.key} failed: {event.error}")
        now = time.monotonic()
        record = ExpertRecord(
            plan=work.plan,
            dataset=dataset.config.dataset,
            data=data_identity(dataset),
            image_shape=dataset.image_shape,
            num_classes=dataset.num_classes,
            seconds=now - before,
            versions=versions(),
            **event.value,
        )
        before = now
        write_json(expert_path(work.folder, event.key).with_suffix(".json"), record.to_dict())
        done += 1
        said = f"expert {event.key}: {record.validation_accuracy:.1%} on validation images"
        watch(Progress("experts", done, num_experts, said))


def _refuse_small_disk(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ArtifactError(
            f"the experts need {needed / 2**30:.1f} GiB in {folder}, which has {free / 2**30:.1f}: "
            "use fewer --experts, a smaller --max-start or another --experts-dir"
        )
