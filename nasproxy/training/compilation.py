"""torch.compile, where it is there and pays."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from nasproxy.config import Recipe

MIN_PIXELS = 50_000_000
"""Pixels, repeats counted, from which a convolutional network's training is compiled.

Compiling takes some 10 s. Three epochs of MNIST are 127 million pixels and then take a half to a
third of the time (ConvNets of width 24 to 64, one CPU thread, torch 2.15, 2026-11-22).
"""


def can_compile() -> bool:
    """Say whether this machine has a C++ compiler and `NASPROXY_COMPILE` is not 0."""
    if os.environ.get("NASPROXY_COMPILE") == "0" or sys.platform == "win32":
        return False
    return any(shutil.which(name) for name in (os.environ.get("CXX") or "c++", "g++"))


def compiling_pays(model: nn.Module, images: Tensor, recipe: Recipe) -> bool:
    """Say whether a training on images (N, C, H, W) is long enough to be compiled first."""
    num_pixels = recipe.epochs * len(images) * images.shape[2] * images.shape[3]
    convolves = any(isinstance(module, nn.Conv2d) for module in model.modules())
    return num_pixels >= MIN_PIXELS and convolves and can_compile()


def compile_forward(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return the compiled network; parameters are shared with it.

    Each network is compiled for itself, within this process: worker processes are one thread
    each, and may not have children.
    """
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    import torch._inductor.config as inductor

    settings: Any = inductor
    settings.compile_threads = 1
    torch._dynamo.reset()
    forward: Callable[[Tensor], Tensor] = torch.compile(model, dynamic=False)
    return forward
