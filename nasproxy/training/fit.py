"""The training loop, top to bottom."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasproxy.config import Augmentation, Recipe
from nasproxy.data.augment import sample_change
from nasproxy.errors import EvaluationError


class EpochLog(NamedTuple):
    """The mean training loss of one epoch, counted from 1."""

    epoch: int
    loss: float


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
        recipe: epochs, batch size, learning rate and schedule.
        augmentation: drawn anew for every image and step, unless the recipe says none.
        generator: CPU source of the order of images and of the augmentation.
        forward: a compiled form of the model, used for whole batches; None: the model itself.

    Raises:
        EvaluationError: the loss is no longer finite.
    """
    per_epoch = math.ceil(len(images) / recipe.batch_size)
    losses = sgd(
        model,
        images,
        targets,
        recipe,
        batches=_shuffled(len(images), recipe, generator),
        num_steps=recipe.epochs * per_epoch,
        augmentation=augmentation,
        generator=generator,
        forward=forward,
    )
    for epoch in range(1, recipe.epochs + 1):
        model.train()
        total = torch.zeros((), device=images.device)
        for loss in islice(losses, per_epoch):
            total += loss
        mean_loss = total.item() / len(images)
        if not math.isfinite(mean_loss):
            raise EvaluationError(f"diverged: training loss {mean_loss} in epoch {epoch}")
        yield EpochLog(epoch, mean_loss)


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

    The model's mode is the caller's to set.

    Args:
        model: on the images' device.
        images: (N, C, H, W), normalised.
        targets: as for `fit`.
        recipe: batch size, learning rate and schedule.
        batches: indices int64 (B,), asked for one at a time.
        num_steps: that the schedule of the learning rate is spread over.
        augmentation: as for `fit`.
        generator: CPU source of the augmentation.
        forward: as for `fit`.
    """
    augmentation = augmentation if recipe.augmentation == "fitting" else Augmentation()
    optimizer = torch.optim.SGD(
        model.parameters(), recipe.lr, recipe.momentum, weight_decay=recipe.weight_decay
    )
    for step, chosen in enumerate(batches):
        chosen = chosen.to(images.device)
        optimizer.param_groups[0]["lr"] = recipe.lr * decay(recipe, step / num_steps)
        change = sample_change(augmentation, len(chosen), generator)
        batch = images[chosen] if change is None else change.apply(images[chosen])
        # another size would be compiled anew: the rest of an epoch runs as it is
        whole = len(chosen) == min(recipe.batch_size, len(images))
        run = model if forward is None or not whole else forward
        loss = F.cross_entropy(run(batch), targets[chosen])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        yield loss.detach() * len(chosen)


def _shuffled(count: int, recipe: Recipe, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield the batches of all epochs, shuffled anew at the start of each."""
    for _ in range(recipe.epochs):
        yield from torch.randperm(count, generator=generator).split(recipe.batch_size)


def decay(recipe: Recipe, done: float) -> float:
    """Return the factor on the learning rate after the share `done`, in [0, 1), of the steps."""
    if recipe.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    return 0.1 if recipe.schedule == "drop" and done >= 0.5 else 1.0
