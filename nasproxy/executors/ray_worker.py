"""What runs on the nodes of a Ray cluster: tasks, and the mailbox of their reports."""

from __future__ import annotations

import asyncio
import warnings
from functools import lru_cache
from typing import Any

import numpy as np
import ray
import ray.util
import torch
from ray.exceptions import RaySystemError
from torch import Tensor

from nasproxy.errors import ConfigError
from nasproxy.executors.base import Outcome, Stopped, Task, Work, perform
from nasproxy.executors.limits import bounded_memory
from nasproxy.permission import allow_code

Event = tuple[int, int | None, float]
"""Number of an attempt, step and value of a report; no step: the attempt has begun."""


class Mailbox:
    """An actor beside the driver: workers tell and wait, the driver takes and answers."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._answers: dict[int, asyncio.Future[bool]] = {}

    async def begin(self, attempt: int) -> None:
        """Note that a worker has begun."""
        await self._events.put((attempt, None, 0.0))

    async def tell(self, attempt: int, step: int, value: float) -> bool:
        """Pass a report on; return whether to stop, when the driver has said so."""
        answer = self._answers[attempt] = asyncio.get_running_loop().create_future()
        await self._events.put((attempt, step, value))
        stop: bool = await answer
        return stop

    async def take(self) -> list[Event]:
        """Return what has come, as soon as there is anything."""
        events = [await self._events.get()]
        while not self._events.empty():
            events.append(self._events.get_nowait())
        return events

    async def answer(self, attempt: int, stop: bool) -> None:
        """Let the worker go on, or stop its task."""
        self._answers.pop(attempt).set_result(stop)


def attend(
    work: list[ray.ObjectRef[Work]],
    task: Task,
    attempt: int,
    mailbox: Any,
    memory_bytes: int | None,
    *,
    folders: tuple[str, ...] = (),
) -> Outcome:
    """Do one task, on any node.

    Args:
        work: where it is stored, in a list: Ray would read a bare reference anew for every task.
        task: to be done.
        attempt: its number.
        mailbox: handle of the Mailbox.
        memory_bytes: that the task may allocate.
        folders: where the driver allows code to be found; none: it allows none.

    Raises:
        ConfigError: this node cannot make sense of the work.
    """
    for folder in folders:
        allow_code(folder)
    torch.set_num_threads(1)

    def report(step: int, value: float) -> None:
        if ray.get(mailbox.tell.remote(attempt, step, value)):
            raise Stopped

    try:
        loaded = _load_work(work[0])
    except RaySystemError as error:  # every task would fail on this node: that is no search
        raise ConfigError(
            f"a node of the Ray cluster cannot read the work ({last_line(error)}): install the "
            "same nasproxy, torch and Python on all nodes"
        ) from None
    mailbox.begin.remote(attempt)
    with bounded_memory(memory_bytes):
        return perform(loaded, task, report)


@lru_cache(maxsize=1)
def _load_work(ref: ray.ObjectRef[Work]) -> Work:
    """Read the work once a process; on a CPU its tensors lie in the memory of the node's store."""
    with warnings.catch_warnings():
        # work does not write into what it shares
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
        loaded: Work = ray.get(ref)
    return loaded


def last_line(error: Exception) -> str:
    """Return what an error comes down to: the end of a remote traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__


def put_work(work: Work) -> ray.ObjectRef[Work]:
    """Store the work, its tensors as arrays, which Ray hands out without a copy."""
    ray.util.register_serializer(Tensor, serializer=_to_array, deserializer=_to_tensor)
    try:
        return ray.put(work)
    finally:
        ray.util.deregister_serializer(Tensor)


def _to_array(tensor: Tensor) -> tuple[np.ndarray[Any, Any], str]:
    return tensor.detach().cpu().contiguous().numpy(), str(tensor.device)


def _to_tensor(stored: tuple[np.ndarray[Any, Any], str]) -> Tensor:
    array, device = stored
    return torch.from_numpy(array).to(device)
