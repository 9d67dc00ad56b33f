"""The contract of executors, kept by Ray on a cluster of this machine's own."""

from __future__ import annotations

import math
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
import torch
from test_contract_executors import PAYLOADS, drive

from nasproxy.executors.base import Outcome
from nasproxy.executors.choose import choose_executor
from nasproxy.executors.engine import EngineConfig

ray = pytest.importorskip("ray", reason="needs the ray extra: pip install 'nasproxy[ray]'")
pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    # left open by Ray's own start
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
WORK = executor_work.Work(torch.cat([torch.tensor([1.0, 2.0]), torch.zeros(100_000)]))
"""Its offset sums up to 3, as that of the other executors' work, but fills a page of the store."""
LIMITS = EngineConfig(name="ray", timeout_seconds=30, memory_bytes=256 << 20)

FAULTS = {
    ("unpicklable", 0): "result cannot be sent: .*cannot pickle",
    ("unreadable", 0): ".*no number",
    ("allocate", 64): "out of memory: .*can't allocate memory",
    ("allocate_bytes", 64): "out of memory",
    ("hang", 1000): r"timed out: took longer than 30 s \(--candidate-timeout\)",
    ("die", 3): "its worker or node died 3 times",
}


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    """A busy machine starts workers slowly; the token is no file of the user's."""
    monkeypatch.setenv("RAY_worker_register_timeout_seconds", "600")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    monkeypatch.setenv("PYTHONPATH", str(Path(executor_work.__file__).parent))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def ray_processes() -> set[int]:
    """The processes of any cluster on this machine."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if any(name in words for name in (b"raylet", b"gcs_server", b"ray::")):
            found.add(int(path.parent.name))
    return found


def wait_for_end(before: set[int], seconds: float = 60) -> set[int]:
    deadline = time.monotonic() + seconds
    while (left := ray_processes() - before) and time.monotonic() < deadline:
        time.sleep(0.2)
    return left


def test_the_contract_and_all_faults_on_one_cluster():
    """One start of Ray for all: starting takes longer than everything else."""
    before = ray_processes()
    executor = choose_executor(WORK, torch.device("cpu"), 2, LIMITS)
    payloads = [*PAYLOADS, *FAULTS, ("nan", 0), ("mapping", 0), ("square", 4)]
    outcomes, reports = drive(executor, payloads, stop_at=3)
    expected = {key: Outcome(key, **fields) for key, fields in enumerate(PAYLOADS.values())}
    assert {key: outcomes[key] for key in expected} == expected
    assert [r for r in reports if r[0] == 7] == [(7, 0, 0.0), (7, 1, 0.1)]
    assert [r for r in reports if r[0] == 8] == [(8, step, step / 10) for step in range(4)]
    for key, reason in enumerate(FAULTS.values(), start=len(PAYLOADS)):
        assert re.match(reason, outcomes[key].error), outcomes[key].error
    nan, mapping, square = (outcomes[len(payloads) - n] for n in (3, 2, 1))
    assert math.isnan(nan.value)
    assert "/dev/shm" in mapping.value  # in the node's store, not a copy of the worker's own
    assert square.value == 19
    assert not ray.is_initialized()
    assert not wait_for_end(before)


DRIVER = """
    import sys, torch
    sys.path.insert(0, sys.argv[1])
    from executor_work import Work
    from nasproxy.executors.base import Task
    from nasproxy.executors.ray import RayExecutor

    tasks = iter([Task(0, ("leave_pid", 1000))])
    for event in RayExecutor(Work(torch.tensor([1.0])), 1).run(lambda: next(tasks, None)):
        print(event.step, flush=True)
"""


@pytest.mark.parametrize(
    ("cores", "gpus", "share", "tasks"),
    [(8, 0, 0, 8), (8, 1, 0.25, 4), (8, 2, 0.6, 2), (8, 2, 0.5, 4), (3, 1, 0.1, 3),
     (8, 1, 0.3333, 3), (8, 1, 0.3334, 2), (8, 4, 1, 4), (8, 4, 2, 2), (8, 3, 2, 1), (8, 0, 1, 0)],
)  # fmt: skip
def test_tasks_that_a_node_has_room_for(cores, gpus, share, tasks):
    from nasproxy.executors.ray import tasks_on

    assert tasks_on(cores, gpus, share) == tasks


def test_four_tasks_share_a_gpu():
    from nasproxy.executors.ray import RayExecutor

    ray.init(num_cpus=8, num_gpus=1, include_dashboard=False, log_to_driver=False)
    try:
        executor = RayExecutor(WORK, engine=LIMITS, gpus=0.25)
        assert executor.num_workers == 4
        outcomes, _ = drive(executor, [("square", size) for size in range(6)])
        assert [outcomes[size].value for size in range(6)] == [3 + size**2 for size in range(6)]
    finally:
        ray.shutdown()


def test_a_killed_driver_leaves_no_ray_behind(tmp_path):
    before = ray_processes()
    script = tmp_path / "driver.py"
    script.write_text(textwrap.dedent(DRIVER))
    here = str(Path(executor_work.__file__).parent)
    with subprocess.Popen(
        [sys.executable, str(script), here], stdout=subprocess.PIPE, text=True
    ) as driver:
        assert driver.stdout is not None
        pid = int(driver.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        os.kill(driver.pid, signal.SIGKILL)
    assert not wait_for_end(before)
    assert not Path(f"/proc/{pid}").exists()
