from __future__ import annotations

import json
import re
from pathlib import Path

from commands import invoke, invoke_json

SPACE = 'family = "mlp"\n[parameters]\n"hidden.0" = [1, 2, 4, 16, 64]\n'


def arguments(folder: Path, *more: str) -> list[str | Path]:
    (folder / "five.toml").write_text(SPACE)
    return ["search", "--dataset", "digits", "--space", folder / "five.toml", "--proxy", "random",
            "--ipc", "2", "--trials", "2", "--epochs", "1", "--workers", "1", "--out",
            folder / "run", *more]  # fmt: skip


def test_a_check_before_the_search(tmp_path: Path) -> None:
    command = arguments(tmp_path, "--trust", "3", "--trust-epochs", "0.2")
    result = invoke(*command)
    assert result.exit_code == 0
    warnings = [line for line in result.stderr.splitlines() if line.startswith("Warning")]
    assert len(warnings) == 1  # of three no order is beyond chance
    assert "ranking of 3 architectures" in warnings[0]
    assert result.stderr.index("trust 6/6") < result.stderr.index("search ")
    before = (tmp_path / "run" / "trust.json").stat().st_mtime_ns
    found = invoke_json(*command)
    assert found["trust"]["num_architectures"] == 3
    assert (tmp_path / "run" / "trust.json").stat().st_mtime_ns == before
    report = invoke_json("report", tmp_path / "run")
    assert report["trust"] == {**found["trust"], "full_epochs": report["trust"]["full_epochs"]}
    assert report["trust_seconds"] > 0


def test_a_proxy_that_must_be_trusted(tmp_path: Path) -> None:
    result = invoke(*arguments(tmp_path, "--trust", "3", "--trust-epochs", "0.2",
                               "--require-trust", "--quiet"))  # fmt: skip
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: the proxy's ranking of 3 architectures cannot")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "run" / "candidates.json").exists()


def test_no_check(tmp_path: Path) -> None:
    found = invoke_json(*arguments(tmp_path, "--trust", "0"))
    assert found["trust"] is None
    assert not (tmp_path / "run" / "trust.json").exists()
    result = invoke(*arguments(tmp_path, "--trust", "2"))
    assert result.exit_code == 2
    assert "0 or >= 3, got 2" in result.stderr


def test_the_whole_pipeline_checks_too(finished_run: Path) -> None:
    trust = json.loads((finished_run / "trust.json").read_text())
    report = json.loads((finished_run / "report.json").read_text())
    assert len(trust["architectures"]) == 4 == report["trust"]["num_architectures"]
    assert report["trust"]["sentence"] == trust["sentence"]
    assert "Trust check before the search" in (finished_run / "report.html").read_text()


def test_a_recipe_chosen_first(tmp_path: Path) -> None:
    settings = ("--trust", "6", "--trust-epochs", "0.2", "--calibrate")
    command = arguments(tmp_path, *settings)
    result = invoke(*command)
    assert result.exit_code == 0, result.stderr
    assert re.search(r"^Recipe: of \d recipes on 5 architectures", result.stdout, re.MULTILINE)
    assert result.stderr.index("calibration ") < result.stderr.index("search ")
    found = invoke_json(*command)  # gone on with: nothing is chosen again
    report = invoke_json("report", tmp_path / "run")
    assert report["calibration"] == found["calibration"]
    assert report["calibration_seconds"] > 0
    assert report["trust_seconds"] is None
    assert found["trust"]["num_architectures"] == 5
    chosen = found["calibration"]["recipe"]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["config"]["search"][
        "recipe"
    ] == chosen  # fmt: skip


def test_no_recipe_without_a_check(tmp_path: Path) -> None:
    result = invoke(*arguments(tmp_path, "--trust", "0", "--calibrate"))
    assert result.exit_code == 2
    assert "calibrate takes architectures >= 6, got 0" in result.stderr
