"""What a task may do to an executor, and what it costs: that task alone."""

from __future__ import annotations

import itertools
import math
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import executor_work
import pytest
from test_contract_executors import WORK, drive, source

from nasproxy.executors.base import Outcome, Report, Task
from nasproxy.executors.engine import EngineConfig
from nasproxy.executors.processes import ProcessExecutor
from nasproxy.executors.serial import SerialExecutor

NONE = EngineConfig()
TIME = EngineConfig(timeout_seconds=1.5)
MEMORY = EngineConfig(memory_bytes=128 << 20)
TIMED_OUT = r"timed out: took longer than 1.5 s \(--candidate-timeout\)"
NO_MEMORY = "out of memory: .*can't allocate memory"

FAULTS = {
    "raises": (NONE, ("raise", 7), "ValueError: no 7"),
    "allocates tensors": (MEMORY, ("allocate", 16), NO_MEMORY),
    "allocates bytes": (MEMORY, ("allocate_bytes", 16), "out of memory: no message"),
    "allocates all at once": (MEMORY, ("allocate", 1 << 20), NO_MEMORY),
    "hangs": (TIME, ("hang", 1000), TIMED_OUT),
    "hangs in Python": (TIME, ("spin", 0), TIMED_OUT),
    "exits": (NONE, ("die", 3), "worker process ended with exit code 3"),
    "is killed": (NONE, ("kill", signal.SIGKILL), "worker process was killed by SIGKILL.* 3 times"),
    "breaks off": (NONE, ("close", 0), "worker process was killed by SIGKILL|exit code"),
    "cannot be sent": (NONE, ("unpicklable", 0), "result cannot be sent: .*cannot pickle"),
    "cannot be read": (NONE, ("unreadable", 0), "result cannot be read: .*no number"),
}
FAST = ("allocates tensors", "hangs in Python", "cannot be sent")


@pytest.fixture(autouse=True)
def _leaves_nothing_behind():
    shared = Path("/dev/shm")
    before = set(shared.iterdir()) if shared.exists() else set()
    yield
    assert not [p for p in multiprocessing.active_children() if "Spawn" in type(p).__name__]
    mine = f"torch_{os.getpid()}_"
    assert not [p.name for p in shared.glob("*") if p not in before and p.name.startswith(mine)]


@pytest.mark.parametrize(
    "fault", [f if f in FAST else pytest.param(f, marks=pytest.mark.slow) for f in FAULTS]
)
def test_a_fault_costs_its_task_alone(fault):
    """One task goes wrong between others, which all come to their end."""
    limits, payload, reason = FAULTS[fault]
    payloads = [("square", 1), payload, ("square", 2), ("square", 3)]
    outcomes, _ = drive(ProcessExecutor(WORK, 1, limits), payloads)
    assert [outcomes[key].value for key in (0, 2, 3)] == [4, 7, 12]
    assert outcomes[1].value is None
    assert re.match(reason, outcomes[1].error), outcomes[1].error


def test_a_task_whose_worker_was_killed_is_done_again(tmp_path):
    """As where another program took all memory; what it had told is not told twice."""
    payloads = [("square", 1), ("killed_once", str(tmp_path / "marker")), ("square", 2)]
    outcomes, reports = drive(ProcessExecutor(WORK, 1), payloads)
    assert [outcomes[key].value for key in range(3)] == [4, "done", 7]
    assert reports == [(1, 0, 0.25), (1, 1, 0.5)]


def test_faults_beside_others_that_go_on():
    """Two workers, faults of all kinds in a row: every task has its one outcome."""
    payloads = [("die", 1), ("hang", 9), ("allocate", 64), *[("square", n) for n in range(6)]]
    limits = EngineConfig(timeout_seconds=8, memory_bytes=128 << 20)
    outcomes, _ = drive(ProcessExecutor(WORK, 2, limits), payloads)
    assert [outcomes[key].value for key in range(3, 9)] == [n**2 + 3 for n in range(6)]
    assert all(outcomes[key].error for key in range(3))


