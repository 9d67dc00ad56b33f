"""A worker process: the driver's end of it, and what it does."""

from __future__ import annotations

import contextlib
import signal
import time
from multiprocessing.connection import Connection
from typing import Any

import torch
import torch.multiprocessing

from nasproxy._memory import keep_freed_memory
from nasproxy.executors.base import Outcome, Report, Stopped, Task, Work, perform
from nasproxy.executors.limits import bounded_memory, interrupts_kept, prepare_worker
from nasproxy.permission import allow_code, code_folders

_READY = "ready"
_PATIENCE_SECONDS = 5.0


class Worker:
    """The driver's end of one process."""

    def __init__(self, work: Work, memory_bytes: int | None) -> None:
        context = torch.multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, work, memory_bytes, code_folders()), daemon=True
        )
        with interrupts_kept():
            self._process.start()
        theirs.close()
        self.task: Task | None = None
        self.ready = False
        self.alive = True
        self.was_killed = False

    def begin(self, task: Task) -> None:
        """Hand over a task."""
        self.task = task
        with contextlib.suppress(OSError):  # a dead worker is noticed when it is read
            self.connection.send(task)

    def receive(self) -> Report | Outcome | None:
        """Return what the worker sent; None: it has started."""
        assert self.task is not None
        try:
            event = self.connection.recv()
        except (EOFError, OSError):
            return self.end()
        except Exception as error:  # a result may fail to unpickle in any way
            event = Outcome(self.task.key, error=f"result cannot be read: {error!r}"[:500])
        if event == _READY:
            self.ready = True
            return None
        assert isinstance(event, Report | Outcome)
        if isinstance(event, Outcome):
            self.task = None
        return event

    def end(self, reason: str | None = None) -> Outcome:
        """Make sure that the process is dead; return what became of its task."""
        assert self.task is not None
        if reason is None:
            self._wait()
            self.was_killed = self._process.exitcode == -signal.SIGKILL
        self._kill()
        outcome = Outcome(self.task.key, error=reason or _why_it_died(self._process.exitcode))
        self.task = None
        self.alive = False
        self.connection.close()
        return outcome

    def answer(self, stop: bool) -> None:
        """Let the worker go on after a report, or stop its task."""
        with contextlib.suppress(OSError):
            self.connection.send(stop)

    def close(self) -> None:
        """End the process, whatever it does."""
        self.connection.close()
        if self.task is None:  # it reads the end of the connection and leaves by itself
            self._wait()
        self._process.terminate()
        self._wait()
        self._kill()

    def _wait(self) -> None:
        """Give the process time to end; `join` waits for ever for one that closed its files."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while self._process.is_alive() and time.monotonic() < until:
            time.sleep(0.005)

    def _kill(self) -> None:
        if self._process.is_alive():
            self._process.kill()
        self._process.join()


def _why_it_died(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = ", probably out of memory" if -code == signal.SIGKILL else ""
        return f"worker process was killed by {name}{hint}"
    return f"worker process ended with exit code {code}"


def _serve(
    connection: Connection[Any, Any],
    work: Work,
    memory_bytes: int | None,
    folders: tuple[str, ...],
) -> None:
    """Do tasks until the driver is gone; what it allows is allowed here."""
    for folder in folders:
        allow_code(folder)
    prepare_worker()
    keep_freed_memory()
    torch.set_num_threads(1)

    def report(step: int, value: float) -> None:
        connection.send(Report(task.key, step, value))
        if connection.recv():
            raise Stopped

    with contextlib.suppress(EOFError, OSError):
        connection.send(_READY)
        while True:
            task = connection.recv()
            with bounded_memory(memory_bytes):
                outcome = perform(work, task, report)
            _send(connection, outcome)


def _send(connection: Connection[Any, Any], outcome: Outcome) -> None:
    try:
        connection.send(outcome)
    except OSError:
        raise
    except Exception as error:  # a result may fail to pickle in any way
        reason = f"result cannot be sent: {error!r}"[:500]
        connection.send(Outcome(outcome.key, error=reason))
