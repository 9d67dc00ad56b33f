"""Real histology in MHIST's layout, and the same images as folders and as an npz file.

The images are EBHI-Seg's, not MHIST's; the tests are skipped where they are not at hand.
"""

from __future__ import annotations

import csv
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import invoke_json
from PIL import Image

from nasproxy.config import DataConfig
from nasproxy.data.dataset import load_dataset
from nasproxy.data.holdout import load_test_split

ROOT = Path(os.environ.get("NASPROXY_DATA", "")) / "ebhi"
PER_CLASS = 30
SIZE = 16

pytestmark = pytest.mark.skipif(
    "NASPROXY_DATA" not in os.environ or not ROOT.is_dir(),
    reason="NASPROXY_DATA/ebhi is not there",
)


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A few of the images in all three forms."""
    base = tmp_path_factory.mktemp("ebhi")
    with (ROOT / "annotations.csv").open() as file:
        rows = list(csv.DictReader(file))
    chosen, taken = [], {}
    for row in sorted(rows, key=lambda row: row["Image Name"]):
        kind = row["Partition"], row["Majority Vote Label"]
        taken[kind] = taken.get(kind, 0) + 1
        if taken[kind] <= PER_CLASS:
            chosen.append(row)
    mhist = base / "mhist"
    (mhist / "images").mkdir(parents=True)
    with (mhist / "annotations.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(chosen[0]))
        writer.writeheader()
        writer.writerows(chosen)
    arrays: dict[str, list[np.ndarray]] = {}
    for row in chosen:
        part, label, name = row["Partition"], row["Majority Vote Label"], row["Image Name"]
        source = ROOT / "images" / name
        shutil.copy(source, mhist / "images" / name)
        folder = base / "folder" / part / label
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, folder / name)
    for part in ("train", "test"):
        listed = [row for row in chosen if row["Partition"] == part]
        pictures = [Image.open(ROOT / "images" / r["Image Name"]).convert("RGB") for r in listed]
        arrays[f"{part}_images"] = np.stack([np.asarray(picture) for picture in pictures])
        labels = [[("HP", "SSA").index(row["Majority Vote Label"])] for row in listed]
        arrays[f"{part}_labels"] = np.array(labels, np.uint8)
    np.savez(base / "ebhi.npz", **arrays)
    return {
        "mhist": f"mhist:{mhist}",
        "folder": f"folder:{base / 'folder'}",
        "npz": f"npz:{base / 'ebhi.npz'}",
    }


def test_all_forms_hold_the_same_images(forms: dict[str, str]) -> None:
    found = {}
    for form, name in forms.items():
        data = load_dataset(DataConfig(dataset=name, image_size=SIZE))
        test = load_test_split(data)
        assert data.num_classes == 2
        parts = (data.train, data.validation, test)
        pixels = torch.cat([data.normalization.undo(part.images) for part in parts])
        labels = torch.cat([part.labels for part in parts])
        rows = zip((pixels * 255).round().byte().flatten(1), labels, strict=True)
        found[form] = sorted((bytes(row.tolist()), int(label)) for row, label in rows)
    assert len(found["mhist"]) == 4 * PER_CLASS
    assert found["mhist"] == found["folder"] == found["npz"]


@pytest.mark.parametrize("form", ["mhist", "folder", "npz"])
def test_the_whole_pipeline_runs(forms: dict[str, str], form: str, tmp_path: Path) -> None:
    report = invoke_json(
        "run", "--dataset", forms[form], "--image-size", str(SIZE), "--metric", "auc",
        "--proxy", "synthetic", "--ipc", "2", "--iterations", "2", "--trials", "4",
        "--top", "1", "--uniform", "3", "--epochs", "1", "--trust", "0", "--workers", "1",
        "--config", _short(tmp_path), "--out", tmp_path / "run",
    )  # fmt: skip
    assert report["metric"] == "auc"
    assert report["num_candidates"] == 4
    assert 0 <= report["best"]["test_auc"] <= 1
    assert (tmp_path / "run" / "report.html").is_file()


def test_cases_stay_on_one_side() -> None:
    config = DataConfig(
        dataset=f"mhist:{ROOT}", image_size=SIZE, group_column="labels.csv:case",
        validation_fraction=0.2,
    )  # fmt: skip
    data = load_dataset(config)
    with (ROOT / "labels.csv").open() as file:
        rows = {row["image"]: row for row in csv.DictReader(file)}
    names = sorted(name for name, row in rows.items() if row["partition"] == "train")
    from nasproxy.data.split import divide

    labels = torch.tensor([int(rows[name]["label"]) for name in names])
    groups = [rows[name]["case"] for name in names]
    first, second = divide(labels, groups, 0.2, seed=0, purpose="validation-split")
    assert (len(data.train), len(data.validation)) == (len(first), len(second))
    assert not {groups[i] for i in first.tolist()} & {groups[i] for i in second.tolist()}
    assert torch.equal(data.train.labels, labels[first])


def _short(folder: Path) -> Path:
    path = folder / "short.toml"
    path.write_text("[search.recipe]\nepochs = 2\n")
    return path
