"""The winner of a tiny run, written in each format and used as its card says."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import invoke, invoke_json
from safetensors.torch import load_file

from nasproxy.data.dataset import load_dataset
from nasproxy.verify.session import build_full_training


@pytest.fixture(scope="module")
def run(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the run: an export keeps weights in it."""
    return Path(shutil.copytree(finished_run, tmp_path_factory.mktemp("export") / "run"))


@pytest.fixture(scope="module")
def exported(run: Path) -> dict[str, Any]:
    return invoke_json("export", run, "--out", run.parent / "net.safetensors")


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_the_best_by_validation_is_trained_as_its_first_verification(
    run: Path, exported: dict[str, Any]
) -> None:
    best = max(read(run / "verification.json"), key=lambda v: sum(v["full_accuracy"]))
    assert exported["trial"] == best["trial"]
    assert exported["scores"]["full_accuracy"] == best["full_accuracy"][0]
    assert exported["scores"]["test_accuracy"] == best["test_accuracy"][0]
    assert exported["verification"]["full_accuracy"] == best["full_accuracy"]
    assert exported["max_difference"] <= 1e-4
    assert exported["was_kept"] is False


def run_snippet(card: str, pixels: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a card's example in the folder of its file: it prints the names of the classes."""
    [code] = re.findall(r"```python\n(.*?)```", Path(card).read_text(), re.DOTALL)
    names: dict[str, Any] = {"pixels": pixels, "print": lambda found: names.update(found=found)}
    monkeypatch.chdir(folder)
    exec(code, names)
    assert names["probabilities"].shape == (len(pixels), 10)
    assert len(names["found"]) == len(pixels)
    assert set(names["found"]) <= set("0123456789")


def test_the_card_holds_its_numbers_and_a_loader_that_runs(
    run: Path, exported: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    card = Path(exported["card"]).read_text()
    assert f"{exported['scores']['test_accuracy']:.2%}" in card
    assert f"{exported['num_params']:,} parameters" in card
    assert exported["data_sha256"] in card
    code = re.findall(r"```python\n(.*?)```", card, re.DOTALL)[0]
    assert len(code.strip().splitlines()) <= 10
    config = read(run / "run.json")["config"]["data"]
    from nasproxy.config import DataConfig, Recipe

    dataset = load_dataset(DataConfig.parse(config))
    test = build_full_training(dataset, Recipe(), 0).test
    names: dict[str, Any] = {"pixels": dataset.normalization.undo(test.images)}
    monkeypatch.chdir(run.parent)
    exec(code, names)
    right = (names["probabilities"].argmax(1) == test.labels).double().mean().item()
    assert right == pytest.approx(exported["scores"]["test_accuracy"], abs=1e-6)


def test_another_format_trains_nothing(
    run: Path, exported: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = run.parent / "net.pt2"
    again = invoke_json("export", run, "--best", "--format", "pt2", "--out", out)
    assert again["was_kept"] is True
    assert again["scores"] == exported["scores"]
    extra = {"nasproxy.json": ""}
    network = torch.export.load(str(out), extra_files=extra).module()
    run_snippet(again["card"], torch.rand(5, 1, 8, 8), out.parent, monkeypatch)
    probabilities = network(torch.rand(5, 1, 8, 8))
    assert torch.allclose(probabilities.sum(1), torch.ones(5))
    assert json.loads(extra["nasproxy.json"])["class_names"] == list("0123456789")
    invoke_json("export", run, "--out", out)  # over its own earlier export


def test_onnx_runs_where_onnxruntime_is(
    run: Path, exported: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    done = invoke_json("export", run)
    assert done["format"] == "onnx"
    assert done["max_difference"] <= 1e-4
    session = onnxruntime.InferenceSession(done["out"], providers=["CPUExecutionProvider"])
    facts = session.get_modelmeta().custom_metadata_map
    assert json.loads(facts["class_names"]) == list("0123456789")
    assert json.loads(facts["mean"]) == exported["mean"]
    for size in (1, 6):
        pixels = np.random.default_rng(0).random((size, 1, 8, 8), dtype=np.float32)
        [probabilities] = session.run(None, {"pixels": pixels})
        assert probabilities.shape == (size, 10)
        np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    run_snippet(done["card"], pixels, Path(done["out"]).parent, monkeypatch)


def test_damaged_weights_are_trained_again(run: Path, exported: dict[str, Any]) -> None:
    for path in (run / "networks").glob("*.safetensors"):
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    again = invoke_json("export", run, "--out", run.parent / "again.safetensors")
    assert again["was_kept"] is False
    first, second = load_file(exported["out"]), load_file(again["out"])
    assert all(torch.equal(first[name], second[name]) for name in {**first, **second})


def test_a_candidate_that_was_not_verified(run: Path) -> None:
    verified = {v["trial"] for v in read(run / "verification.json")}
    trial = next(c["trial"] for c in read(run / "candidates.json") if c["trial"] not in verified)
    out = run.parent / "other.safetensors"
    result = invoke("export", run, "--trial", str(trial), "--out", out, "--epochs", "2", "--quiet")
    assert result.exit_code == 0, result.stderr
    assert "was not verified" in (out.parent / (out.name + ".md")).read_text()
    assert read(out.parent / (out.name + ".json"))["recipe"]["epochs"] == 2


MISTAKES = [
    ("--trial 99", "unknown trial 99", "0 to 8 (--trial)"),
    ("--trial 1 --best", "--trial 1 exclude each other", "one of them"),
    ("--format tflite", "unknown format 'tflite'", "safetensors (--format)"),
    ("--format onnx --out net.pt2", "must end in .onnx, got 'net.pt2'", "(--out)"),
    ("--out net.pth", "got 'net.pth'", ".onnx, .pt2, .safetensors"),
    ("--out mine.pt2", "mine.pt2 exists already", "another --out"),
    ("--out folder.pt2", "folder.pt2 is a folder", "another --out"),
    ("--out carded.pt2", "carded.pt2.md exists already", "another --out"),
    ("--out named.safetensors", "named.safetensors.json exists already", "another --out"),
]


@pytest.mark.parametrize(("options", "value", "remedy"), MISTAKES, ids=[m[0] for m in MISTAKES])
def test_mistakes(
    options: str,
    value: str,
    remedy: str,
    *,
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder.pt2").mkdir()
    for name in ("mine.pt2", "carded.pt2.md", "named.safetensors.json"):
        Path(name).write_text('"of someone else"')
    result = invoke("export", run, *options.split())
    assert result.exit_code == 2, result.output
    assert result.stderr.count("\n") == 1
    assert value in result.stderr
    assert remedy in result.stderr
    assert Path("mine.pt2").read_text() == '"of someone else"'


def test_without_verification(run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    (folder / "verification.json").unlink()
    result = invoke("export", folder, "--out", tmp_path / "net.pt2")
    assert result.exit_code == 2
    assert "has no verified network" in result.stderr
    assert "nasproxy verify" in result.stderr


def test_a_missing_extra_is_named(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    result = invoke("export", run, "--format", "onnx")
    assert result.exit_code == 2
    assert "onnxscript: pip install 'nasproxy[export]'" in result.stderr


def test_other_data_are_refused(run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    record = read(folder / "run.json")
    record["config"]["data_sha256"] = "0" * 64
    (folder / "run.json").write_text(json.dumps(record))
    result = invoke("export", folder, "--out", tmp_path / "net.pt2")
    assert result.exit_code == 2
    assert "searched on other data" in result.stderr
