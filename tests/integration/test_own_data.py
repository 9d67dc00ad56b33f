"""Data of the user's own through the command line: found, counted, refused in one line."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import invoke, invoke_json
from PIL import Image

from nasproxy.config import GENERIC, OBJECTS, TISSUE, DataConfig
from nasproxy.data.dataset import load_dataset
from nasproxy.data.holdout import load_test_split

COLUMNS = (
    "Image Name",
    "Majority Vote Label",
    "Number of Annotators who Selected SSA (Out of 7)",
    "Partition",
)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NASPROXY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NASPROXY_DATA", str(tmp_path / "sets"))

    def no_network(*args: object, **kwargs: object) -> None:
        raise OSError("no network in tests")

    monkeypatch.setattr("urllib.request.urlopen", no_network)


def png(seed: int, size: int = 8, mode: str = "RGB") -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, "PNG")
    return buffer.getvalue()


def write_folder(root: Path, parts: tuple[str, ...] = ("train", "test"), count: int = 12) -> Path:
    for number, part in enumerate(parts):
        for label, name in enumerate(("Ödem", "gesund & munter")):
            folder = root / part / name
            folder.mkdir(parents=True)
            for index in range(count):
                (folder / f"{index}.png").write_bytes(png(1000 * number + 100 * label + index))
    return root


def write_mhist(root: Path, count: int = 48) -> Path:
    (root / "images").mkdir(parents=True)
    with (root / "annotations.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow([*COLUMNS, "Patient"])
        for index in range(count):
            name = f"MHIST_{index:03d}.png"
            (root / "images" / name).write_bytes(png(index))
            part = "test" if index % 4 == 3 else "train"
            table.writerow(
                [name, ("HP", "SSA")[index % 2], index % 8, part, f"{part} {index // 4}"]
            )
    return root


def write_npz(path: Path, channels: int = 3) -> Path:
    draw = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for part, count in (("train", 30), ("val", 9), ("test", 12)):
        arrays[f"{part}_images"] = draw.integers(0, 256, (count, 8, 8, channels), np.uint8)
        arrays[f"{part}_labels"] = (np.arange(count)[:, None] % 3).astype(np.uint8)
    np.savez_compressed(path, **arrays)
    return path


def refused(*arguments: str | Path) -> str:
    """Run a command that fails as a user's mistake does; return its line."""
    result = invoke(*arguments)
    assert result.exit_code == 2, result.output + repr(result.exception)
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1, result.stderr
    assert not result.stdout
    return result.stderr


def test_info_of_a_folder(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "my images")
    facts = invoke_json("data", "info", f"folder:{root}")
    assert facts["image_shape"] == [3, 8, 8]
    assert facts["num_classes"] == 2
    assert facts["augmentation"] == GENERIC.to_dict()
    assert [row["class"] for row in facts["counts"]] == ["gesund & munter", "Ödem"]
    assert sum(row["test"] for row in facts["counts"]) == 24
    assert facts["findings"] == []
    text = invoke("data", "info", f"folder:{root}", "--quiet").stdout
    for words in ("3 x 8 x 8", facts["fingerprint"], "Ödem", "gesund & munter", "nothing looks"):
        assert words in text


def test_info_of_mhist(tmp_path: Path) -> None:
    write_mhist(tmp_path / "sets" / "mhist")
    by_name = invoke_json("data", "info", "mhist")
    by_path = invoke_json("data", "info", "mhist:sets/mhist")
    assert by_name["fingerprint"] == by_path["fingerprint"]
    assert by_name["augmentation"] == TISSUE.to_dict()
    assert [row["class"] for row in by_name["counts"]] == ["HP", "SSA"]
    assert invoke_json("data", "fetch", "mhist")["folder"] == str(tmp_path / "sets" / "mhist")
    listed = invoke_json("data", "list")["datasets"]
    assert {"name": "mhist", "here": True} in listed


def test_info_of_an_npz_file(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "pathmnist.npz")
    facts = invoke_json("data", "info", f"npz:{path}")
    assert facts["image_shape"] == [3, 8, 8]
    assert [row["class"] for row in facts["counts"]] == ["0", "1", "2"]
    assert sum(row["test"] for row in facts["counts"]) == 12
    resized = invoke_json("data", "info", f"npz:{path}", "--image-size", "5")
    assert resized["image_shape"] == [3, 5, 5]


def test_paths_are_found_here_and_among_the_data_sets(tmp_path: Path) -> None:
    write_folder(tmp_path / "sets" / "mine")
    write_npz(tmp_path / "here.npz")
    assert invoke_json("data", "info", "folder:mine")["num_classes"] == 2
    assert invoke_json("data", "info", "npz:here.npz")["num_classes"] == 3
    other = invoke_json("data", "info", "folder:mine", "--data-dir", tmp_path / "sets")
    assert other["num_classes"] == 2


