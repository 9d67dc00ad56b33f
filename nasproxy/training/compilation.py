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
from nasproxy.models.base import FeatureNet

MIN_ACTIVATIONS = 1_000_000_000
"""Activations of a training's forward passes from which it is compiled.

Compiling takes some 10 s and a step then takes a half to a third of the time. 100 images x 300
epochs of a ConvNet of depth 2 and width 24 on 28x28 are 0.7 billion and take 22 s as they are
(one CPU thread, torch 2.15, 2026-11-22).
"""


def can_compile() -> bool:
    """Say whether this machine has a C++ compiler and `NASPROXY_COMPILE` is not 0."""
    if os.environ.get("NASPROXY_COMPILE") == "0" or sys.platform == "win32":
        return False
    return any(shutil.which(name) for name in (os.environ.get("CXX") or "c++", "g++"))


def compiling_pays(model: nn.Module, images: Tensor, recipe: Recipe) -> bool:
    """Say whether a training on images (N, C, H, W) is long enough to be compiled first.

    Networks without convolutions are not: their steps are short. Off the CPU, none is: a GPU
    would be through before the compiler (see `graph`).
    """
    convolves = any(isinstance(module, nn.Conv2d) for module in model.modules())
    if images.device.type != "cpu" or not convolves:
        return False
    if not isinstance(model, FeatureNet) or not can_compile():
        return False
    with torch.no_grad():
        per_image = sum(layer.numel() for layer in model.eval().features(images[:1]).layers)
    num_seen = len(images) * recipe.epochs
    if recipe.steps is not None:
        num_seen = recipe.steps * min(recipe.batch_size, len(images))
    return per_image * num_seen >= MIN_ACTIVATIONS


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
