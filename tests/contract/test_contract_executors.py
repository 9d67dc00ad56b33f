"""What every executor does with every kind of task."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable

import executor_work
import pytest
import torch

from nasproxy.errors import ConfigError
from nasproxy.executors.base import Outcome, Report, Task
from nasproxy.executors.choose import choose_executor, default_workers
from nasproxy.executors.processes import ProcessExecutor
from nasproxy.executors.serial import SerialExecutor

WORK = executor_work.Work(torch.tensor([1.0, 2.0]))
ENGINES = {"serial": SerialExecutor, "processes": lambda work: ProcessExecutor(work, 2)}


def source(payloads: Iterable[tuple[str, int]]):
    tasks = iter([Task(key, payload) for key, payload in enumerate(payloads)])
    return lambda: next(tasks, None)


def drive(executor, payloads, stop_at: int | None = None) -> tuple[dict[int, Outcome], list]:
    outcomes, reports = {}, []
    for event in executor.run(source(payloads)):
        if isinstance(event, Report):
            event.stop = event.step == stop_at
            reports.append((event.key, event.step, event.value))
        else:
            assert event.key not in outcomes
            outcomes[event.key] = event
    return outcomes, reports


PAYLOADS = {
    ("square", 5): {"value": 28},
    ("raise", 7): {"error": "ValueError: no 7"},
    ("raise_nothing", 0): {"error": "ValueError: no message"},
    ("user_error", 3): {"error": "diverged: 3"},
    ("memory", 0): {"error": "out of memory: no message"},
    ("gpu_memory", 0): {"error": "out of memory: CUDA out of memory. Tried to allocate 2 GiB"},
    ("long", 0): {"error": ("ValueError: " + "x" * 10_000)[:500]},
    ("report", 2): {"value": "not stopped"},
    ("report", 9): {"stopped": True},
    ("square", 2): {"value": 7},
    ("threads", 0): {"value": 1},
}


@pytest.mark.parametrize("engine", ENGINES)
def test_every_task_has_one_outcome(engine):
    outcomes, reports = drive(ENGINES[engine](WORK), PAYLOADS, stop_at=3)
    expected = {key: Outcome(key, **fields) for key, fields in enumerate(PAYLOADS.values())}
    assert outcomes == expected  # in whatever order they came
    assert [r for r in reports if r[0] == 7] == [(7, 0, 0.0), (7, 1, 0.1)]
    assert [r for r in reports if r[0] == 8] == [(8, step, step / 10) for step in range(4)]


@pytest.mark.parametrize("engine", ENGINES)
def test_no_tasks_no_events(engine):
    assert drive(ENGINES[engine](WORK), []) == ({}, [])


@pytest.mark.parametrize("engine", ENGINES)
def test_next_task_is_asked_again_after_an_outcome(engine):
    """A driver may hold tasks back until others are done."""
    done: list[int] = []
    waiting = [Task(0, ("square", 0)), Task(1, ("square", 1)), Task(2, ("square", 2))]

    def next_task() -> Task | None:
        return waiting.pop(0) if waiting and waiting[0].key == len(done) else None

    for event in ENGINES[engine](WORK).run(next_task):
        done.append(event.key)
    assert done == [0, 1, 2]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_driver_that_leaves_ends_the_work(engine):
    events = ENGINES[engine](WORK).run(source([("report", 1000)]))
    before = set(threading.enumerate())
    assert isinstance(next(events), Report)
    events.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
        assert not thread.is_alive()
    assert not [p for p in multiprocessing.active_children() if "Spawn" in type(p).__name__]


def test_a_process_that_dies_costs_its_task_alone():
    payloads = [("die", 3), ("kill", signal.SIGKILL), ("square", 1), ("square", 2)]
    outcomes, _ = drive(ProcessExecutor(WORK, 2), payloads)
    assert outcomes[0].error == "worker process ended with exit code 3"
    reason = "worker process was killed by SIGKILL, probably out of memory, 3 times"
    assert outcomes[1].error == reason
    assert [outcomes[key].value for key in (2, 3)] == [4, 7]


@pytest.mark.slow
def test_other_deaths_of_a_process():
    payloads = [("exit", 4), ("kill", signal.SIGSEGV), ("unpicklable", 0), ("square", 3)]
    outcomes, _ = drive(ProcessExecutor(WORK, 1), payloads)
    assert "SIGSEGV" in outcomes[1].error
    assert outcomes[0].error
    assert outcomes[2].error
    assert outcomes[3].value == 12


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_work_that_exits_does_not_hang_the_serial_executor():
    found = []
    thread = threading.Thread(
        target=lambda: found.append(drive(SerialExecutor(WORK), [("exit", 4), ("square", 1)])),
        daemon=True,
    )
    thread.start()
    thread.join(3)
    assert found, "still waiting for the outcome of a task whose thread has ended"
    assert found[0][0][0].error
    assert found[0][0][1].value == 4


def test_processes_are_used_again_and_no_more_start_than_needed():
    """A place for fifty, but one task at a time."""
    pids: set[int] = set()
    waiting = [Task(key, ("pid", 0)) for key in range(3)]
    running = 0

    def next_task() -> Task | None:
        nonlocal running
        if running or not waiting:
            return None
        running += 1
        return waiting.pop()

    for event in ProcessExecutor(WORK, 50).run(next_task):
        running -= 1
        pids.add(event.value)
    assert len(pids - {os.getpid()}) == 1


CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("workers", "engine", "kind", "count"),
    [
        (1, None, SerialExecutor, 1),
        (None, "serial", SerialExecutor, 1),
        (1, "serial", SerialExecutor, 1),
        (1, "processes", ProcessExecutor, 1),
        (3, None, ProcessExecutor, 3),
        (3, "processes", ProcessExecutor, 3),
        (None, "processes", ProcessExecutor, default_workers(CPU)),
    ],
)
def test_choice(workers, engine, kind, count):
    executor = choose_executor(WORK, CPU, workers, engine)
    assert (type(executor), executor.num_workers) == (kind, count)


def test_default_workers():
    assert default_workers(CPU) == len(os.sched_getaffinity(0))
    assert default_workers(torch.device("cuda")) == 1
    assert isinstance(choose_executor(WORK, torch.device("cuda")), SerialExecutor)


@pytest.mark.parametrize(
    ("workers", "engine", "message"),
    [
        (0, None, "workers must be >= 1, got 0"),
        (2, "serial", "one worker, got 2"),
        (1, "threads", "engine must be serial, processes or ray, got 'threads'"),
    ],
)
def test_choices_that_are_none(workers, engine, message):
    with pytest.raises(ConfigError, match=message):
        choose_executor(WORK, CPU, workers, engine)
