"""Every mistake of the user's: exit code 2, one line naming value and remedy, nothing written."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import invoke

MISTAKES = [
    ("data info mnits", "unknown data set 'mnits'", "did you mean"),
    ("distill --dataset mnits", "unknown data set 'mnits'", "mnist"),
    ("distill --dataset digits --method mtt", "distill.method must be 'datadam' or", "got 'mtt'"),
    (
        "distill --dataset digits --method pad --alpha 1",
        "must be less than 1, got 1.0",
        "(--alpha)",
    ),
    ("distill --dataset digits --method pad --alpha -1", "equal to 0, got -1.0", "(--alpha)"),
    (
        "distill --dataset digits --method pad --p 2",
        "--p is an option of datadam",
        "leave it out, or use",
    ),
    (
        "distill --dataset digits --hard-labels",
        "--hard-labels is an option of pad",
        "not of datadam",
    ),
    ("distill --dataset digits --method pad --max-start 0", "got 0", "(--max-start)"),
    ("distill --dataset digits --method pad --experts-dir FILE", "FILE is not a folder", "another"),
    (
        "distill --dataset digits --method pad --no-filter --difficulty gradient",
        "without the filter nothing is ranked",
        "leave out --difficulty gradient or --no-filter",
    ),
    (
        "distill --dataset digits --method pad --hard-labels --label-lr 5",
        "hard labels are not learned",
        "leave out --label-lr 5.0 or --hard-labels",
    ),
    ("distill --dataset digits --method pad --ipc 500", "ipc 500 is more than class", "or less"),
    ("distill --dataset digits --alpha 0.5", "--alpha is an option of pad", "or use --method pad"),
    ("distill --dataset digits --experts-dir EMPTY", "datadam has no experts", "--experts-dir"),
    (
        "distill --dataset digits --method pad --expert-epochs 2",
        "more start snapshots than saved",
        "use more --expert-epochs or a smaller --max-start",
    ),
    ("distill --dataset digits --ipc 0", "greater than or equal to 1, got 0", "(--ipc)"),
    ("distill --dataset digits --ipc 500", "ipc 500 is more than class", "or less"),
    ("distill --dataset digits --init reel", "must be 'real', 'noise' or 'kcenter'", "'reel'"),
    ("distill --dataset digits --preset gpu", "unknown preset 'gpu'", "cpu, paper"),
    ("distill --dataset digits --width -1", "got -1", "(--width)"),
    ("distill --dataset digits --width 0", "got 0", "(--width)"),
    ("distill --dataset digits --depth 5", "depth 5 with pooling halves 8x8", "depth <= 3"),
    ("distill --dataset digits --device tpu", "got 'tpu'", "(--device)"),
    ("search --dataset digits --space convnets", "unknown search space 'convnets'", "did you mean"),
    ("search --dataset digits --space none.toml", "cannot read none.toml", "check the path"),
    ("search --dataset digits --proxy sythetic", "unknown proxy 'sythetic'", "synthetic"),
    ("search --dataset digits --proxy random --sampler tpa", "must be 'tpe'", "(--sampler)"),
    ("search --dataset digits --proxy random --trials 0", "got 0", "(--trials)"),
    ("search --dataset digits --proxy random --workers 0", "workers must be >= 1, got 0", ""),
    ("search --dataset digits --proxy random --engine steam", "got 'steam'", "(--engine)"),
    ("search --dataset digits --proxy random --storage nonsense://x", "cannot open the study", ""),
    ("verify nowhere", "nowhere is not a run", "search"),
    ("report nowhere", "nowhere is not a run", "search"),
    ("proxy show nowhere", "nowhere is not a proxy", ""),
    ("proxy make --dataset digits --kind herdin", "unknown kind of baseline proxy", "herding"),
    ("proxy make --dataset digits --labels sofd", "unknown kind of labels 'sofd'", "(--labels)"),
    ("proxy make --dataset digits --labels soft --teachers 0", "got 0", "(--teachers)"),
    ("proxy make --dataset mnist --data-dir EMPTY", "is not in", "put train-images"),
    ("run --config none.toml", "cannot read none.toml", "check the path"),
    ("run", "no data set is named", "--dataset"),
]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "FILE").touch()

    def no_network(*args: object, **kwargs: object) -> None:
        raise OSError("no network in tests")

    monkeypatch.setattr("urllib.request.urlopen", no_network)


@pytest.mark.parametrize(("command", "value", "remedy"), MISTAKES, ids=[m[0] for m in MISTAKES])
def test_mistake(command: str, value: str, remedy: str, tmp_path: Path) -> None:
    result = invoke(*command.split())
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1, result.stderr
    assert value in result.stderr
    assert remedy in result.stderr
    left = [p for p in tmp_path.rglob("*") if p.is_file() and p.name != ".lock"]
    assert not [p for p in left if p.suffix in {".safetensors", ".json"} and "proxy" not in str(p)]


def test_settings_file_errors_name_the_dotted_path(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('[data]\ndataset = "digits"\n[search.recipe]\nepoch = 3\n')
    result = invoke("run", "--config", path)
    assert result.exit_code == 2
    assert "search.recipe.epoch" in result.stderr
    assert "did you mean 'search.recipe.epochs'" in result.stderr
    path.write_text("not toml [")
    assert "is not valid TOML" in invoke("run", "--config", path).stderr


def test_proxy_of_other_data_is_refused(finished_run: Path, tmp_path: Path) -> None:
    result = invoke("search", "--dataset", "digits", "--image-size", "12", "--proxy",
                    finished_run / "proxy", "--out", tmp_path / "r")  # fmt: skip
    assert result.exit_code == 2
    assert "--image-size 8" in result.stderr


@pytest.mark.parametrize("damage", ["truncate", "flip", "json", "missing", "version"])
def test_damaged_proxy(damage: str, finished_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "proxy"
    shutil.copytree(finished_run / "proxy", folder)
    tensors, manifest = folder / "proxy.safetensors", folder / "manifest.json"
    if damage == "truncate":
        tensors.write_bytes(tensors.read_bytes()[:-7])
    elif damage == "flip":
        content = bytearray(tensors.read_bytes())
        content[-1] ^= 1
        tensors.write_bytes(content)
    elif damage == "json":
        manifest.write_text("{")
    elif damage == "missing":
        tensors.unlink()
    else:
        content = json.loads(manifest.read_text())
        manifest.write_text(json.dumps({**content, "schema_version": 99}))
    result = invoke("proxy", "show", folder)
    assert result.exit_code == 2, result.output
    assert str(folder) in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX permissions")
def test_out_under_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = invoke("distill", "--dataset", "digits", "--iterations", "1", "--out",
                    tmp_path / "file" / "proxy")  # fmt: skip
    assert result.exit_code == 2
    assert "cannot write" in result.stderr
    assert "--out" in result.stderr


def run_on_small_disk(
    tmp_path: Path, size: str, *arguments: str
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run a command with `tmp_path/disk` a tmpfs of `size`; give what it did and the files left.

    The disk lives in a mount namespace of its own, so that a killed test leaves no mount behind.
    """
    disk, listing = tmp_path / "disk", tmp_path / "listing"
    disk.mkdir()
    namespace = ["unshare", "--mount", "sh", "-c"]
    mount = f'mount -t tmpfs -o size={size} tmpfs "{disk}"'
    if (
        shutil.which("unshare") is None
        or subprocess.run([*namespace, mount], check=False, capture_output=True).returncode
    ):
        pytest.skip("a small tmpfs cannot be mounted here (needs root)")
    script = f'{mount} && "$@"; code=$?; find "{disk}" -type f > "{listing}"; exit $code'
    command = [*namespace, script, "sh", sys.executable, "-m", "nasproxy", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done, listing.read_text().splitlines()


@pytest.mark.parametrize("size", ["60k", "140k", "148k"])
def test_full_disk_in_the_middle_of_a_search(size: str, tmp_path: Path) -> None:
    done, files = run_on_small_disk(
        tmp_path, size, "search", "--dataset", "digits", "--proxy", "random", "--ipc", "1",
        "--trials", "40", "--epochs", "1", "--trust", "0", "--workers", "1", "--quiet",
        "--out", str(tmp_path / "disk" / "run"),
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    reasons = ("disk is full", "No space left", "disk I/O error")  # the last of a write-ahead log
    assert any(reason in done.stderr for reason in reasons)
    assert not [name for name in files if Path(name).name.startswith(".") and ".json." in name]


def test_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    done, files = run_on_small_disk(
        tmp_path, "16k", "proxy", "make", "--dataset", "digits", "--ipc", "90",
        "--out", str(tmp_path / "disk" / "p"),
    )  # fmt: skip
    assert done.returncode == 2
    assert "No space left" in done.stderr
    assert not files


def test_unknown_options_and_commands_are_one_line(tmp_path: Path) -> None:
    for arguments in (["search"], ["serch"], ["search", "--dataset", "digits", "--bar"]):
        command = [sys.executable, "-m", "nasproxy", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert done.stderr.startswith("Error: ")
        assert done.stderr.count("\n") == 1
