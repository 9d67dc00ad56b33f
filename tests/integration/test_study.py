"""The study on the embedded digits, in miniature."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import invoke, invoke_json

SETTINGS = """
ipc = 2
model = "convnet-1"
widths = [4]
seeds = 2
full_seeds = 1
search_seeds = 2
cross_models = ["mlp"]
baselines = ["random"]

[data]
dataset = "digits"

[datadam]
iterations = 2
num_checks = 1
"""
ROWS = ("--rows", "random/*", "--rows", "full/convnet*", "--rows", "datadam-noise/*/study")


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(SETTINGS)
    return path


def test_a_study_goes_on_row_by_row(tmp_path: Path, settings: Path) -> None:
    out = tmp_path / "study"
    common = ("--config", settings, "--workers", "1", "--out", out)
    first = invoke_json("study", *common, "--rows", "random/search")
    assert [row["row"] for row in first["searches"]] == ["random/search"]
    kept = (out / "rows" / "random--search.json").read_bytes()

    second = invoke_json("study", *common, *ROWS)
    assert (out / "rows" / "random--search.json").read_bytes() == kept
    assert {row["data"] for row in second["networks"]} == {"full", "random", "datadam-noise"}
    assert "pad/search" in second["missing"]
    record = json.loads((out / "study.json").read_text())
    assert record["config"]["ipc"] == 2
    text = (out / "study.md").read_text()
    for picture in ("proxies/datadam-noise/start.png", "proxies/random/final.png"):
        assert picture in text
        assert (out / picture).is_file()
    page = (out / "study.html").read_text()
    assert "How does the same network learn on each?" in page
    curves = [row["curves"] for row in second["networks"] if row["kind"] == "study"]
    assert all(len(values) == 20 for rows in curves for values in rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--rows", "nothing"), "no row is called 'nothing' (--rows)"),
        (("--proxy", "pad"), "--proxy takes NAME=DIR, got 'pad'"),
        (("--proxy", "pda=x"), "unknown proxy 'pda'"),
        (("--model", "convnet-9"), "depth 9"),
    ],
)
def test_mistakes(tmp_path: Path, settings: Path, arguments: tuple[str, str], message: str) -> None:
    common = ("--config", settings, "--out", tmp_path / "s", "--quiet")
    result = invoke("study", *common, *arguments)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_another_study_is_refused(tmp_path: Path, settings: Path) -> None:
    common = ("--workers", "1", "--out", tmp_path / "s", "--rows", "random/mlp/cross", "--quiet")
    assert invoke("study", "--config", settings, *common).exit_code == 0
    result = invoke("study", "--config", settings, "--ipc", "3", *common)
    assert result.exit_code == 2
    assert "holds another study" in result.stderr
