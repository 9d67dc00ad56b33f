from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from commands import invoke, invoke_json

from nasproxy._files import sha256_of
from nasproxy.config import RunConfig
from nasproxy.errors import ConfigError
from nasproxy.pipeline import _verifying


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def without_seconds(candidates: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in c.items() if k != "seconds"} for c in candidates]


def test_few_trials_are_verified_uniformly_as_far_as_they_go() -> None:
    few = {"data": {"dataset": "digits"}, "search": {"trials": 12}}
    assert _verifying(RunConfig.parse(few)).uniform == 12
    assert _verifying(RunConfig.parse({**few, "verify": {"uniform": 8}})).uniform == 8
    with pytest.raises(ConfigError, match="uniform must be <= trials, got 20 of 12"):
        _verifying(RunConfig.parse({**few, "verify": {"uniform": 20}}))


def test_run_leaves_every_record(finished_run: Path) -> None:
    for name in ("run.json", "candidates.json", "verification.json", "report.json", "report.md",
                 "report.html", "study.db", "proxy/proxy.safetensors", "proxy/manifest.json",
                 "proxy/start.png", "proxy/middle.png", "proxy/final.png"):  # fmt: skip
        assert (finished_run / name).stat().st_size > 0, name
    assert not list(finished_run.rglob(".*.json.*")), "a half-written file was left"


def test_report_has_the_contract_fields(finished_run: Path) -> None:
    report = read(finished_run / "report.json")
    for name in ("num_candidates", "num_verified", "spearman_rho", "spearman_rho_ci",
                 "kendall_tau", "noise_ceiling", "top_k_regret", "search_seconds",
                 "distill_seconds", "verify_seconds", "full_search_seconds", "full_search_is",
                 "speedup_search_only", "speedup_with_distillation", "speedup_end_to_end",
                 "break_even_candidates", "best", "verdict"):  # fmt: skip
        assert name in report, name
    assert report["num_candidates"] == 9
    assert set(report["best"]) >= {
        "architecture", "full_accuracy", "test_accuracy", "num_params", "num_flops",
    }  # fmt: skip


def test_candidates_have_the_contract_fields(finished_run: Path) -> None:
    candidates = read(finished_run / "candidates.json")
    assert [c["trial"] for c in candidates] == list(range(9))
    for candidate in candidates:
        assert set(candidate) >= {
            "trial", "architecture", "proxy_accuracy", "num_params", "num_flops", "seconds",
            "status",
        }  # fmt: skip
    assert len({json.dumps(c["architecture"]) for c in candidates}) == 9


def test_same_seed_same_tensors_and_candidates(
    finished_run: Path, settings: Path, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    invoke_json("run", "--config", settings, "--out", again, "--workers", "2")
    first, second = finished_run / "proxy/proxy.safetensors", again / "proxy/proxy.safetensors"
    assert sha256_of([first.read_bytes()]) == sha256_of([second.read_bytes()])
    assert without_seconds(read(again / "candidates.json")) == without_seconds(
        read(finished_run / "candidates.json")
    )


def test_same_command_on_a_finished_run_trains_nothing_again(
    finished_run: Path, settings: Path
) -> None:
    before = {p: p.stat().st_mtime_ns for p in (finished_run / "trainings").iterdir()}
    candidates = read(finished_run / "candidates.json")
    invoke_json("run", "--config", settings, "--out", finished_run, "--workers", "1")
    assert {p: p.stat().st_mtime_ns for p in (finished_run / "trainings").iterdir()} == before
    assert read(finished_run / "candidates.json") == candidates


def test_other_settings_on_the_same_out_are_refused(finished_run: Path, settings: Path) -> None:
    result = invoke("run", "--config", settings, "--out", finished_run, "--seed", "1")
    assert result.exit_code == 2
    assert "choose another --out" in result.stderr
    assert result.stderr.count("\n") == 1


def test_study_opens_in_optuna_with_one_trial_per_architecture(finished_run: Path) -> None:
    import optuna

    study = optuna.load_study(study_name=None, storage=f"sqlite:///{finished_run}/study.db")
    assert len(study.trials) == 9
    assert len({json.dumps(t.params, sort_keys=True) for t in study.trials}) == 9
    assert {"num_params", "num_flops", "seconds", "origin"} <= set(study.best_trial.user_attrs)


def test_a_killed_search_goes_on_without_duplicates(
    finished_run: Path, settings: Path, tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "nasproxy", "run", "--config", str(settings), "--out",
               str(out), "--quiet", "--workers", "1"]  # fmt: skip
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if (out / "candidates.json").exists() and len(read(out / "candidates.json")) >= 2:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    invoke_json("run", "--config", settings, "--out", out, "--workers", "1")
    assert without_seconds(read(out / "candidates.json")) == without_seconds(
        read(finished_run / "candidates.json")
    )
    with sqlite3.connect(out / "study.db") as database:
        assert database.execute("select count(*) from trials").fetchone() == (9,)


def test_sigterm_says_how_to_go_on(settings: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nasproxy", "distill", "--dataset", "digits", "--out",
               str(tmp_path / "p"), "--iterations", "100000", "--quiet"]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "p" / "start.png").exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "same command goes on" in stderr


