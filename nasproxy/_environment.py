"""What a result was made with: versions, hardware, device."""

from __future__ import annotations

import os
import platform
from importlib import metadata

import torch

from nasproxy.errors import ConfigError, nearest

_PACKAGES = ("nasproxy", "torch", "optuna", "numpy")


def versions() -> dict[str, str]:
    """Return the versions of Python and the packages that shape a result, and the hardware."""
    found = {name: _version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), **found, "hardware": hardware()}


def hardware() -> str:
    """Describe processor and accelerator in one line, without naming the machine.

    What a GPU computes in by default is part of what a result was made with.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    text = f"{cores} cores {platform.machine()} ({_processor()}), {platform.system()}"
    if torch.cuda.is_available():
        dtype = "bfloat16" if has_bfloat16() else "float32"
        text += f", {torch.cuda.get_device_name()} (CUDA {torch.version.cuda}, {dtype})"
    return text


def has_bfloat16() -> bool:
    """Say whether the CUDA device in use computes in bfloat16 itself."""
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)


def choose_device(name: str) -> torch.device:
    """Turn `auto`, `cpu`, `cuda` or `mps` into a device that is there.

    Raises:
        ConfigError: the name is unknown or the device is missing.
    """
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if available[kind]))
    if name not in available:
        hint = nearest(name, ("auto", *available))
        raise ConfigError(f"device must be auto, cpu, cuda or mps, got {name!r} (--device){hint}")
    if not available[name]:
        raise ConfigError(f"no {name} device is available here: use --device auto")
    return torch.device(name)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if "model name" in line]
        return names[0] if names else "unknown processor"
    except OSError:
        return platform.processor() or "unknown processor"
