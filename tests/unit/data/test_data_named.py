from __future__ import annotations

import gzip
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torchvision.datasets.mnist

from nasproxy.config import DataConfig
from nasproxy.data.dataset import load_dataset
from nasproxy.data.holdout import load_test_split
from nasproxy.data.named import NAMED, NamedSource, fetch, fingerprint
from nasproxy.data.source import RawPart
from nasproxy.errors import DataError

FILES = {
    "train-images-idx3-ubyte": (30, 4, 4),
    "train-labels-idx1-ubyte": (30,),
    "t10k-images-idx3-ubyte": (10, 4, 4),
    "t10k-labels-idx1-ubyte": (10,),
}


@pytest.fixture
def lay_out(idx_bytes):
    def write(folder: Path, end: str = "", **other: np.ndarray) -> None:
        folder.mkdir(parents=True)
        for name, shape in FILES.items():
            key = name.split("-idx")[0].replace("-", "_")
            labels = np.arange(np.prod(shape)) % (10 if len(shape) == 1 else 256)
            array = other.get(key, labels.reshape(shape).astype(np.uint8))
            content = idx_bytes(array)
            (folder / (name + end)).write_bytes(gzip.compress(content) if end else content)

    return write


@pytest.fixture
def offline(monkeypatch):
    """No network: torchvision's downloader fails as it would."""

    def cut(error: Exception) -> None:
        def download(*args, **kwargs):
            raise error

        monkeypatch.setattr(torchvision.datasets.mnist, "download_and_extract_archive", download)

    return cut


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize(
    ("dataset", "folder"),
    [
        ("mnist", "mnist"),
        ("mnist", "MNIST/raw"),
        ("fashion-mnist", "fashion-mnist"),
        ("fashion-mnist", "FashionMNIST/raw"),
    ],
)
def test_both_layouts_are_found(tmp_path, lay_out, dataset, folder, end):
    lay_out(tmp_path / folder, end)
    config = DataConfig(dataset=dataset, data_dir=str(tmp_path), validation_fraction=0.34)
    data = load_dataset(config)
    assert (len(data.train), len(data.validation), data.image_shape) == (20, 10, (1, 4, 4))
    assert len(load_test_split(data)) == 10
    assert fetch(dataset, tmp_path)  # there already: nothing is downloaded


def test_parts_of_a_named_data_set(tmp_path, lay_out):
    lay_out(tmp_path / "mnist")
    source = NamedSource(NAMED["mnist"], tmp_path)
    assert source.parts == ("train", "test")
    train = source.read("train")
    assert source.read("train") is train  # read once
    assert source.fingerprint() == fingerprint(train)
    assert (train.groups, train.names, train.skipped) == (None, None, None)


def test_fingerprint_changes_with_any_byte_label_or_shape():
    images = np.arange(16, dtype=np.uint8).reshape(2, 1, 2, 4)
    labels = np.array([0, 1])
    prints = {fingerprint(RawPart(images, labels))}
    for index in range(16):
        changed = images.copy()
        changed.flat[index] ^= 1
        prints.add(fingerprint(RawPart(changed, labels)))
    prints.add(fingerprint(RawPart(images, labels[::-1])))
    prints.add(fingerprint(RawPart(images.reshape(2, 1, 4, 2), labels)))
    assert len(prints) == 19
    strided = np.repeat(images, 2, axis=3)[..., ::2]
    assert fingerprint(RawPart(strided, labels)) in prints


@pytest.mark.parametrize(
    "error",
    [OSError("no route to host\nat all"), URLError("no name"), RuntimeError("x"), TimeoutError()],
    ids=["OSError", "URLError", "RuntimeError", "without a message"],
)
def test_missing_files_say_what_to_put_where(tmp_path, offline, error):
    offline(error)
    with pytest.raises(DataError) as caught:
        load_dataset(DataConfig(dataset="mnist", data_dir=str(tmp_path)))
    text = str(caught.value)
    assert "\n" not in text
    assert str(tmp_path / "mnist") in text
    assert "NASPROXY_DATA" in text
    assert "--data-dir" in text
    for name in FILES:
        assert f"{name}.gz" in text


@pytest.mark.parametrize("missing", list(FILES)[1:])
def test_a_single_missing_file_is_named(tmp_path, lay_out, offline, missing):
    offline(OSError("no network"))
    lay_out(tmp_path / "mnist")
    (tmp_path / "mnist" / missing).unlink()
    config = DataConfig(dataset="mnist", data_dir=str(tmp_path), validation_fraction=0.34)
    with pytest.raises(DataError, match=f"{missing}.gz"):
        load_test_split(load_dataset(config))


def test_interrupted_download_is_taken_up_again(tmp_path, lay_out, offline):
    """The images arrived, the labels did not: the next call asks for the download again."""
    lay_out(tmp_path / "MNIST/raw")
    (tmp_path / "MNIST/raw/train-labels-idx1-ubyte").unlink()
    offline(OSError("no network"))
    with pytest.raises(DataError, match="could not be downloaded"):
        fetch("mnist", tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_labels": np.zeros(29, np.uint8)}, r"\(30, 4, 4\) and labels \(29,\)"),
        ({"train_labels": np.full(30, 10, np.uint8)}, "label 10 is not a class"),
        ({"train_images": np.zeros((30, 16), np.uint8)}, "do not belong together"),
        (
            {"train_images": np.zeros((0, 4, 4), np.uint8), "train_labels": np.zeros(0, np.uint8)},
            "do not belong together",
        ),
    ],
    ids=["one label less", "label out of range", "flat images", "nothing"],
)
def test_arrays_that_do_not_belong_together(tmp_path, lay_out, change, message):
    lay_out(tmp_path / "mnist", **change)
    with pytest.raises(DataError, match=message):
        load_dataset(DataConfig(dataset="mnist", data_dir=str(tmp_path)))
