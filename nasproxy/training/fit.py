"""The training loop, top to bottom."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor, nn

from nasproxy.config import Augmentation, Recipe
from nasproxy.errors import EvaluationError
from nasproxy.training.draw import Draw, draw_steps
from nasproxy.training.graph import CudaRecorder, ReplayedStep, replaying_pays
from nasproxy.training.step import SgdStep

UNREAD_EPOCHS = 20
"""On a GPU, epochs whose losses are read together: reading one waits for all that is queued."""


@dataclass(frozen=True)
class EpochLog:
    """What an epoch, counted from 1, was like; of a recipe with `steps`, a tenth of them.

    Attributes:
        epoch: its number.
        total: () loss summed over the images, on the device.
        num_images: that were seen.
    """

    epoch: int
    total: Tensor
    num_images: int

    @property
    def loss(self) -> float:
        """The mean training loss; reading it waits for the device."""
        return self.total.item() / self.num_images


def fit(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    recipe: Recipe,
    *,
    augmentation: Augmentation,
    generator: torch.Generator,
    forward: Callable[[Tensor], Tensor] | None = None,
) -> Iterator[EpochLog]:
    """Train a network in place by SGD on cross-entropy, yielding after every epoch.

    Args:
        model: on the images' device.
        images: (N, C, H, W), normalised.
        targets: labels int64 (N,), or class probabilities float32 (N, K).
        recipe: epochs or steps, batch size, learning rate and schedule.
        augmentation: drawn anew for every image and step, unless the recipe says none.
        generator: CPU source of the order of images and of the augmentation.
        forward: a compiled form of the model, used for whole batches; None: the model itself.

    Raises:
        EvaluationError: the loss is no longer finite; on a GPU, some epochs later.
    """
    num_steps, per_period = recipe.num_steps(len(images)), recipe.period_steps(len(images))
    num_periods = recipe.num_periods(len(images))
    losses = sgd(
        model,
        images,
        targets,
        recipe,
        batches=islice(_shuffled(len(images), recipe.batch_size, generator), num_steps),
        num_steps=num_steps,
        augmentation=augmentation,
        generator=generator,
        forward=forward,
    )
    patience = 1 if images.device.type == "cpu" else UNREAD_EPOCHS
    unread: list[EpochLog] = []
    seen = 0
    for period in range(1, num_periods + 1):
        model.train()
        total = torch.zeros((), device=images.device)
        for loss in islice(losses, per_period):
            total += loss
        before, seen = seen, _num_seen(min(period * per_period, num_steps), len(images), recipe)
        log = EpochLog(period, total, seen - before)
        unread.append(log)
        if len(unread) == patience or period == num_periods:
            _refuse_divergence(unread)
            unread.clear()
        yield log


def _refuse_divergence(logs: list[EpochLog]) -> None:
    totals: list[float] = torch.stack([log.total for log in logs]).tolist()
    for log, total in zip(logs, totals, strict=True):
        if not math.isfinite(total):
            mean = total / log.num_images
            raise EvaluationError(f"diverged: training loss {mean} in epoch {log.epoch}")


def sgd(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    recipe: Recipe,
    *,
    batches: Iterable[Tensor],
    num_steps: int,
    augmentation: Augmentation,
    generator: torch.Generator,
    forward: Callable[[Tensor], Tensor] | None = None,
) -> Iterator[Tensor]:
    """Do one step of SGD for each batch, yielding its summed loss (), on the device.

    The model's mode is the caller's to set. On CUDA, whole batches are replayed from a recording
    where that pays.

    Args:
        model: on the images' device.
        images: (N, C, H, W), normalised.
        targets: as for `fit`.
        recipe: batch size, learning rate, schedule and precision.
        batches: indices int64 (B,), asked for one at a time.
        num_steps: that the schedule of the learning rate is spread over.
        augmentation: as for `fit`.
        generator: CPU source of the augmentation.
        forward: as for `fit`.
    """
    augmentation = augmentation if recipe.augmentation == "fitting" else Augmentation()
    step = SgdStep(model, images, targets, recipe, forward)
    run: Callable[[Draw], Tensor] = step
    if forward is None and replaying_pays(images, num_steps):
        run = ReplayedStep(step, step.whole, CudaRecorder())
    for index, draw in enumerate(draw_steps(batches, augmentation, generator, images.device)):
        step.set_lr(recipe.lr * decay(recipe, index / num_steps))
        yield run(draw) * len(draw.chosen)


def _num_seen(num_steps: int, count: int, recipe: Recipe) -> int:
    """Return the images of so many steps, one that came twice counted twice."""
    epochs, rest = divmod(num_steps, math.ceil(count / recipe.batch_size))
    return epochs * count + rest * recipe.batch_size


def _shuffled(count: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield the batches of one epoch after another, shuffled anew at the start of each."""
    while True:
        yield from torch.randperm(count, generator=generator).split(batch_size)


def decay(recipe: Recipe, done: float) -> float:
    """Return the factor on the learning rate after the share `done`, in [0, 1), of the steps."""
    if recipe.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    return 0.1 if recipe.schedule == "drop" and done >= 0.5 else 1.0
