"""Search by early stopping on the full data: no proxy is made, and the search says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import invoke, invoke_json

from nasproxy.config import EARLY_RECIPE

SPACE = 'family = "mlp"\n[parameters]\n"hidden.0" = [1, 2, 4, 16, 64]\n'


def arguments(folder: Path, *more: str) -> list[str | Path]:
    (folder / "five.toml").write_text(SPACE)
    return ["search", "--dataset", "digits", "--space", folder / "five.toml",
            "--steps", "30", "--trials", "4", "--workers", "1", "--out", folder / "run",
            *more]  # fmt: skip


def test_search_verify_and_report(tmp_path: Path) -> None:
    found = invoke_json(*arguments(tmp_path, "--trust", "4", "--trust-epochs", "1"))
    assert found["trust"]["num_architectures"] == 4  # thirty steps are no full training
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    recipe = run["config"]["search"]["recipe"]
    assert (recipe["steps"], recipe["batch_size"]) == (30, EARLY_RECIPE.batch_size)
    assert run["proxy"]["kind"] == "full"
    assert not (tmp_path / "run" / "proxy.safetensors").exists()
    invoke_json("verify", tmp_path / "run", "--top", "1", "--uniform", "3", "--epochs", "1")
    report = invoke_json("report", tmp_path / "run")
    assert report["distill_seconds"] < 1
    page = (tmp_path / "run" / "report.html").read_text()
    assert "digits: early stopping after 30 steps on the full data" in page
    assert "epochs on the proxy" not in page


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--epochs", "3"], "got epochs 3 where it takes 30 steps (--proxy early): leave one out"),
        (["--ipc", "3"], "--ipc 3 has no use with --proxy early"),
        (["--ipc", "3", "--proxy", "full"], "--ipc 3 has no use with --proxy full"),
        (["--steps", "0"], "search.recipe.steps"),
    ],
)
def test_mistakes(tmp_path: Path, more: list[str], message: str) -> None:
    result = invoke(*arguments(tmp_path, *more, "--quiet"))
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_run_takes_the_recipe_that_fits_its_proxy(tmp_path: Path) -> None:
    settings = tmp_path / "run.toml"
    settings.write_text(
        '[search]\nspace = "' + str(tmp_path / "five.toml") + '"\n[search.recipe]\nsteps = 20\n'
    )
    (tmp_path / "five.toml").write_text(SPACE)
    found = invoke_json(
        "run", "--config", settings, "--dataset", "digits", "--trials", "3", "--trust", "0",
        "--top", "1", "--uniform", "0", "--epochs", "1", "--workers", "1",
        "--out", tmp_path / "run",
    )  # fmt: skip
    assert found["recipe"]["steps"] == 20
    assert found["recipe"]["batch_size"] == EARLY_RECIPE.batch_size


@pytest.mark.parametrize(
    ("recipe", "more", "message"),
    [
        (
            "epochs = 5",
            [],
            "got epochs 5 where it takes 300 steps (--proxy early): use --steps, or",
        ),
        ("epochs = 5\nsteps = 7", [], "got epochs 5 where it takes 7 steps"),
        ("epochs = 5", ["--steps", "7", "--proxy", "random"], "where it takes 7 steps"),
        ("lr = -1", [], "search.recipe.lr must be greater than 0, got -1"),
        ("momentun = 0.5", [], "search.recipe.momentun"),
    ],
)
def test_recipes_that_cannot_be(tmp_path: Path, recipe: str, more: list[str], message: str) -> None:
    settings = tmp_path / "run.toml"
    settings.write_text(f"[search.recipe]\n{recipe}\n")
    result = invoke("run", "--config", settings, "--dataset", "digits", *more)
    assert result.exit_code == 2
    assert message in result.stderr


def test_recipes_of_a_file_must_be_tables(tmp_path: Path) -> None:
    settings = tmp_path / "run.toml"
    settings.write_text('[verify]\nrecipe = "short"\n')
    result = invoke("run", "--config", settings, "--dataset", "digits", "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "verify.recipe" in result.stderr


def test_a_run_takes_few_steps_of_the_full_data_without_being_told(tmp_path: Path) -> None:
    (tmp_path / "five.toml").write_text(SPACE)
    found = invoke_json(
        "run", "--dataset", "digits", "--space", tmp_path / "five.toml", "--trials", "2",
        "--trust", "0", "--top", "1", "--uniform", "0", "--epochs", "1",
        "--workers", "1", "--out", tmp_path / "run",
    )  # fmt: skip
    assert 10 < found["recipe"]["steps"] < EARLY_RECIPE.num_steps(1)