@pytest.mark.parametrize(
    "executor",
    [SerialExecutor(WORK), pytest.param(ProcessExecutor(WORK, 1), marks=pytest.mark.slow)],
)
def test_nan_is_a_value(executor):
    """Whether it is worth anything is not the executor's to judge."""
    outcomes, _ = drive(executor, [("nan", 0), ("square", 1)])
    assert math.isnan(outcomes[0].value)
    assert outcomes[1].value == 4


def test_a_worker_lives_on_after_its_task_ran_out_of_memory():
    payloads = [("pid", 0), ("allocate", 16), ("pid", 0), ("allocate_bytes", 16), ("pid", 0)]
    outcomes, _ = drive(ProcessExecutor(WORK, 1, MEMORY), payloads)
    assert outcomes[0].value == outcomes[2].value == outcomes[4].value


def test_the_start_of_a_worker_is_no_part_of_its_task():
    """Spawning takes seconds: a limit shorter than that is still kept to."""
    limits = EngineConfig(timeout_seconds=0.3)
    outcomes, _ = drive(ProcessExecutor(WORK, 1, limits), [("square", 1), ("square", 2)])
    assert [outcomes[key].value for key in range(2)] == [4, 7]


def test_a_slow_driver_costs_no_task_its_life():
    events = ProcessExecutor(WORK, 1, EngineConfig(timeout_seconds=1.0)).run(
        source([("report", 3)])
    )
    seen = []
    for event in events:
        seen.append(event)
        time.sleep(0.6)
    assert [type(event) for event in seen] == [Report, Report, Report, Outcome]
    assert seen[-1].value == "not stopped"


def timed(executor, naps: list[int]) -> tuple[list[int], float]:
    """Give naps (milliseconds) to workers that have all started; return order and seconds."""
    pids: set[int] = set()
    waiting = [Task(key, ("nap", nap)) for key, nap in enumerate(naps)]
    begun = itertools.count(1000)
    since, until, order = 0.0, 0.0, []

    def next_task() -> Task | None:
        nonlocal since
        if len(pids) < executor.num_workers:
            return Task(next(begun), ("nap", 50))
        since = since or time.monotonic()
        return waiting.pop(0) if waiting else None

    for event in executor.run(next_task):
        pids.add(event.value)
        order += [event.key] if event.key < 1000 else []
        until = time.monotonic()
    return order, until - since


def test_a_long_task_leaves_no_worker_idle():
    """While one task takes its time, the other worker does all the rest."""
    order, _ = timed(ProcessExecutor(WORK, 2), [3000, *[100] * 10])
    assert order == [*range(1, 11), 0]


def test_a_second_worker_gives_speed():
    """Six naps of a second take six seconds in a row."""
    order, seconds = timed(ProcessExecutor(WORK, 2), [1000] * 6)
    assert sorted(order) == list(range(6))
    assert seconds < 5.2


def test_a_driver_that_leaves_a_hanging_task_ends_it():
    events = ProcessExecutor(WORK, 1).run(source([("leave_pid", 1000)]))
    pid = next(events).step
    events.close()
    assert not alive(pid)


DRIVER = """
    import sys, torch
    sys.path.insert(0, sys.argv[1])
    from executor_work import Work
    from nasproxy.executors.base import Task
    from nasproxy.executors.processes import ProcessExecutor

    if __name__ == "__main__":
        tasks = iter([Task(0, ("leave_pid", 1000)), Task(1, ("leave_pid", 1000))])
        work = Work(torch.tensor([1.0]))
        for event in ProcessExecutor(work, 2).run(lambda: next(tasks, None)):
            print(event.step, flush=True)
"""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="processes are looked up in /proc")
@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_workers_end_with_a_driver_that_is_killed(number, tmp_path):
    script = tmp_path / "driver.py"
    script.write_text(textwrap.dedent(DRIVER))
    here = str(Path(executor_work.__file__).parent)
    with subprocess.Popen(
        [sys.executable, str(script), here], stdout=subprocess.PIPE, text=True
    ) as driver:
        assert driver.stdout is not None
        pids = [int(driver.stdout.readline()) for _ in range(2)]
        assert all(alive(pid) for pid in pids)
        driver.send_signal(number)
        driver.wait(10)
    deadline = time.monotonic() + 10
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in pids if alive(pid)]


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