def test_grid(tmp_path: Path) -> None:
    write_folder(tmp_path / "mine")
    found = invoke("data", "info", "folder:mine", "--grid", "pictures/grid.png", "--quiet")
    assert found.exit_code == 0, found.output
    assert "drawn to pictures/grid.png" in found.stdout
    with Image.open(tmp_path / "pictures" / "grid.png") as grid:
        assert grid.format == "PNG"
        assert grid.width > grid.height  # ten images a class, two classes
    (tmp_path / "file").write_text("")
    assert "file/grid.png" in refused(
        "data", "info", "folder:mine", "--quiet", "--grid", "file/grid.png"
    )


def test_options(tmp_path: Path) -> None:
    write_mhist(tmp_path / "sets" / "mhist")
    plain = invoke_json("data", "info", "mhist")
    own = invoke_json("data", "info", "mhist", "--augmentation", "objects", "--image-size", "6")
    assert own["augmentation"] == OBJECTS.to_dict()
    assert own["image_shape"] == [3, 6, 6]
    assert own["fingerprint"] == plain["fingerprint"]
    grouped = invoke_json("data", "info", "mhist", "--group-column", "Patient", "--seed", "1")
    assert grouped["findings"] == plain["findings"]
    assert "'tisue'" in refused("data", "info", "mhist", "--augmentation", "tisue")
    assert "(--image-size)" in refused("data", "info", "mhist", "--image-size", "3")


def test_what_looks_wrong_is_told(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "mine")
    train, test = root / "train", root / "test"
    (train / "Ödem" / "again.png").write_bytes(png(100))  # image 0 of the other class
    (test / "Ödem" / "leak.png").write_bytes(png(0))
    for index in range(9):
        (train / "Ödem" / f"more {index}.png").write_bytes(png(5000 + index))
    flat = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(flat, "PNG")
    (test / "Ödem" / "flat.png").write_bytes(flat.getvalue())
    facts = invoke_json("data", "info", f"folder:{root}")
    assert facts["duplicates"]["across"] == {"train-test": 1}
    assert facts["duplicates"]["within"] == {"train": 1}
    assert facts["duplicates"]["with_other_label"] == 1
    told = " | ".join(facts["findings"])
    for words in ("unbalanced", "scores will be too good", "repeat another", "different labels",
                  "one colour: test/test/Ödem/flat.png"):  # fmt: skip
        assert words in told
    text = invoke("data", "info", f"folder:{root}", "--quiet").stdout
    for finding in facts["findings"]:
        assert f"! {finding}" in text


def test_unreadable_images(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "mine")
    (root / "train" / "Ödem" / "0.png").write_bytes(b"")
    (root / "test" / "Ödem" / "3.png").write_bytes(b"GIF89a nonsense")
    line = refused("data", "info", f"folder:{root}", "--quiet")
    assert "train/Ödem/0.png: empty file" in line
    assert "--skip-unreadable" in line
    result = invoke("data", "info", f"folder:{root}", "--skip-unreadable", "--json", "--quiet")
    assert "Warning: left out 1 of 24 train images" in result.stderr
    facts = json.loads(result.stdout)
    assert "1 train images were left out as unreadable: train/Ödem/0.png" in facts["findings"]
    assert "1 test images were left out as unreadable: test/Ödem/3.png" in facts["findings"]


def test_warnings_are_shown(tmp_path: Path) -> None:
    """In a process of its own, where warnings are no errors."""
    root = write_folder(tmp_path / "mine")
    (root / "train" / "Ödem" / "notes.txt").write_text("")
    command = [sys.executable, "-m", "nasproxy", "data", "info", f"folder:{root}", "--quiet"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NASPROXY_CACHE": str(tmp_path / "c")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert "train/Ödem/notes.txt" in done.stderr
    assert "Traceback" not in done.stderr


def test_fetching_mhist_explains(tmp_path: Path) -> None:
    line = refused("data", "fetch", "mhist")
    for words in (
        "https://bmirds.github.io/MHIST/",
        "terms of use",
        "images.zip",
        "annotations.csv",
        str(tmp_path / "sets" / "mhist"),
        "Nothing was downloaded",
    ):
        assert words in line
    assert not (tmp_path / "sets").exists()
    assert "https://bmirds.github.io/MHIST/" in refused("data", "info", "mhist")
    assert "https://bmirds.github.io/MHIST/" in refused(
        "data", "fetch", "mhist:elsewhere", "--json"
    )
    result = invoke("data", "list")
    assert "not here: nasproxy data fetch mhist" in result.stdout


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mhits", "unknown data set 'mhits'"),
        ("foldr:x", "did you mean 'folder:PATH'"),
        ("npz:", "did you mean 'npz:FILE'"),
        ("folder:absent", "absent is not a folder: check the path"),
        ("npz:absent.npz", "cannot read absent.npz: No such file"),
        ("mhist:absent", "there is no absent"),
        ("folder:empty", "empty has no folder per class"),
        ("npz:empty", "cannot read empty: Is a directory"),
        ("mhist:empty", "empty has no folder images/"),
        ("folder:~nobody-of-this-name/x", "check the path"),
        ("folder:" + "x" * 300, "File name too long"),
    ],
)
def test_names_that_lead_nowhere(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "empty").mkdir()
    for command in ("info", "fetch") if "empty" not in name else ("info",):
        line = refused("data", command, name)
        assert words in line or (command == "fetch" and "is not there" in line) or "MHIST" in line


