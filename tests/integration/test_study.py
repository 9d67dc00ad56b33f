"""The study on the embedded digits, in miniature."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import invoke, invoke_json

from nasproxy.cli.study import study_settings
from nasproxy.models.family import check_architecture, named_architecture
from nasproxy.scores.cost import measure_cost

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to.md"

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
    assert "n trainings a row, mean and standard deviation" in page
    assert "convnet-1 of width 4, on test: by the study protocol (20 epochs)" in page
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
        (("--rows", "random/search", "--proxy", "random=nowhere"), "nowhere is not a proxy"),
        (("--width", "0"), "widths: each must be >= 1, got 0 (--width)"),
        (("--width", "4", "--width", "4"), "widths: 4 is named 2 times"),
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


def test_a_typo_is_mended_and_what_no_row_depends_on_may_change(
    tmp_path: Path, settings: Path
) -> None:
    out = tmp_path / "s"
    common = ("--config", settings, "--workers", "1", "--out", out, "--rows", "random/mlp/cross")
    settings.write_text(SETTINGS.replace('"mlp"', '"mpl"'))
    result = invoke("study", *common)
    assert result.exit_code == 2
    assert "cross_models: unknown model 'mpl'" in result.stderr
    assert "did you mean 'mlp'?" in result.stderr
    assert not out.exists()
    settings.write_text(SETTINGS)
    invoke_json("study", *common)
    settings.write_text(SETTINGS.replace("full_seeds = 1", "full_seeds = 3"))
    again = invoke_json("study", *common)
    assert [row["row"] for row in again["networks"]] == ["random/mlp/cross"]
    assert json.loads((out / "study.json").read_text())["config"]["full_seeds"] == 3


def test_pages_show_what_finished_when_a_row_fails(tmp_path: Path, settings: Path) -> None:
    settings.write_text(SETTINGS + "\n[pad]\nexpert_lr = 1e30\nnorm = 'none'\nwidth = 4\n")
    out = tmp_path / "s"
    result = invoke(
        "study", "--config", settings, "--workers", "1", "--out", out, "--quiet",
        "--rows", "full/convnet*", "--rows", "pad/*/study",
    )  # fmt: skip
    assert result.exit_code == 2
    assert "diverged" in result.stderr
    for name in ("study.md", "study.html"):
        assert "convnet-1" in (out / name).read_text()


def test_every_row_says_what_it_was_run_on_and_stays_with_it(
    tmp_path: Path, settings: Path
) -> None:
    folders = [tmp_path / name for name in ("one", "two", "three")]
    for folder, ipc, seed in zip(folders, "223", "010", strict=True):
        made = ("--dataset", "digits", "--ipc", ipc, "--seed", seed, "--out", folder)
        assert invoke("proxy", "make", *made).exit_code == 0
    one, two, three = folders
    out = tmp_path / "s"
    common = ("--config", settings, "--workers", "1", "--out", out, "--rows", "random/search")
    study = ("study", *common, "--quiet", "--proxy")
    assert "holds a proxy of ipc 3" in invoke(*study, f"random={three}").stderr
    assert invoke(*study, f"random={one}").exit_code == 0
    record = json.loads((out / "rows" / "random--search.json").read_text())
    manifest = json.loads((one / "manifest.json").read_text())
    assert record["proxy_sha256"] == manifest["tensors_sha256"]
    assert "delete rows/random--search.json" in invoke(*study, f"random={two}").stderr
    kept = json.loads((out / "study.json").read_text())["proxies"]["random"]
    assert invoke("study", *common, "--quiet").exit_code == 0  # its cost is known from before
    assert json.loads((out / "study.json").read_text())["proxies"]["random"] == kept


def test_a_proxy_given_by_the_name_of_another_is_refused(tmp_path: Path, settings: Path) -> None:
    soft = tmp_path / "soft"
    made = ("--dataset", "digits", "--ipc", "2", "--labels", "soft", "--teachers", "1")
    made = (*made, "--teacher-epochs", "1", "--workers", "1", "--out", soft)
    assert invoke("proxy", "make", *made).exit_code == 0
    common = ("--config", settings, "--out", tmp_path / "s", "--rows", "random/search")
    result = invoke("study", *common, "--proxy", f"random={soft}")
    assert result.exit_code == 2
    assert f"{soft} holds a random-soft proxy, not a random one" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "s" / "study.json").exists()


def test_teachers_of_soft_labels_are_kept(tmp_path: Path, settings: Path) -> None:
    settings.write_text(SETTINGS.replace('["random"]', '["random-soft"]'))
    out = tmp_path / "s"
    common = ("--config", settings, "--workers", "1", "--out", out, "--quiet")
    assert invoke("study", *common, "--rows", "random-soft/mlp/cross").exit_code == 0
    assert len(list((out / "teachers").glob("expert-*.safetensors"))) == 2


@pytest.mark.skipif(not HOW_TO.exists(), reason="a source distribution has no docs/")
def test_the_settings_for_mhist_that_the_docs_give(tmp_path: Path) -> None:
    path = tmp_path / "mhist.toml"
    path.write_text(HOW_TO.read_text().partition("```toml\n")[2].partition("```")[0])
    config = study_settings(path, {}, {})
    assert (config.ipc, config.data.image_size, config.model) == (50, 224, "convnet-7")
    assert (config.datadam.image_lr, config.datadam.real_batch) == (5.0, 128)
    architecture = named_architecture(config.model, config.widths[0])
    check_architecture(architecture, (3, 224, 224))
    macs = measure_cost(architecture, (3, 224, 224), 2).num_flops / 2
    assert macs == pytest.approx(2.64e9, rel=0.005), "as reported"
