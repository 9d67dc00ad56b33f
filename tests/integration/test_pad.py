"""PAD and soft labels from the command line, on the embedded digits."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import invoke, invoke_json

TINY = (
    "distill", "--dataset", "digits", "--method", "pad", "--ipc", "2", "--iterations", "1",
    "--width", "4", "--depth", "2", "--experts", "2", "--snapshot-steps", "2", "--max-start", "10",
    "--match-distance", "1", "--student-steps", "2", "--no-filter", "--workers", "1",
)  # fmt: skip


@pytest.fixture(scope="module")
def distilled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pad") / "proxy"
    found = invoke_json(*TINY, "--out", out)
    assert found["method"] == "pad"
    assert found["config"]["filter_samples"] is False
    assert len(found["config"]["trained_experts"]["sha256"]) == 2
    return out


def test_candidates_train_on_what_was_distilled(distilled: Path, tmp_path: Path) -> None:
    quality = invoke_json("proxy", "evaluate", distilled, "--width", "4", "--seeds", "1",
                          "--epochs", "1", "--workers", "1")  # fmt: skip
    assert 0 <= quality["accuracy_mean"] <= 1
    shown = invoke_json("proxy", "show", distilled)
    assert shown["num_images"] == 20


def test_the_same_command_again_returns_at_once(distilled: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in distilled.rglob("*.safetensors")}
    invoke_json(*TINY, "--out", distilled)
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_experts_teach_a_baseline(distilled: Path, tmp_path: Path) -> None:
    found = invoke_json("proxy", "make", "--dataset", "digits", "--kind", "herding", "--ipc", "2",
                        "--labels", "soft", "--experts-dir", distilled / "experts",
                        "--out", tmp_path / "proxy")  # fmt: skip
    assert found["config"]["teachers"]["architecture"]["width"] == 4
    assert not (tmp_path / "proxy" / "experts").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--image-size", "12"), "--image-size 8"),
        (("--width", "8"), "another model (width 4 instead of 8)"),
        (("--seed", "1"), "another split of digits (other seed)"),
        (("--filter",), "of another kind"),
        (("--max-start", "11"), "has 11 snapshots, the starts and the matching distance need 12"),
        (("--expert-epochs", "1"), "more start snapshots than saved"),
    ],
)
def test_experts_that_do_not_fit(
    distilled: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    arguments = [*TINY, "--experts-dir", str(distilled / "experts"), *options]
    result = invoke(*arguments, "--out", tmp_path / "out", "--quiet")
    assert result.exit_code == 2, result.output
    assert result.stderr.count("\n") == 1
    assert message in " ".join(result.stderr.split())


@pytest.mark.parametrize("option", [("--teachers", "3"), ("--experts-dir", "somewhere")], ids=str)
def test_teachers_of_hard_labels_are_refused(tmp_path: Path, option: tuple[str, str]) -> None:
    result = invoke("proxy", "make", "--dataset", "digits", "--out", tmp_path / "out", *option)
    assert result.exit_code == 2
    assert f"leave out {' '.join(option)}, or use --labels soft" in result.stderr
