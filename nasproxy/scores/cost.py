"""The size and cost of a network: the baselines that need no training at all."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from nasproxy.models.family import Architecture, build_model

_NORMS = {nn.BatchNorm2d, nn.GroupNorm}


class Cost(NamedTuple):
    """Trainable parameters, and floating-point operations of one image's forward pass.

    A multiply-add counts as two operations; norms, activations and pooling are not counted.
    """

    num_params: int
    num_flops: int


def measure_cost(
    architecture: Architecture, image_shape: tuple[int, int, int], num_classes: int
) -> Cost:
    """Count by torch's own counter, on the meta device: nothing is computed or allocated.

    Raises:
        ConfigError: the architecture does not fit images (C, H, W).
    """
    with torch.device("meta"):
        model = build_model(architecture, image_shape, num_classes)
    return cost_of(model, image_shape)


def cost_of(model: nn.Module, image_shape: tuple[int, ...]) -> Cost:
    """Count a network on the meta device, which cannot be used for anything else afterwards."""
    for layer in model.modules():
        if type(layer) in _NORMS:  # not counted, and half of the milliseconds that this takes
            layer.forward = _as_it_is
    model.eval()
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(torch.empty(1, *image_shape, device="meta"))
    return Cost(count_params(model), counter.get_total_flops())


def _as_it_is(input: Tensor) -> Tensor:
    return input


def count_params(model: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
