"""What the driver allows, workers are allowed; what it does not, they are not."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from nasproxy import permission
from nasproxy.executors.base import Outcome, ReportTo, Task
from nasproxy.executors.choose import choose_executor

RAY = pytest.param(
    "ray",
    marks=[
        pytest.mark.ray,
        pytest.mark.slow,
        pytest.mark.skipif(find_spec("ray") is None, reason="needs the ray extra"),
        # left open by Ray's own start
        pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning"),
        pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    ],
)


@dataclass(frozen=True)
class Asking:
    """Says what is allowed where it runs."""

    def __call__(self, payload: str, report: ReportTo) -> tuple[tuple[str, ...], bool]:
        return permission.code_folders(), payload in sys.path


@pytest.mark.parametrize("engine", ["serial", "processes", RAY])
@pytest.mark.parametrize("allowed", [True, False])
def test_workers_inherit_the_permission(engine, allowed, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_worker_register_timeout_seconds", "600")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    if allowed:
        permission.allow_code(tmp_path)
    executor = choose_executor(Asking(), torch.device("cpu"), 1, engine)
    tasks = iter([Task(0, str(tmp_path))])
    folders = (str(tmp_path),) if allowed else ()
    assert list(executor.run(lambda: next(tasks, None))) == [Outcome(0, (folders, allowed))]
