"""What every network here offers, and its seeded initialization."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nasproxy.errors import ConfigError

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leakyrelu": nn.LeakyReLU,
    "sigmoid": nn.Sigmoid,
}
MIN_SIDE = 8
"""Pixels that networks of a fixed depth need on each side."""
SMALL_SIDE = 64
"""Pixels on the shorter side from which such networks have the stem made for ImageNet."""


class Features(NamedTuple):
    """What a network sees on the way.

    `layers`: one (N, C_l, H_l, W_l) tensor a layer, after its activation, before pooling;
    `embedding`: (N, D), what the classifier reads.
    """

    layers: list[Tensor]
    embedding: Tensor


class FeatureNet(nn.Module):
    """A network whose features can be matched: subclasses define `features`."""

    classifier: nn.Linear

    def features(self, images: Tensor) -> Features:
        """Return the features of images (N, C, H, W)."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, K) of images (N, C, H, W)."""
        logits: Tensor = self.classifier(self.features(images).embedding)
        return logits


def check_side(family: str, image_shape: tuple[int, int, int]) -> None:
    """Refuse images (C, H, W) that are too small for a network of a fixed depth.

    Raises:
        ConfigError: a side is below 8 pixels.
    """
    _, height, width = image_shape
    if min(height, width) < MIN_SIDE:
        raise ConfigError(
            f"{family} needs images of at least {MIN_SIDE}x{MIN_SIDE} pixels, got "
            f"{height}x{width}: use larger images or another family"
        )


def is_small(image_shape: tuple[int, int, int]) -> bool:
    """Say whether images (C, H, W) are too small for a stem made for ImageNet."""
    return min(image_shape[1:]) < SMALL_SIDE


@torch.no_grad()
def initialize(model: nn.Module, generator: torch.Generator) -> None:
    """Draw all weights anew from a CPU generator, with PyTorch's default distributions.

    Kaiming-uniform weights with a = sqrt(5) and uniform biases of bound 1/sqrt(fan_in), for
    convolutions and linear layers; normalization layers start as the identity.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            bound = 1 / math.sqrt(module.weight[0].numel())
            for parameter in (module.weight, module.bias):
                if parameter is not None:
                    drawn = torch.rand(parameter.shape, generator=generator) * 2 * bound - bound
                    parameter.copy_(drawn)
        elif isinstance(module, nn.GroupNorm | nn.modules.batchnorm._BatchNorm):
            module.reset_parameters()
