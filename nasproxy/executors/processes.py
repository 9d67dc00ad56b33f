"""One-thread worker processes that share the tensors of the work function."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any

import torch
import torch.multiprocessing

from nasproxy.executors.base import Outcome, Report, Stopped, Task, Work, perform


class ProcessExecutor:
    """Runs tasks in spawned processes; a process that dies costs its task, not the search."""

    def __init__(self, work: Work, num_workers: int) -> None:
        self.num_workers = num_workers
        self._work = work

    def run(self, next_task: Callable[[], Task | None]) -> Iterator[Report | Outcome]:
        """Yield reports and outcomes as they come; workers end with the iteration."""
        workers: list[_Worker] = []
        try:
            while True:
                self._feed(workers, next_task)
                busy = {worker.connection: worker for worker in workers if worker.task}
                if not busy:
                    return
                for connection in wait(list(busy)):
                    worker = busy[connection]  # type: ignore[index]
                    event = worker.receive()
                    yield event
                    if isinstance(event, Report):
                        worker.answer(event.stop)
                    elif not worker.alive:
                        workers.remove(worker)
        finally:
            for worker in workers:
                worker.close()

    def _feed(self, workers: list[_Worker], next_task: Callable[[], Task | None]) -> None:
        """Give every free place a task, starting workers only as they are needed."""
        idle = [worker for worker in workers if worker.task is None]
        while idle or len(workers) < self.num_workers:
            task = next_task()
            if task is None:
                return
            if not idle:
                workers.append(_Worker(self._work))
                idle.append(workers[-1])
            idle.pop().begin(task)


class _Worker:
    """The driver's end of one process."""

    def __init__(self, work: Work) -> None:
        context = torch.multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, work), daemon=True)
        self._process.start()
        theirs.close()
        self.task: Task | None = None
        self.alive = True

    def begin(self, task: Task) -> None:
        self.task = task
        with contextlib.suppress(OSError):  # a dead worker is noticed when it is read
            self.connection.send(task)

    def receive(self) -> Report | Outcome:
        assert self.task is not None
        try:
            event: Report | Outcome = self.connection.recv()
        except (EOFError, OSError):
            self._process.join()
            self.alive = False
            event = Outcome(self.task.key, error=_why_it_died(self._process.exitcode))
        if isinstance(event, Outcome):
            self.task = None
        return event

    def answer(self, stop: bool) -> None:
        with contextlib.suppress(OSError):
            self.connection.send(stop)

    def close(self) -> None:
        self.connection.close()
        if self.task is None:  # it reads the end of the connection and leaves by itself
            self._process.join(5)
        self._process.terminate()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()


def _why_it_died(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = ", probably out of memory" if -code == signal.SIGKILL else ""
        return f"worker process was killed by {name}{hint}"
    return f"worker process ended with exit code {code}"


def _serve(connection: Connection[Any, Any], work: Work) -> None:
    """Do tasks until the driver is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    torch.set_num_threads(1)

    def report(step: int, value: float) -> None:
        connection.send(Report(task.key, step, value))
        if connection.recv():
            raise Stopped

    with contextlib.suppress(EOFError, OSError):
        while True:
            task = connection.recv()
            connection.send(perform(work, task, report))