@pytest.mark.parametrize("fault", ["column", "label", "absent", "twice", "cut", "size", "class"])
def test_faults_of_mhist_name_the_file_and_the_remedy(tmp_path: Path, fault: str) -> None:
    root = write_mhist(tmp_path / "m")
    table = root / "annotations.csv"
    text, image = table.read_text(), root / "images" / "MHIST_005.png"
    named, remedy = {
        "column": ("annotations.csv", "mend its heading"),
        "label": ("annotations.csv line 7", "must be HP or SSA"),
        "absent": (image.name, "--skip-unreadable"),
        "twice": ("annotations.csv line 8", "one row"),
        "cut": (image.name, "--skip-unreadable"),
        "size": (image.name, "--image-size"),
        "class": ("'SSA'", "add some"),
    }[fault]
    if fault == "column":
        table.write_text(text.replace("Partition", "Part", 1))
    elif fault == "label":
        table.write_text(text.replace("MHIST_005.png,SSA", "MHIST_005.png,TA"))
    elif fault == "absent":
        image.unlink()
    elif fault == "twice":
        table.write_text(text.replace("MHIST_006", "MHIST_005"))
    elif fault == "cut":
        image.write_bytes(image.read_bytes()[:80])
    elif fault == "size":
        image.write_bytes(png(5, 11))
    else:
        table.write_text(text.replace(",SSA,", ",HP,"))
    line = refused("data", "info", f"mhist:{root}", "--quiet")
    assert named in line
    assert remedy in line


def test_thousands_of_classes_are_refused_at_once(tmp_path: Path) -> None:
    for index in range(10_001):
        os.makedirs(tmp_path / "many" / f"{index}")
    start = time.process_time()
    line = refused("data", "info", "folder:many")
    assert "10,001 classes, at most 10,000" in line
    assert time.process_time() - start < 5


@pytest.mark.parametrize("in_memory", ["1", "0"])
def test_python_and_command_line_agree(
    in_memory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NASPROXY_IN_MEMORY", in_memory)
    names = [
        f"folder:{write_folder(tmp_path / 'f')}",
        f"mhist:{write_mhist(tmp_path / 'm')}",
        f"npz:{write_npz(tmp_path / 'x.npz')}",
    ]
    for name in names:
        facts = invoke_json("data", "info", name, "--grid", "grid.png")
        data = load_dataset(DataConfig(dataset=name))
        assert facts["fingerprint"] == data.fingerprint
        assert facts["image_shape"] == list(data.image_shape)
        assert facts["mean"] == pytest.approx(list(data.normalization.mean))
        assert [row["class"] for row in facts["counts"]] == list(data.class_names)
        test = load_test_split(data)
        assert sum(row["test"] for row in facts["counts"]) == len(test)
        assert test.images.shape[1:] == data.image_shape


def test_the_second_run_starts_at_once(tmp_path: Path) -> None:
    """1,200 images of 224 x 224, as many as fit into a test: the goal is a second for MHIST."""
    root = tmp_path / "m"
    (root / "images").mkdir(parents=True)
    content = [png(seed, 224, "L") for seed in range(4)]
    with (root / "annotations.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for index in random.Random(0).sample(range(1200), 1200):
            (root / "images" / f"{index}.png").write_bytes(content[index % 4])
            label, part = ("HP", "SSA")[index % 2], ("train", "train", "test", "train")[index % 4]
            table.writerow([f"{index}.png", label, 0, part])
    config = DataConfig(dataset=f"mhist:{root}", image_size=32)
    load_test_split(load_dataset(config))
    start = time.process_time()
    load_test_split(load_dataset(config))
    assert time.process_time() - start < 1


def test_a_warning_is_one_line_and_said_once(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    for label, shade in (("dark", 40), ("light", 200)):
        (root / label).mkdir(parents=True)
        for index in range(12):
            Image.new("L", (8, 8), shade + index).save(root / label / f"{index}.png")
    (root / "dark" / "notes.txt").write_text("not a picture")
    result = invoke("data", "info", f"folder:{root}", "--quiet")
    assert result.exit_code == 0, result.stderr
    assert result.stderr.count("Warning: ") == 1
    assert "notes.txt" in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_unknown_augmentation_lists_the_choices() -> None:
    result = invoke("data", "info", "digits", "--augmentation", "tisue")
    assert result.exit_code == 2
    assert "data.augmentation: unknown augmentation 'tisue'" in result.stderr
    assert "did you mean 'tissue'?" in result.stderr
