"""A network from its architecture to its trained weights."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nasproxy._random import named_generator, named_seed
from nasproxy.config import Augmentation, Recipe
from nasproxy.models.base import FeatureNet
from nasproxy.models.family import Architecture, build_model
from nasproxy.models.norm import recalibrate_batch_norm
from nasproxy.training.compilation import compile_forward, compiling_pays
from nasproxy.training.fit import EpochLog, fit


@dataclass(frozen=True)
class TrainingSet:
    """What a network is trained on.

    Attributes:
        images: (N, C, H, W) float32, normalised.
        targets: labels int64 (N,), or class probabilities float32 (N, K).
        num_classes: K.
        augmentation: that fits these images.
        step_size: learning rate of plain SGD that was learned with the images, or None.
    """

    images: Tensor
    targets: Tensor
    num_classes: int
    augmentation: Augmentation
    step_size: float | None = None


class Start(NamedTuple):
    """A network about to be trained.

    Attributes:
        model: on the images' device.
        images: (N, C, H, W) in the layout that suits it.
        forward: its compiled form, or None.
    """

    model: nn.Module
    images: Tensor
    forward: Callable[[Tensor], Tensor] | None


def train_network(
    architecture: Architecture,
    data: TrainingSet,
    recipe: Recipe,
    seed: int,
    *,
    calibration: Tensor | None = None,
    after_epoch: Callable[[nn.Module, EpochLog], None] | None = None,
) -> nn.Module:
    """Build and train a network; same arguments, same weights on CPU.

    A long training is compiled first where a C++ compiler is there, which changes the weights by
    rounding: `NASPROXY_COMPILE=0` turns that off.

    Args:
        architecture: family and settings.
        data: images and targets, on the device to train on.
        recipe: how.
        seed: of the weights, the order of images and the augmentation.
        calibration: (M, C, H, W) real images on which BatchNorm's statistics are re-estimated.
        after_epoch: called with the network and the log; what it raises ends the training.

    Raises:
        ConfigError: the architecture does not fit the images.
        EvaluationError: the training diverged.
    """
    recipe = _with_learned_step_size(recipe, data)
    start = build_start(architecture, data, recipe, seed)
    epochs = fit(
        start.model,
        start.images,
        data.targets,
        recipe,
        augmentation=data.augmentation,
        generator=named_generator(seed, "batches"),
        forward=start.forward,
    )
    with _chance_of_its_own(start.model, seed):
        for log in epochs:
            if after_epoch is not None:
                after_epoch(start.model, log)
    if calibration is not None:
        recalibrate_batch_norm(start.model, calibration)
    return start.model


def build_start(architecture: Architecture, data: TrainingSet, recipe: Recipe, seed: int) -> Start:
    """Build a network, its weights drawn from the seed, and make it ready for a fast training.

    Raises:
        ConfigError: the architecture does not fit the images.
    """
    channels, height, width = data.images.shape[1:]
    model = build_model(
        architecture,
        (channels, height, width),
        data.num_classes,
        named_generator(seed, "weights"),
    ).to(data.images.device)
    compiled = compiling_pays(model, data.images, recipe)
    layout = torch.channels_last if compiled else _fastest_layout(model)
    model = model.to(memory_format=layout)
    images = data.images.contiguous(memory_format=layout)
    return Start(model, images, compile_forward(model) if compiled else None)


def _with_learned_step_size(recipe: Recipe, data: TrainingSet) -> Recipe:
    """Take the images' own step size where the recipe wants it: it was learned for plain SGD."""
    if not recipe.learned_step_size or data.step_size is None:
        return recipe
    return recipe.replace(lr=data.step_size, momentum=0.0, weight_decay=0.0, schedule="constant")


@contextlib.contextmanager
def _chance_of_its_own(model: nn.Module, seed: int) -> Iterator[None]:
    """Seed torch's global generators for networks made by others, whose dropout draws from them."""
    if isinstance(model, FeatureNet):
        yield
        return
    with torch.random.fork_rng():
        for default in (torch.default_generator, *torch.cuda.default_generators):
            default.manual_seed(named_seed(seed, "forward"))
        yield


def _fastest_layout(model: nn.Module) -> torch.memory_format:
    if not isinstance(model, FeatureNet):
        return torch.contiguous_format  # others may flatten by `view`, which channels_last forbids
    # GroupNorm with several groups is up to 4x slower in channels_last, all else is up to
    # 2x faster (2 CPU cores, torch 2.15, 2026-11-22)
    grouped = any(isinstance(m, nn.GroupNorm) and m.num_groups > 1 for m in model.modules())
    return torch.contiguous_format if grouped else torch.channels_last
