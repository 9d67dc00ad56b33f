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

MIN_STEPS = 200
"""Steps from which compiling pays: it takes some 10 s and saves 50 to 500 ms a step of 256
images (ConvNets of width 24 to 64 on 28x28, one CPU thread, torch 2.15, 2026-11-22)."""


def can_compile(num_steps: int) -> bool:
    """Say whether a training of so many steps should be compiled on this machine.

    It needs a C++ compiler (`CXX`, c++ or g++), and no `NASPROXY_COMPILE=0` in the environment.
    """
    if num_steps < MIN_STEPS or os.environ.get("NASPROXY_COMPILE") == "0":
        return False
    compilers = (os.environ.get("CXX") or "c++", "g++")
    return sys.platform != "win32" and any(shutil.which(name) for name in compilers)


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
