"""A search on a Ray cluster of several nodes, one of which is killed."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from commands import invoke, invoke_json

from nasproxy.executors.base import Report, ReportTo, Task
from nasproxy.executors.choose import choose_executor
from nasproxy.executors.engine import EngineConfig
from nasproxy.search.session import search

ray = pytest.importorskip("ray", reason="needs the ray extra: pip install 'nasproxy[ray]'")
pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    # left open by Ray's own start
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def _patience():
    """A busy machine starts workers slowly; the token is no file of the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_register_timeout_seconds", "600")
        patch.setenv("RAY_worker_niceness", "0")  # 15 more than ours would get them no turn
        patch.setenv("RAY_AUTH_TOKEN", "0" * 64)
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        yield


@pytest.fixture
def cluster(_patience):
    """Three nodes of one core; what this process is connected to is left to the executor."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 100 << 20}
    made = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    made.add_node(**node)
    made.add_node(**node)
    yield made
    made.shutdown()


@dataclass(frozen=True)
class NodeWork:
    """Says on which node it runs, then takes its time."""

    tensor: torch.Tensor

    def __call__(self, payload: float, report: ReportTo) -> tuple[str, float]:
        node = ray.get_runtime_context().get_node_id()
        report(0, float(int(node[:8], 16)))
        time.sleep(payload)
        report(1, 0.0)
        return node, float(self.tensor.sum())


def test_a_task_whose_node_is_killed_is_done_on_another(cluster):
    engine = EngineConfig(name="ray", ray_address=cluster.address)
    executor = choose_executor(NodeWork(torch.ones(50_000)), CPU, None, engine)
    assert executor.num_workers == 3
    tasks = iter([Task(key, 3.0) for key in range(6)])
    victims = {int(n.node_id[:8], 16): n for n in cluster.worker_nodes}
    killed, first, reports, outcomes = None, {}, [], {}
    for event in executor.run(lambda: next(tasks, None)):
        if isinstance(event, Report):
            reports.append((event.key, event.step))
            if event.step == 0:
                first[event.key] = int(event.value)
            if killed is None and event.value in victims:
                killed = event.key
                cluster.remove_node(victims[int(event.value)], allow_graceful=False)
        else:
            outcomes[event.key] = event
    assert killed is not None
    assert sorted(outcomes) == list(range(6))
    assert not [outcome.error for outcome in outcomes.values() if outcome.error]
    assert all(outcome.value[1] == 50_000 for outcome in outcomes.values())
    assert int(outcomes[killed].value[0][:8], 16) != first[killed]
    assert sorted(reports) == [(key, step) for key in range(6) for step in (0, 1)]
    assert not ray.is_initialized()


def test_a_search_survives_the_death_of_a_node(cluster, digits, random_proxy, searched, tmp_path):
    """It finds what an undisturbed search in one process finds, to the last digit."""
    config = searched.make_config()
    engine = EngineConfig(name="ray", ray_address=cluster.address)
    nodes = list(cluster.worker_nodes)

    def watch(progress: object) -> None:
        if nodes:
            cluster.remove_node(nodes.pop(), allow_graceful=False)
            nodes.clear()

    found = search(digits, random_proxy, config, tmp_path / "run", engine=engine, watch=watch)
    assert [_lasting(c) for c in found] == [_lasting(c) for c in searched.candidates]
    assert {c["status"] for c in found} == {"complete"}


def _lasting(candidate: dict) -> dict:
    return {name: value for name, value in candidate.items() if name != "seconds"}


def test_commands_on_a_cluster(cluster, tmp_path):
    """Search, verify and the experts of a distillation."""
    crew = ("--engine", "ray", "--ray-address", cluster.address)
    space = tmp_path / "tiny.toml"
    space.write_text('family = "convnet"\n[parameters]\ndepth = [1]\nwidth = [4, 8]\n')
    out = tmp_path / "run"
    found = invoke_json(
        "search", "--dataset", "digits", "--space", space, "--proxy", "random", "--ipc", "2",
        "--trials", "2", "--epochs", "2", "--trust", "0", "--out", out, *crew,
    )  # fmt: skip
    assert [c["status"] for c in found["candidates"]] == ["complete"] * 2
    verified = invoke_json(
        "verify", out, "--top", "1", "--uniform", "0", "--seeds", "1", "--epochs", "1", *crew
    )
    assert len(verified["verification"]) == 1
    made = invoke_json(
        "distill", "--dataset", "digits", "--method", "pad", "--ipc", "1", "--experts", "2",
        "--expert-epochs", "2", "--snapshot-steps", "2", "--max-start", "3", "--match-distance",
        "1", "--student-steps", "2", "--iterations", "2", "--width", "4", "--no-filter",
        "--out", tmp_path / "proxy", *crew,
    )  # fmt: skip
    assert made["kind"] == "synthetic"


def test_no_cluster_at_the_address(tmp_path):
    result = invoke(
        "search", "--dataset", "digits", "--proxy", "random", "--trials", "1", "--trust", "0",
        "--out", tmp_path, "--engine", "ray", "--ray-address", "127.0.0.1:1",
    )  # fmt: skip
    assert result.exit_code == 2
    assert "no Ray cluster at '127.0.0.1:1'" in result.stderr
    assert os.listdir(Path(tmp_path)) == []