def test_stages_one_by_one(settings: Path, finished_run: Path, tmp_path: Path) -> None:
    space = settings.parent / "tiny.toml"
    proxy = invoke_json("proxy", "make", "--dataset", "digits", "--kind", "random", "--ipc", "3",
                        "--out", tmp_path / "proxy")  # fmt: skip
    assert proxy["kind"] == "random"
    shown = invoke_json("proxy", "show", tmp_path / "proxy", "--grid", tmp_path / "grid.png")
    assert shown["num_images"] == 30
    assert (tmp_path / "grid.png").stat().st_size > 0
    quality = invoke_json("proxy", "evaluate", tmp_path / "proxy", "--width", "8", "--seeds", "2",
                          "--epochs", "2", "--workers", "1")  # fmt: skip
    assert 0 <= quality["accuracy_mean"] <= 1
    assert len(quality["runs"]) == 2
    found = invoke_json("search", "--dataset", "digits", "--space", space, "--proxy",
                        tmp_path / "proxy", "--trials", "4", "--epochs", "2", "--sampler",
                        "random", "--trust", "0", "--workers", "1", "--out",
                        tmp_path / "run")  # fmt: skip
    assert len(found["candidates"]) == 4
    assert invoke_json("report", tmp_path / "run")["spearman_rho"] is None
    verified = invoke_json("verify", tmp_path / "run", "--top", "1", "--uniform", "3", "--seeds",
                           "1", "--epochs", "1", "--workers", "1")  # fmt: skip
    assert {"top", "uniform"} == {s for v in verified["verification"] for s in v["selected_by"]}
    assert invoke_json("report", tmp_path / "run")["num_verified"] == len(verified["verification"])


def test_pruned_and_whole_space(settings: Path, tmp_path: Path) -> None:
    space = settings.parent / "tiny.toml"
    found = invoke_json("search", "--dataset", "digits", "--space", space, "--proxy", "random",
                        "--ipc", "2", "--trust", "0", "--trials", "50", "--epochs", "4", "--pruner",
                        "halving", "--workers", "1", "--out", tmp_path / "run")  # fmt: skip
    assert len(found["candidates"]) == 12, "the space has 12: the search ends there"
    assert {c["status"] for c in found["candidates"]} <= {"complete", "pruned"}


def test_failing_candidates_are_recorded(tmp_path: Path) -> None:
    space = tmp_path / "wild.toml"
    space.write_text('family = "convnet"\n[parameters]\nwidth = [4, 8]\n[fixed]\nnorm = "none"\n')
    found = invoke_json("search", "--dataset", "digits", "--space", space, "--proxy", "random",
                        "--ipc", "2", "--trust", "0", "--trials", "2", "--epochs", "30", "--lr",
                        "1e18", "--workers", "1", "--out", tmp_path / "run")  # fmt: skip
    assert [c["status"] for c in found["candidates"]] == ["failed", "failed"]
    assert all("diverged" in c["reason"] for c in found["candidates"])
    report = invoke_json("report", tmp_path / "run")
    assert report["num_candidates"] == 2


def test_copy_of_a_run_can_be_reported_elsewhere(finished_run: Path, tmp_path: Path) -> None:
    shutil.copytree(finished_run, tmp_path / "copy")
    assert invoke_json("report", tmp_path / "copy")["num_candidates"] == 9


def test_random_images_with_teachers_labels(tmp_path: Path) -> None:
    """The teachers' training counts as the proxy's making, and is kept for the next call."""
    words = ("search", "--dataset", "digits", "--proxy", "random-soft", "--ipc", "2",
             "--epochs", "2", "--trust", "0", "--workers", "1",
             "--out", tmp_path / "run")  # fmt: skip
    invoke_json(*words, "--trials", "2")
    manifest = read(tmp_path / "run" / "proxy" / "manifest.json")
    assert (manifest["kind"], manifest["config"]["labels"]) == ("random", "soft")
    assert manifest["seconds"] >= manifest["config"]["teachers"]["seconds"] > 0
    weights = tmp_path / "run" / "teachers" / "expert-000.safetensors"
    before = weights.stat().st_mtime_ns
    assert len(invoke_json(*words, "--trials", "3")["candidates"]) == 3
    assert weights.stat().st_mtime_ns == before
