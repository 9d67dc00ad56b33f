"""The number format of the passes through a network that is trained."""

from __future__ import annotations

import contextlib

import torch

from nasproxy._environment import has_bfloat16
from nasproxy.config import Recipe
from nasproxy.errors import ConfigError


def forward_dtype(recipe: Recipe, device: torch.device) -> torch.dtype:
    """Return what convolutions and linear layers are computed in: float32 or bfloat16.

    Weights, their updates, norms and the loss are float32 in any case. `auto` is bfloat16 on CUDA
    devices that compute in it, float32 elsewhere.

    Raises:
        ConfigError: bfloat16 is asked for on a CUDA device without it.
    """
    fast = device.type == "cuda" and has_bfloat16()
    if recipe.precision == "bfloat16" and device.type == "cuda" and not fast:
        raise ConfigError(
            f"precision bfloat16 needs a GPU of 2020 or later, got "
            f"{torch.cuda.get_device_name()}: use precision auto or float32"
        )
    wanted = recipe.precision == "bfloat16" or (recipe.precision == "auto" and fast)
    return torch.bfloat16 if wanted else torch.float32


def in_dtype(dtype: torch.dtype, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Return the context of a forward pass in a dtype of `forward_dtype`."""
    if dtype == torch.float32:
        return contextlib.nullcontext()
    # each weight is used once a pass: keeping its bfloat16 copy would only hold memory
    return torch.autocast(device.type, dtype, cache_enabled=False)
