"""Work for the executors' contract: a module of its own, so that spawned processes find it."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

import torch

from nasproxy.errors import EvaluationError
from nasproxy.executors.base import ReportTo


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

    def _unpicklable(self, number: int, report: ReportTo) -> object:
        return lambda: number

    def _threads(self, number: int, report: ReportTo) -> int:
        return torch.get_num_threads()

    def _pid(self, number: int, report: ReportTo) -> int:
        return os.getpid()
