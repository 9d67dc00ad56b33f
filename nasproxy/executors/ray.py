"""Tasks on a Ray cluster: one that runs, or one of this machine's own for the time of a run."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import ray
import torch
from ray.exceptions import RayError, RaySystemError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from nasproxy.errors import ConfigError, EvaluationError
from nasproxy.executors.base import RETRIES, Outcome, Report, Task, Work
from nasproxy.executors.engine import EngineConfig
from nasproxy.executors.limits import TimeLimit
from nasproxy.executors.ray_worker import Mailbox, attend, last_line, put_work
from nasproxy.permission import code_folders

_KNOCK_SECONDS = 10.0
_PENDING_CALLS = 100_000
"""Workers that may wait for an answer at once."""


class RayExecutor:
    """Runs tasks on the nodes of a Ray cluster; what a dying node was doing is done again."""

    def __init__(
        self,
        work: Work,
        workers: int | None = None,
        engine: EngineConfig | None = None,
        *,
        gpus: float = 0.0,
    ) -> None:
        """Hold what is needed; nothing is started or connected to yet.

        Args:
            work: done with each payload; its tensors are stored once a node.
            workers: tasks at once; None: as many as the cluster has room for.
            engine: address and limits.
            gpus: that a task gets, a share of one or whole ones.
        """
        self._work = work
        self._workers = workers
        self._engine = engine or EngineConfig(name="ray")
        self._gpus = gpus
        self._connected = False

    @property
    def num_workers(self) -> int:
        """Return how many tasks run at once, connecting to the cluster if it has to be asked."""
        if self._workers is None:
            self._connect()
            self._workers = self._room()
        return self._workers

    def run(self, next_task: Callable[[], Task | None]) -> Iterator[Report | Outcome]:
        """Yield reports and outcomes as they come; the cluster is left with the iteration.

        Raises:
            ConfigError: there is no cluster at the address, or it has no room for a task.
            EvaluationError: the cluster went away.
        """
        self._connect()
        crew = None
        try:
            crew = _Crew(self._work, self._engine, self._gpus)
            yield from crew.run(next_task, self.num_workers)
        except RayError as error:
            raise EvaluationError(
                f"the Ray cluster is gone ({type(error).__name__}): give the same command again "
                "when it is back"
            ) from error
        finally:
            if crew is not None:
                crew.close()
            self._leave()

    def _connect(self) -> None:
        if self._connected or ray.is_initialized():
            return  # a caller's own connection is the caller's to end
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        address = self._engine.ray_address or os.environ.get("RAY_ADDRESS") or "local"
        own: dict[str, Any] = (
            {} if address != "local" else {"num_cpus": self._workers, "include_dashboard": False}
        )
        try:
            _knock(address)
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **own)
        except (OSError, ValueError, RuntimeError) as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise ConfigError(
                f"no Ray cluster at {address!r} ({lines[0][:200]}): start one with "
                "`ray start --head`, or leave out --ray-address"
            ) from error
        self._connected = True

    def _leave(self) -> None:
        if self._connected:
            ray.shutdown()  # ends a cluster of our own, with all its processes
            self._connected = False

    def _room(self) -> int:
        """Count the tasks that the nodes have room for, one core each."""
        room = 0
        for node in ray.nodes():
            if node["Alive"]:
                has = node["Resources"]
                cores = int(has.get("CPU", 0))
                room += tasks_on(cores, has.get("GPU", 0), self._gpus)
        if not room:
            needs = f"a core and {self._gpus:g} GPUs" if self._gpus else "a core"
            num_nodes = len(ray.nodes())
            self._leave()
            raise ConfigError(
                f"none of the {num_nodes} nodes of the Ray cluster has {needs}: give "
                "a smaller --gpus-per-candidate, or --workers if nodes will join later"
            )
        return room


@dataclass
class _Attempt:
    """A task on its way, and what it told before its worker was lost."""

    task: Task
    number: int
    told: dict[int, bool] = field(default_factory=dict)
    lost: int = 0
    deadline: float = float("inf")


class _Crew:
    """The driver's end of all tasks of one run."""

    def __init__(self, work: Work, engine: EngineConfig, gpus: float) -> None:
        self._limit = TimeLimit(engine.timeout_seconds)
        self._numbers = itertools.count()
        self._running: dict[ray.ObjectRef[Outcome], _Attempt] = {}
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._mailbox: Any = (
            ray.remote(Mailbox)
            .options(num_cpus=0, max_concurrency=_PENDING_CALLS, scheduling_strategy=here)
            .remote()
        )
        # A worker process is used again, with a GPU, too: what it has read of the work stays.
        self._attend: Any = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=0, max_calls=0)(
            attend
        )
        self._memory_bytes = engine.memory_bytes
        self._work = put_work(work)

    def run(
        self, next_task: Callable[[], Task | None], num_workers: int
    ) -> Iterator[Report | Outcome]:
        """Keep so many tasks going until none is left."""
        news = self._mailbox.take.remote()
        while True:
            while len(self._running) < num_workers and (task := next_task()) is not None:
                self._begin(_Attempt(task, next(self._numbers)))
            if not self._running:
                return
            for ref in self._wait(news):
                if ref != news:
                    yield from self._end(ref)
                    continue
                for number, step, value in ray.get(news):
                    yield from self._hear(number, step, value)
                news = self._mailbox.take.remote()
            yield from self._end_overdue()

    def close(self) -> None:
        """End what still runs."""
        with contextlib.suppress(RayError):
            for ref in self._running:
                ray.cancel(ref, force=True)
            ray.kill(self._mailbox)

    def _begin(self, attempt: _Attempt) -> None:
        attempt.deadline = float("inf")  # until it says that it has begun: it may have to queue
        ref = self._attend.remote(
            [self._work],
            attempt.task,
            attempt.number,
            self._mailbox,
            self._memory_bytes,
            folders=code_folders(),
        )
        self._running[ref] = attempt

    def _wait(self, news: Any) -> list[Any]:
        refs = [*self._running, news]
        with self._limit.waiting():
            left = self._limit.left(a.deadline for a in self._running.values())
            ray.wait(refs, timeout=left)
        ready: list[Any] = ray.wait(refs, num_returns=len(refs), timeout=0)[0]
        return ready

    def _hear(self, number: int, step: int | None, value: float) -> Iterator[Report]:
        """Pass a report on, unless it was heard from an earlier attempt at the task."""
        attempt = next((a for a in self._running.values() if a.number == number), None)
        if attempt is None:  # it has ended in the meantime
            return
        if step is None:
            attempt.deadline = self._limit.deadline()
            return
        if step not in attempt.told:
            report = Report(attempt.task.key, step, value)
            yield report
            attempt.told[step] = report.stop
        self._mailbox.answer.remote(number, attempt.told[step])

    def _end(self, ref: Any) -> Iterator[Outcome]:
        """Yield what became of a task, or begin it anew."""
        attempt = self._running.pop(ref)
        try:
            yield ray.get(ref)
        except RayError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, ConfigError):
                raise cause from None
            if isinstance(error, RayTaskError) and not isinstance(cause, RayError):
                # `perform` raises nothing: it is the result
                reason = f"result cannot be sent: {cause!r}"[:500]
                yield Outcome(attempt.task.key, error=reason)
            elif isinstance(error, RaySystemError):  # raised here, by what the result is made of
                yield Outcome(attempt.task.key, error=f"result cannot be read: {last_line(error)}")
            elif attempt.lost < RETRIES:
                attempt.lost += 1
                attempt.number = next(self._numbers)
                self._begin(attempt)
            else:
                yield Outcome(attempt.task.key, error=_why_it_was_lost(error, RETRIES + 1))

    def _end_overdue(self) -> Iterator[Outcome]:
        over = {r: a for r, a in self._running.items() if self._limit.is_over(a.deadline)}
        for ref, attempt in over.items():
            if not ray.wait([ref], timeout=0)[0]:  # else it has just ended
                del self._running[ref]
                ray.cancel(ref, force=True)
                yield Outcome(attempt.task.key, error=self._limit.reason)


