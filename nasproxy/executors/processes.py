"""One-thread worker processes that share the tensors of the work function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import wait

from nasproxy.executors.base import RETRIES, Outcome, Report, Task, Work
from nasproxy.executors.engine import EngineConfig
from nasproxy.executors.limits import TimeLimit
from nasproxy.executors.worker import Worker


class ProcessExecutor:
    """Runs tasks in spawned processes; a process that dies costs its task, not the search.

    A task whose process was killed from outside (SIGKILL, as where memory ends) is begun anew.
    """

    def __init__(self, work: Work, num_workers: int, engine: EngineConfig | None = None) -> None:
        self.num_workers = num_workers
        self._work = work
        self._engine = engine or EngineConfig()

    def run(self, next_task: Callable[[], Task | None]) -> Iterator[Report | Outcome]:
        """Yield reports and outcomes as they come; workers end with the iteration."""
        limit = TimeLimit(self._engine.timeout_seconds)
        workers: dict[Worker, float] = {}  # and their tasks' deadlines
        killed = _Killed()
        try:
            while True:
                self._feed(workers, killed.source(next_task), limit)
                busy = {worker.connection: worker for worker in workers if worker.task}
                if not busy:
                    return
                with limit.waiting():
                    ready = wait(list(busy), limit.left(workers[w] for w in busy.values()))
                for connection in ready:
                    worker = busy[connection]  # type: ignore[index]
                    task, event = worker.task, worker.receive()
                    if event is None:  # its start was no part of the task
                        workers[worker] = limit.deadline()
                    elif isinstance(event, Report):
                        yield from killed.hear(event)
                        worker.answer(event.stop)
                    else:
                        if not worker.alive:
                            del workers[worker]
                        yield from killed.end(task, event, by_signal=worker.was_killed)
                for worker in [w for w in busy.values() if w.task and limit.is_over(workers[w])]:
                    if not worker.connection.poll():  # else it has ended, or has more to say
                        yield worker.end(limit.reason)
                        del workers[worker]
        finally:
            for worker in workers:  # first, so that idle ones leave side by side
                worker.connection.close()
            for worker in workers:
                worker.close()

    def _feed(
        self,
        workers: dict[Worker, float],
        next_task: Callable[[], Task | None],
        limit: TimeLimit,
    ) -> None:
        """Give every free place a task, starting workers only as they are needed."""
        idle = [worker for worker in workers if worker.task is None]
        while idle or len(workers) < self.num_workers:
            task = next_task()
            if task is None:
                return
            worker = idle.pop() if idle else Worker(self._work, self._engine.memory_bytes)
            workers[worker] = limit.deadline() if worker.ready else float("inf")
            worker.begin(task)


@dataclass
class _Killed:
    """Tasks whose processes were killed: which come next, how often, and what they had told."""

    waiting: list[Task] = field(default_factory=list)
    times: dict[int, int] = field(default_factory=dict)
    told: dict[int, dict[int, bool]] = field(default_factory=dict)

    def source(self, next_task: Callable[[], Task | None]) -> Callable[[], Task | None]:
        """Return where tasks come from: those that are to be begun anew go first."""
        return lambda: self.waiting.pop(0) if self.waiting else next_task()

    def hear(self, report: Report) -> Iterator[Report]:
        """Pass a report on, unless the task told it before its process was killed."""
        told = self.told.setdefault(report.key, {})
        if report.step not in told:
            yield report
            told[report.step] = report.stop
        report.stop = told[report.step]

    def end(self, task: Task | None, outcome: Outcome, *, by_signal: bool) -> Iterator[Outcome]:
        """Pass an outcome on, or keep the task for another attempt."""
        assert task is not None, "only a worker with a task has an outcome"
        times = self.times[task.key] = self.times.get(task.key, 0) + by_signal
        if by_signal and times <= RETRIES:
            self.waiting.append(task)
            return
        self.told.pop(task.key, None)
        del self.times[task.key]
        if by_signal:
            outcome = Outcome(outcome.key, error=f"{outcome.error}, {times} times")
        yield outcome
