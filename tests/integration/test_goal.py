"""Several objectives and limits, as a user gives them."""

from __future__ import annotations

import sqlite3

import pytest
from commands import invoke, invoke_json

from nasproxy._files import read_json

SEARCH = ("search", "--dataset", "digits", "--proxy", "random", "--ipc", "2", "--epochs", "2",
          "--trust", "0", "--workers", "1", "--device", "cpu")  # fmt: skip


@pytest.fixture
def space(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text('family = "convnet"\n[parameters]\ndepth = [1, 2]\nwidth = [4, 8, 12]\n')
    return path


def test_accuracy_and_parameters_from_search_to_report(space, tmp_path):
    out = tmp_path / "run"
    goal = ("--objective", "accuracy, params", "--max-flops", "100000", "--trials", "5")
    shown = invoke(*SEARCH, "--space", space, *goal, "--out", out, "--quiet")
    assert shown.exit_code == 0, shown.stderr
    candidates = read_json(out / "candidates.json")
    front = [c["trial"] for c in candidates if c["pareto"]]
    assert f"Pareto front, {len(front)} of {len(candidates)} candidates" in shown.stdout
    assert all(c["num_flops"] <= 100_000 for c in candidates)
    again = invoke_json(*SEARCH, "--space", space, *goal, "--out", out)
    assert again["candidates"] == candidates

    verified = ("verify", out, "--top", "2", "--uniform", "0", "--seeds", "1", "--epochs", "1")
    invoke_json(*verified, "--workers", "1", "--device", "cpu")
    chosen = [entry["trial"] for entry in read_json(out / "verification.json")]
    assert set(chosen[: len(front)]) <= set(front)
    summary = invoke_json("report", out)
    assert (summary["objectives"], summary["pareto_trials"]) == (["accuracy", "params"], front)
    assert "Pareto front" in (out / "report.md").read_text()


def test_the_dashboard_takes_a_study_of_several_objectives(space, tmp_path):
    pytest.importorskip("optuna_dashboard")
    from nasproxy.export.dashboard import decorate_study

    out = tmp_path / "run"
    invoke_json(*SEARCH, "--space", space, "--objective", "accuracy,params", "--trials", "3",
                "--out", out)  # fmt: skip
    for _ in range(2):
        decorated = decorate_study(out)
    assert "nasproxy-front-params" in decorated["figures"]
    assert decorated["has_note"]
    with sqlite3.connect(out / "study.db") as database:
        marks = database.execute(
            "select value_json from trial_user_attributes where key = 'pareto'"
        ).fetchall()
    assert sorted(marks) == sorted(
        [("true" if c["pareto"] else "false",) for c in read_json(out / "candidates.json")]
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--objective", "params"), "search.objectives: must be accuracy (the metric)"),
        (("--objective", "accuracy,params", "--pruner", "median"), "pruner must be none where"),
        (("--max-params", "9"), "is within max_params 9: the smallest has"),
        (
            ("--max-latency-ms", "5", "--storage", "sqlite:///{}/shared.db"),
            "--max-latency-ms is measured on this machine",
        ),
    ],
)
def test_mistakes_are_found_before_anything_is_made(space, tmp_path, options, message):
    options = [option.format(tmp_path) for option in options]
    result = invoke(*SEARCH, "--space", space, *options, "--out", tmp_path / "run", "--quiet")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_run_takes_them_too(space, tmp_path):
    config = tmp_path / "run.toml"
    config.write_text(
        'proxy = "random"\n[data]\ndataset = "digits"\n[distill]\nipc = 2\n'
        f'[search]\nspace = "{space}"\nobjectives = ["accuracy", "flops"]\nmax_params = 1\n'
        "trials = 3\n[verify]\nuniform = 0\n"
    )
    result = invoke("run", "--config", config, "--out", tmp_path / "run", "--quiet")
    assert result.exit_code == 2
    assert "is within max_params 1: the smallest has" in result.stderr
    result = invoke("run", "--config", config, "--objective", "accuracy,size", "--quiet")
    assert result.exit_code == 2
    assert "'latency', got 'size'" in result.stderr
