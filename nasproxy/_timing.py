"""A stopwatch that waits for the device before it reads the clock."""

from __future__ import annotations

import time

import torch


class Stopwatch:
    """Measures wall seconds from its creation; work queued on the device is waited for."""

    def __init__(self, device: torch.device | None = None) -> None:
        self._device = device
        self._synchronize()
        self._start = time.perf_counter()

    def seconds(self) -> float:
        """Return the wall seconds since creation, all queued device work included."""
        self._synchronize()
        return time.perf_counter() - self._start

    def _synchronize(self) -> None:
        if self._device is None or self._device.type == "cpu":
            return
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        elif self._device.type == "mps":
            torch.mps.synchronize()
