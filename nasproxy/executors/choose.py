"""The executor that fits a device and a number of workers."""

from __future__ import annotations

import os

import torch

from nasproxy.errors import ConfigError
from nasproxy.executors.base import Executor, Work
from nasproxy.executors.processes import ProcessExecutor
from nasproxy.executors.serial import SerialExecutor

ENGINES = ("serial", "processes")


def choose_executor(
    work: Work, device: torch.device, workers: int | None = None, engine: str | None = None
) -> Executor:
    """Build an executor: by default one process a core on a CPU, this process on a GPU.

    Raises:
        ConfigError: the engine is unknown or the number of workers does not fit it.
    """
    if workers is not None and workers < 1:
        raise ConfigError(f"workers must be >= 1, got {workers} (--workers)")
    if engine not in (None, *ENGINES):
        raise ConfigError(f"engine must be {' or '.join(ENGINES)}, got {engine!r} (--engine)")
    if workers is None:
        workers = default_workers(device) if engine != "serial" else 1
    if engine == "serial" and workers > 1:
        raise ConfigError(f"the serial engine has one worker, got {workers} (--workers)")
    if engine == "serial" or (engine is None and workers == 1):
        return SerialExecutor(work)
    return ProcessExecutor(work, workers)


def default_workers(device: torch.device) -> int:
    """Return one worker a usable core on a CPU, one on any other device."""
    if device.type != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
