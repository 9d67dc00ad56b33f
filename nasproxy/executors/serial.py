"""One task after another, in this process."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator

from nasproxy.executors.base import Outcome, Report, Stopped, Task, Work, perform


class SerialExecutor:
    """Runs tasks in one thread of this process, so that reports can be answered on the way."""

    num_workers = 1

    def __init__(self, work: Work) -> None:
        self._work = work

    def run(self, next_task: Callable[[], Task | None]) -> Iterator[Report | Outcome]:
        """Yield every report and outcome in order."""
        while (task := next_task()) is not None:
            yield from self._run_one(task)

    def _run_one(self, task: Task) -> Iterator[Report | Outcome]:
        events: queue.Queue[Report | Outcome] = queue.Queue()
        answered: queue.Queue[bool] = queue.Queue()

        def report(step: int, value: float) -> None:
            events.put(Report(task.key, step, value))
            if answered.get():
                raise Stopped

        thread = threading.Thread(
            target=lambda: events.put(perform(self._work, task, report)), daemon=True
        )
        thread.start()
        try:
            while isinstance(event := events.get(), Report):
                yield event
                answered.put(event.stop)
            yield event
        finally:
            answered.put(True)  # the driver has left: do not leave the work waiting
