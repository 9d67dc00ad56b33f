"""Whole commands with `--device cuda`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nasproxy.cli.app import app

SPACE = """
family = "convnet"
[parameters]
depth = [1, 2]
width = [4, 8]
norm = ["none", "batch", "instance"]
"""


def call(*words: str | Path) -> dict[str, object]:
    found = CliRunner().invoke(app, [str(word) for word in (*words, "--json")])
    assert found.exit_code == 0, found.output
    result: dict[str, object] = json.loads(found.stdout)
    return result


@pytest.mark.parametrize("workers", [[], ["--workers", "2"]], ids=["one", "two"])
def test_a_search_and_a_verification(cuda, tmp_path, workers):
    """Two workers are two processes that share the GPU and the images on it."""
    space, out = tmp_path / "space.toml", tmp_path / "run"
    space.write_text(SPACE)
    call(
        "search", "--dataset", "digits", "--space", space, "--proxy", "random", "--ipc", "5",
        "--trials", "6", "--trust", "0", "--device", "cuda", *workers, "--out", out,
    )  # fmt: skip
    candidates = json.loads((out / "candidates.json").read_text())
    assert [one["status"] for one in candidates] == ["complete"] * 6
    assert max(one["proxy_accuracy"] for one in candidates) > 0.5
    run = json.loads((out / "run.json").read_text())
    assert "CUDA" in run["versions"]["hardware"]
    call(
        "verify", out, "--top", "1", "--uniform", "2", "--seeds", "1", "--epochs", "2",
        "--device", "cuda", *workers,
    )  # fmt: skip
    verified = json.loads((out / "verification.json").read_text())
    assert all(len(one["full_accuracy"]) == 1 for one in verified)


def test_a_proxy_is_distilled_and_evaluated(cuda, tmp_path):
    call(
        "distill", "--dataset", "digits", "--method", "datadam", "--ipc", "1", "--iterations", "3",
        "--width", "8", "--device", "cuda", "--out", tmp_path / "proxy",
    )  # fmt: skip
    found = call(
        "proxy", "evaluate", tmp_path / "proxy", "--model", "convnet-2", "--width", "8",
        "--seeds", "1", "--epochs", "60", "--device", "cuda",
    )  # fmt: skip
    assert found["accuracy_mean"] > 0.2
