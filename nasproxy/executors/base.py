"""What an executor is: it pulls tasks, runs them somewhere, and yields what happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from nasproxy.errors import NasproxyError

RETRIES = 2
"""Times a task is begun anew whose worker was killed from outside, or whose node died."""


class Task(NamedTuple):
    """A piece of work: `payload` is handed to the work function."""

    key: int
    payload: Any


@dataclass
class Report:
    """An intermediate value of a running task; set `stop` to end the task early."""

    key: int
    step: int
    value: float
    stop: bool = False


@dataclass(frozen=True)
class Outcome:
    """The end of a task: a value, or the reason why there is none."""

    key: int
    value: Any = None
    error: str | None = None
    stopped: bool = False


ReportTo = Callable[[int, float], None]
"""Called by the work with a step and a value; raises `Stopped` when the work should end."""

Work = Callable[[Any, ReportTo], Any]
"""What is done with a task's payload. It and its results must be picklable."""


class Stopped(Exception):  # noqa: N818 - a signal, not an error
    """Raised inside the work when the driver asks it to end."""


class Executor(Protocol):
    """Runs tasks, some at once."""

    @property
    def num_workers(self) -> int:
        """Tasks that run at once, at most."""
        ...

    def run(self, next_task: Callable[[], Task | None]) -> Iterator[Report | Outcome]:
        """Pull tasks whenever a worker is free; end when none is left and none is running.

        `next_task` may answer None while others run: it is asked again after each outcome.
        """
        ...


def perform(work: Work, task: Task, report: ReportTo) -> Outcome:
    """Do one task; whatever it raises becomes an outcome with a reason."""
    try:
        return Outcome(task.key, value=work(task.payload, report))
    except Stopped:
        return Outcome(task.key, stopped=True)
    except NasproxyError as error:
        return Outcome(task.key, error=str(error))
    except (Exception, SystemExit) as error:  # a candidate may fail in any way
        lines = str(error).strip().splitlines()
        kind = "out of memory" if _is_out_of_memory(error) else type(error).__name__
        return Outcome(task.key, error=f"{kind}: {lines[0] if lines else 'no message'}"[:500])


def _is_out_of_memory(error: BaseException) -> bool:
    text = str(error)
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate" in text
