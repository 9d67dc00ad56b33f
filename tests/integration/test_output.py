"""What every command prints: one JSON object or lines that fit, and help for what was mistyped."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from commands import invoke

from nasproxy.cli.app import app

SPACE = 'family = "convnet"\n[parameters]\ndepth = [1, 2]\nwidth = [4, 8]\n'
COMMANDS = {
    "bench": "--quick --only gemm --repeats 1 --out bench",
    "compare": "--dataset digits --space tiny.toml --proxies params,flops --architectures 4 "
    "--truth-epochs 1 --truth-seeds 1 --resamples 9 --workers 1 --out compared",
    "data fetch": "digits",
    "data info": "digits",
    "data list": "",
    "distill": "--dataset digits --ipc 1 --iterations 1 --width 4 --workers 1 --out proxy",
    "doctor": "",
    "export": "RUN --format safetensors --out net.safetensors",
    "proxy evaluate": "PROXY --model mlp --width 4 --epochs 1 --seeds 1 --workers 1",
    "proxy make": "--dataset digits --ipc 1 --out random",
    "proxy show": "PROXY",
    "report": "RUN",
    "run": "--config SETTINGS --out RUN --workers 1",
    "search": "--dataset digits --space tiny.toml --proxy random --ipc 1 --trials 4 --epochs 1 "
    "--trust 0 --workers 1 --out searched",
    "study": "--dataset digits --rows random/convnet*/study --ipc 1 --width 4 --seeds 1 "
    "--workers 1 --out study",
    "verify": "RUN --top 2 --uniform 4 --epochs 1 --workers 1",
}
"""Every command with arguments that take seconds."""
ELSEWHERE = {"demo": "takes a minute: below", "dashboard": "runs until Ctrl-C: test_dashboard.py"}


def names(command: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    for name, child in getattr(command, "commands", {}).items():
        yield from names(child, (*path, name))
    if not hasattr(command, "commands"):
        yield " ".join(path)


def test_no_command_is_forgotten() -> None:
    assert set(names(typer.main.get_command(app))) == set(COMMANDS) | set(ELSEWHERE)


@pytest.fixture(scope="module")
def place(
    finished_run: Path, settings: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """What the words in capitals stand for; the run is a copy."""
    folder = tmp_path_factory.mktemp("output")
    run = shutil.copytree(finished_run, folder / "RUN")
    (folder / "tiny.toml").write_text(SPACE)
    proxy = str(run / "proxy")
    return {"RUN": str(run), "PROXY": proxy, "SETTINGS": str(settings), "FOLDER": str(folder)}


def words_of(name: str, place: dict[str, str]) -> list[str]:
    return [place.get(word, word) for word in f"{name} {COMMANDS[name]}".split()]


@pytest.mark.parametrize("name", COMMANDS)
def test_with_json_there_is_one_object_and_nothing_else(
    name: str, place: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place["FOLDER"])
    result = invoke(*words_of(name, place), "--json", "--quiet")
    assert result.exit_code == 0, result.stderr
    assert isinstance(json.loads(result.stdout), dict)
    assert result.stdout.count("\n") == 1
    assert not [line for line in result.stderr.splitlines() if not line.startswith("Warning: ")]


@pytest.mark.parametrize("name", COMMANDS)
def test_for_people_there_are_lines_that_say_something(
    name: str, place: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same again, which mostly finds its work done; in colour if a terminal were there."""
    monkeypatch.chdir(place["FOLDER"])
    monkeypatch.setenv("COLUMNS", "80")
    if name == "proxy make":  # would write over what is there
        shutil.rmtree("random", ignore_errors=True)
    result = invoke(*words_of(name, place), "--quiet")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.strip()
    assert "\x1b" not in result.stdout, "this is no terminal"
    with pytest.raises(json.JSONDecodeError):
        json.loads(result.stdout)


@pytest.mark.slow
def test_the_demo_prints_one_object(tmp_path: Path) -> None:
    result = invoke("demo", "--out", tmp_path / "demo", "--workers", "1", "--json", "--quiet")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["verdict"]
    assert result.stdout.count("\n") == 1


NEAREST = [
    ("search --dataset digits --proxy random --sampler tpa", "did you mean 'tpe'"),
    ("search --dataset digits --proxy random --metric balanced", "did you mean 'balanced_acc"),
    ("search --dataset digits --proxy random --engine process", "did you mean 'processes'"),
    ("search --dataset digits --device cdua", "did you mean 'cuda'"),
    ("distill --dataset digits --method pda", "did you mean 'pad'"),
    ("distill --dataset digits --init nose", "did you mean 'noise'"),
    ("data info digits --augmentation digit", "did you mean 'digits'"),
    ("compare --dataset digits --proxies params --measure los", "did you mean 'loss'"),
    ("bench --only gem", "did you mean 'gemm'"),
]


@pytest.mark.parametrize(("command", "hint"), NEAREST, ids=[hint for _, hint in NEAREST])
def test_the_nearest_value_is_suggested(
    command: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke(*command.split())
    assert result.exit_code == 2
    assert hint in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.rglob("*.json")), "found before anything is made"


def program(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `nasproxy` under that name, as a shell does."""
    code = "import sys; sys.argv[0] = 'nasproxy'; from nasproxy.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        check=False, capture_output=True, text=True, env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "wanted"), [(["searc"], "search"), (["data", "in"], "info"), (["sr", "--l"], None)]
)
def test_a_shell_completes(words: list[str], wanted: str | None) -> None:
    line = " ".join(["nasproxy", *words])
    done = program(_NASPROXY_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=str(len(words)))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ([wanted] if wanted else [])


def test_a_shell_completes_options() -> None:
    done = program(
        _NASPROXY_COMPLETE="complete_bash", COMP_WORDS="nasproxy search --tri", COMP_CWORD="2"
    )
    assert done.stdout.split() == ["--trials"]


@pytest.mark.parametrize(("words", "hint"), [("serch", "'search'"), ("search --trails 3", "trial")])
def test_the_nearest_command_and_option_are_suggested(words: str, hint: str) -> None:
    done = program(*words.split())
    assert done.returncode == 2
    assert hint in done.stderr
    assert done.stderr.count("\n") == 1
