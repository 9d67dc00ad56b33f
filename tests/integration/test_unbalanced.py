"""Two classes, four images of one to one of the other: accuracy is never shown alone."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import invoke, invoke_json

METRICS = ("accuracy", "balanced_accuracy", "auc")


def read(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def lopsided(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data set under MedMNIST's names whose classes are hard to tell apart."""
    chance = np.random.default_rng(0)
    patterns = chance.normal(size=(2, 8, 8))
    arrays = {}
    for part, counts in {"train": (120, 30), "val": (40, 10), "test": (60, 20)}.items():
        labels = np.repeat([0, 1], counts)
        pixels = 128 + 12 * patterns[labels] + 45 * chance.normal(size=(len(labels), 8, 8))
        arrays[f"{part}_images"] = pixels.clip(0, 255).astype(np.uint8)
        arrays[f"{part}_labels"] = labels[:, None].astype(np.uint8)
    path = tmp_path_factory.mktemp("data") / "lopsided.npz"
    np.savez(path, **arrays)
    return f"npz:{path}"


@pytest.fixture(scope="module", params=METRICS)
def run(
    request: pytest.FixtureRequest,
    lopsided: str,
    settings: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[str, Path, str]:
    """A whole run by each metric, and what its commands printed."""
    out = tmp_path_factory.mktemp("unbalanced") / request.param
    space = settings.parent / "tiny.toml"
    commands = (
        ("search", "--dataset", lopsided, "--space", space, "--proxy", "random", "--ipc", "8",
         "--trials", "10", "--epochs", "8", "--metric", request.param, "--trust", "0",
         "--out", out),
        ("verify", out, "--top", "2", "--uniform", "8", "--epochs", "8"),
    )  # fmt: skip
    printed = ""
    for command in commands:
        result = invoke(*command, "--workers", "1", "--quiet")
        assert result.exit_code == 0, result.stderr
        printed += result.stdout
    return request.param, out, printed + invoke("report", out).stdout


def test_candidates_are_ranked_by_the_metric(run: tuple[str, Path, str]) -> None:
    metric, out, _ = run
    candidates = read(out / "candidates.json")
    for candidate in candidates:
        assert all(0 <= candidate[f"proxy_{name}"] <= 1 for name in METRICS)
        assert candidate["proxy_score"] == candidate[f"proxy_{metric}"]
    best = sorted(candidates, key=lambda c: (-c["proxy_score"], c["num_params"], c["trial"]))[:2]
    verified = read(out / "verification.json")
    top = [entry["trial"] for entry in verified if "top" in entry["selected_by"]]
    assert sorted(top) == sorted(c["trial"] for c in best)
    for entry in verified:
        for name in METRICS:
            for split in ("full", "test"):
                assert len(entry[f"{split}_{name}"]) == 2
                assert all(0 <= value <= 1 for value in entry[f"{split}_{name}"])


def test_the_report_judges_by_the_metric(run: tuple[str, Path, str]) -> None:
    from scipy.stats import spearmanr

    metric, out, _ = run
    report, verified = read(out / "report.json"), read(out / "verification.json")
    assert (report["metric"], report["majority_class_rate"]) == (metric, 0.8)
    means = {entry["trial"]: np.mean(entry[f"full_{metric}"]) for entry in verified}
    assert report["best"][f"full_{metric}"] == pytest.approx(max(means.values()))
    assert {f"{s}_{m}" for s in ("full", "test", "proxy") for m in METRICS} <= set(report["best"])
    sample = [entry for entry in verified if "uniform" in entry["selected_by"]]
    rho = spearmanr(
        [entry["proxy_score"] for entry in sample], [means[entry["trial"]] for entry in sample]
    )
    assert report["spearman_rho"] == pytest.approx(rho.statistic)


def test_accuracy_is_never_printed_alone(run: tuple[str, Path, str]) -> None:
    metric, out, printed = run
    assert "majority class 80.0%" in printed  # the search's table
    verified = printed[printed.index("trained on the full data") :]
    assert "majority class 80.00%" in " ".join(verified.split())
    header = verified[: verified.index("━")] if "━" in verified else verified[:600]
    assert all(name in header for name in ("accuracy", "balanced", "AUC"))
    for name in ("accuracy", "balanced accuracy", "AUC"):
        assert f"best network, test {name}" in printed
    for suffix in ("md", "html"):
        text = (out / f"report.{suffix}").read_text()
        assert "(majority class 80.0%)" in text
        assert "best, test balanced accuracy" in text
    if metric != "accuracy":
        name = {"balanced_accuracy": "balanced accuracy", "auc": "AUC"}[metric]
        assert f" by {name}: " in read(out / "report.json")["verdict"]


def test_a_proxy_is_evaluated_by_all_scores(lopsided: str, tmp_path: Path) -> None:
    made = invoke_json("proxy", "make", "--dataset", lopsided, "--ipc", "8", "--out", tmp_path)
    assert made["num_classes"] == 2
    result = invoke("proxy", "evaluate", tmp_path, "--model", "mlp", "--width", "8", "--seeds",
                    "2", "--epochs", "3", "--workers", "1", "--quiet")  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert re.search(
        r"test accuracy [\d.]+% \(std [\d.]+%\), balanced [\d.]+%, AUC [\d.]+%, majority class "
        r"75.0%", result.stdout,
    )  # fmt: skip
    (kept,) = (tmp_path / "evaluation").glob("*.json")
    assert read(kept)["test_class_counts"] == [60, 20]
    full = invoke_json("proxy", "evaluate", tmp_path, "--model", "mlp", "--width", "8",
                       "--protocol", "full", "--epochs", "2", "--workers", "1")  # fmt: skip
    assert (full["recipe"]["epochs"], full["recipe"]["batch_size"], full["protocol"]) == (
        2,
        64,
        "full",
    )
    assert (full["num_seeds"], len(full["runs"])) == (5, 5)


def test_the_metric_of_a_settings_file(lopsided: str, settings: Path, tmp_path: Path) -> None:
    text = settings.read_text().replace('dataset = "digits"', f'dataset = "{lopsided}"')
    path = tmp_path / "run.toml"
    path.write_text(text.replace("[search]", '[search]\nmetric = "auc"'))
    report = invoke_json("run", "--config", path, "--out", tmp_path / "run", "--workers", "1")
    assert report["metric"] == "auc"
    assert report["majority_class_rate"] == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("auc", "takes two classes, digits has 10: use --metric balanced_accuracy"),
        ("f1", "must be 'accuracy', 'balanced_accuracy' or 'auc', got 'f1' (--metric)"),
    ],
)
def test_a_metric_that_cannot_be(metric: str, message: str, tmp_path: Path) -> None:
    """Nothing is distilled before it is refused."""
    out = tmp_path / "run"
    result = invoke("search", "--dataset", "digits", "--metric", metric, "--out", out)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not out.exists()
