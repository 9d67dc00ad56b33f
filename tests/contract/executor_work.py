"""Work for the executors' contract: a module of its own, so that spawned processes find it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from nasproxy.errors import EvaluationError
from nasproxy.executors.base import ReportTo


class Unreadable:
    """Can be sent, but not read."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return float, ("no number",)


@dataclass(frozen=True)
class Work:
    """Does what the payload says; holds a tensor, as the real work does."""

    offset: torch.Tensor

    def __call__(self, payload: tuple[str, int], report: ReportTo) -> object:
        kind, number = payload
        return getattr(self, "_" + kind)(number, report)

    def _square(self, number: int, report: ReportTo) -> int:
        return number**2 + int(self.offset.sum())

    def _raise(self, number: int, report: ReportTo) -> None:
        raise ValueError(f"no {number}\nsecond line")

    def _raise_nothing(self, number: int, report: ReportTo) -> None:
        raise ValueError

    def _user_error(self, number: int, report: ReportTo) -> None:
        raise EvaluationError(f"diverged: {number}")

    def _memory(self, number: int, report: ReportTo) -> None:
        raise MemoryError

    def _gpu_memory(self, number: int, report: ReportTo) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")

    def _long(self, number: int, report: ReportTo) -> None:
        raise ValueError("x" * 10_000)

    def _report(self, number: int, report: ReportTo) -> str:
        for step in range(number):
            report(step, step / 10)
        return "not stopped"

    def _exit(self, number: int, report: ReportTo) -> None:
        sys.exit(number)

    def _die(self, number: int, report: ReportTo) -> None:
        os._exit(number)

    def _kill(self, number: int, report: ReportTo) -> None:
        os.kill(os.getpid(), number)

    def _killed_once(self, marker: str, report: ReportTo) -> str:
        """Tell something, be killed, and the second time go on."""
        report(0, 0.25)
        if not Path(marker).exists():
            Path(marker).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        report(1, 0.5)
        return "done"

    def _unpicklable(self, number: int, report: ReportTo) -> object:
        return threading.Lock()

    def _unreadable(self, number: int, report: ReportTo) -> object:
        return Unreadable()

    def _nan(self, number: int, report: ReportTo) -> float:
        return float("nan")

    def _allocate(self, number: int, report: ReportTo) -> None:
        held = []
        while True:
            held.append(torch.ones(number << 18))

    def _allocate_bytes(self, number: int, report: ReportTo) -> None:
        held = []
        while True:
            held.append(bytearray(number << 20))

    def _hang(self, number: int, report: ReportTo) -> None:
        while True:
            time.sleep(number)

    def _spin(self, number: int, report: ReportTo) -> None:
        while True:
            pass

    def _close(self, number: int, report: ReportTo) -> None:
        os.closerange(3, 200)
        time.sleep(1000)

    def _nap(self, number: int, report: ReportTo) -> int:
        time.sleep(number / 1000)
        return os.getpid()

    def _leave_pid(self, number: int, report: ReportTo) -> int:
        report(os.getpid(), 0.0)
        return self._hang(number, report)

    def _mapping(self, number: int, report: ReportTo) -> str:
        """Name the memory that the work's tensor lies in."""
        address = self.offset.data_ptr()
        for line in Path("/proc/self/maps").read_text().splitlines():
            first, last = (int(end, 16) for end in line.split()[0].split("-"))
            if first <= address < last:
                return line
        return "nowhere"

    def _threads(self, number: int, report: ReportTo) -> int:
        return torch.get_num_threads()

    def _pid(self, number: int, report: ReportTo) -> int:
        return os.getpid()
