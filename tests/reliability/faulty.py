"""Work whose candidates misbehave by their width, each in a way of its own."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from nasproxy.executors.base import ReportTo
from nasproxy.search.objective import CandidateResult
from nasproxy.training.metric import Score

FAULTS = ("well", "raises", "is NaN", "allocates", "hangs", "os._exit", "kills itself")


def fault_of(width: int) -> str:
    return FAULTS[width % len(FAULTS)]


class Faulty:
    """A candidate of width w does what FAULTS says for w."""

    def __call__(self, payload: dict[str, Any], report: ReportTo) -> Any:
        fault = fault_of(payload["width"])
        report(1, 0.5)
        if fault == "raises":
            raise RuntimeError("no such layer")
        if fault == "allocates":
            held = []
            while True:
                held.append(bytearray(16 << 20))
        if fault == "hangs":
            time.sleep(1000)
        if fault == "os._exit":
            os._exit(7)
        if fault == "kills itself":
            os.kill(os.getpid(), signal.SIGKILL)
        value = float("nan") if fault == "is NaN" else payload["width"] / 100
        return CandidateResult((Score(value, value, None),), 0.1)
