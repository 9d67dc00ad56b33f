"""The study of a tiny run as a person sees it in optuna-dashboard."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from commands import invoke, invoke_json

from nasproxy.export.dashboard import decorate_study

CHROMIUM = Path("/usr/bin/chromium")
dashboard = pytest.importorskip("optuna_dashboard", reason="the extra dashboard is not installed")


@pytest.fixture(scope="module")
def run(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the run: its study is decorated."""
    return Path(shutil.copytree(finished_run, tmp_path_factory.mktemp("dashboard") / "run"))


@pytest.fixture
def study(run: Path) -> optuna.Study:
    decorate_study(run)
    return optuna.load_study(study_name="search", storage=f"sqlite:///{run / 'study.db'}")


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_every_trial_carries_what_is_known_of_it(run: Path, study: optuna.Study) -> None:
    candidates = read(run / "candidates.json")
    for candidate, trial in zip(candidates, study.trials, strict=True):
        for name in ("architecture", "num_params", "num_flops", "seconds", "origin"):
            assert trial.user_attrs[name] == candidate[name], name
        assert trial.user_attrs["proxy_accuracy"] == candidate["proxy_accuracy"]
        curve = trial.intermediate_values
        assert len(curve) >= 2
        assert all(0 <= value <= 1 for value in curve.values())


def test_verified_candidates_are_marked(run: Path, study: optuna.Study) -> None:
    verified = {v["trial"]: v for v in read(run / "verification.json")}
    for trial in study.trials:
        assert ("verified_accuracy" in trial.user_attrs) == (trial.number in verified)
        if one := verified.get(trial.number):
            mean = sum(one["full_accuracy"]) / len(one["full_accuracy"])
            assert trial.user_attrs["verified_accuracy"] == pytest.approx(mean)
            assert trial.user_attrs["verified_by"] == " and ".join(one["selected_by"])
            note = dashboard.get_note(optuna.Trial(study, trial._trial_id))
            assert "Verified on the full data" in note


def test_the_note_says_what_was_found(run: Path, study: optuna.Study) -> None:
    note, report = dashboard.get_note(study), read(run / "report.json")
    assert report["verdict"].replace("`", "'") in note
    assert "synthetic proxy (datadam), 2 images per class" in note
    assert f"/artifacts/1/{artifacts(study)['final.png']}" in note
    assert "Trust check" in note


def artifacts(study: optuna.Study) -> dict[str, str]:
    found = optuna.artifacts.get_all_artifact_meta(study)
    assert len({meta.filename for meta in found}) == len(found), "each is attached once"
    return {meta.filename: meta.artifact_id for meta in found}


def test_once_more_changes_nothing_but_what_is_new(run: Path, study: optuna.Study) -> None:
    def content() -> list[Any]:
        with sqlite3.connect(run / "study.db") as database:
            return [
                sorted(database.execute(f"select {what}").fetchall())
                for what in (
                    "trial_id, key, value_json from trial_user_attributes",
                    "key, value_json from study_system_attributes",
                )
            ]

    before = content()
    decorate_study(run)
    assert content() == before
    (run / "report.html").write_text("<p>another report</p>")
    decorate_study(run)
    stored = run / "artifacts" / artifacts(study)["report.html"]
    assert stored.read_text() == "<p>another report</p>"


def test_a_decorated_search_goes_on(run: Path, settings: Path) -> None:
    decorate_study(run)
    before = read(run / "candidates.json")
    invoke_json("run", "--config", settings, "--out", run, "--workers", "1")
    assert read(run / "candidates.json") == before


def test_a_search_that_is_not_verified_yet(run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    for name in ("verification.json", "report.html", "proxy/final.png"):
        (folder / name).unlink()
    found = decorate_study(folder)
    assert found["artifacts"] == []
    assert "nasproxy-history" in found["figures"]
    assert "nasproxy-scatter" not in found["figures"]


MISTAKES = [
    ("nowhere", "", "nowhere is not a run", "search"),
    ("RUN", "--storage sqlite:///none.db", "none.db is not there", "--storage"),
    ("RUN", "--storage nonsense", "'nonsense' is no storage URL", "(--storage)"),
    ("RUN", "--study-name serch", "unknown study 'serch'", "did you mean 'search'"),
]


@pytest.mark.parametrize(("folder", "options", "value", "remedy"), MISTAKES)
def test_mistakes(
    folder: str,
    options: str,
    value: str,
    remedy: str,
    *,
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    where = run if folder == "RUN" else Path(folder)
    result = invoke("dashboard", where, "--no-open", *options.split())
    assert result.exit_code == 2, result.output
    assert result.stderr.count("\n") == 1
    assert value in result.stderr
    assert remedy in result.stderr
    assert not list(tmp_path.iterdir()), "looking creates nothing"


def test_a_port_that_is_taken(run: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = invoke("dashboard", run, "--no-open", "--port", str(port))
    assert result.exit_code == 2
    assert f"port {port} cannot be had" in result.stderr


def test_without_the_extra(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    result = invoke("dashboard", run, "--no-open")
    assert result.exit_code == 2
    assert "pip install 'nasproxy[dashboard]'" in result.stderr
    assert decorate_study(run)["has_note"] is False, "trials are told of all the same"


# a shell's background job, and so the tests in it, ignores Ctrl-C
HEEDING_CTRL_C = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("nasproxy", run_name="__main__", alter_sys=True)
"""


@pytest.fixture(scope="module")
def address(run: Path) -> Iterator[str]:
    """The dashboard in a process of its own, ended by Ctrl-C."""
    command = [sys.executable, "-c", HEEDING_CTRL_C, "dashboard", str(run), "--no-open", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            yield json.loads(line)["url"]
        finally:
            process.send_signal(signal.SIGINT)
            try:
                rest, errors = process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()  # or it would be waited for
                raise
    assert process.returncode == 130
    assert rest == ""
    assert errors == "The dashboard has ended.\n"


def test_it_answers_this_machine_alone(address: str) -> None:
    port = int(address.split(":")[2].split("/", maxsplit=1)[0])
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/studies") as answer:
        assert b'"search"' in answer.read()
    with socket.socket() as other:  # a server on all addresses would answer on this one, too
        assert other.connect_ex(("127.0.0.2", port)) != 0
    own = urllib.request.Request(address, headers={"Origin": f"http://127.0.0.1:{port}"})
    with urllib.request.urlopen(own) as answer:
        assert answer.status == 200
    evil = f"evil.example:{port}"
    for headers in ({"Host": evil}, {"Origin": f"http://{evil}"}, {"Origin": "null"}):
        foreign = urllib.request.Request(address, headers=headers)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(foreign)


@pytest.mark.browser
@pytest.mark.slow
def test_a_browser_finds_study_note_plot_and_image(address: str) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not there")
    errors: list[str] = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1400, "height": 1400})
        page.set_default_timeout(120_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        page.get_by_text("Does the proxy rank as full training does?").first.wait_for()
        assert page.locator(".js-plotly-plot").count() > 0
        page.goto(f"{address}/note")
        page.get_by_text("Trust check before the search").first.wait_for()
        page.locator("img[src*='/artifacts/']").first.wait_for()
        page.wait_for_function(
            "() => [...document.querySelectorAll('img')].some(image => image.naturalWidth > 0)"
        )
        browser.close()
    assert not errors