def _knock(address: str) -> None:
    """Find out at once whether anything is at HOST:PORT: Ray tries for minutes.

    Raises:
        OSError: nothing is.
    """
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "//" not in host:
        socket.create_connection((host, int(port)), _KNOCK_SECONDS).close()


def _why_it_was_lost(error: RayError, times: int) -> str:
    kind = "out of memory: " if type(error).__name__ == "OutOfMemoryError" else ""
    return f"{kind}its worker or node died {times} times ({type(error).__name__})"


def tasks_on(cores: int, gpus: float, share: float) -> int:
    """Count the tasks that a node has room for, of a core and `share` GPUs each.

    A share of a GPU is all of the same: at 0.6 two GPUs have room for two tasks, not three.
    """
    if not share:
        return cores
    # Ray counts in units of 1e-4
    fitting = int(gpus) * int(1 / share + 1e-4) if share <= 1 else int(gpus / share)
    return min(cores, fitting)


def default_gpus(device: torch.device, engine: EngineConfig) -> float:
    """Return the GPUs of a task.

    Raises:
        ConfigError: GPUs are asked for where none is used, or the device is none that Ray knows.
    """
    if device.type == "cuda":
        return engine.gpus_per_candidate or 1.0
    if device.type != "cpu":
        raise ConfigError(f"the ray engine knows cpu and cuda, got {device.type} (--device)")
    if engine.gpus_per_candidate is not None:
        raise ConfigError(
            f"candidates train on the CPU, got {engine.gpus_per_candidate:g} GPUs "
            "(--gpus-per-candidate): add --device cuda"
        )
    return 0.0
