from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from nasproxy.config import DataConfig
from nasproxy.data import listing
from nasproxy.data import npz as npz_module
from nasproxy.data.dataset import load_dataset
from nasproxy.data.holdout import load_test_split
from nasproxy.data.sources import open_source
from nasproxy.errors import DataError


def config(path, **settings) -> DataConfig:
    return DataConfig(dataset=f"npz:{path}", **settings)


def npy(array: np.ndarray, **header) -> bytes:
    """The bytes of an array, its header changed at will."""
    buffer = io.BytesIO()
    fields = {
        "descr": np.lib.format.dtype_to_descr(array.dtype),
        "fortran_order": False,
        "shape": array.shape,
    }
    np.lib.format.write_array_header_1_0(buffer, {**fields, **header})
    return buffer.getvalue() + array.tobytes()


def replace_member(path, name: str, content: bytes | None, method=zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    members.pop(f"{name}.npy", None)
    with zipfile.ZipFile(path, "w", method) as archive:
        for member, body in members.items():
            archive.writestr(member, body)
        if content is not None:
            archive.writestr(f"{name}.npy", content)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_parts(npz, save):
    path, arrays = npz(save)
    source = open_source(config(path))
    assert source.parts == ("train", "val", "test")
    assert source.class_names == ("0", "1", "2")
    for part in source.parts:
        raw = source.read(part)
        np.testing.assert_array_equal(raw.images[:, 0], arrays[f"{part}_images"])
        assert raw.labels.tolist() == arrays[f"{part}_labels"].ravel().tolist()
        assert raw.labels.dtype == np.int64
    data = load_dataset(config(path))
    assert (len(data.train), len(data.validation), len(load_test_split(data))) == (12, 6, 6)
    assert data.validation.labels.tolist() == [0, 1, 2] * 2


def test_without_a_validation_part_one_is_split_off(npz):
    path, _ = npz(val_images=None, val_labels=None)
    data = load_dataset(config(path, validation_fraction=0.25))
    assert (len(data.train), len(data.validation)) == (9, 3)


@pytest.mark.parametrize("shape", [(12, 7, 5, 3), (12, 7, 5, 1), (12, 7, 5)])
def test_colours_and_grey(npz, shape):
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    path, _ = npz(train_images=images)
    found = open_source(config(path)).read("train").images
    expected = images.reshape(12, 7, 5, -1).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.int8, ">i4", "<u2", np.uint64])
@pytest.mark.parametrize("shape", [(12,), (12, 1)])
def test_labels_of_any_whole_kind(npz, dtype, shape):
    labels = (np.arange(12) % 3).reshape(shape).astype(dtype)
    path, _ = npz(train_labels=labels)
    assert open_source(config(path)).read("train").labels.tolist() == [0, 1, 2] * 4


@pytest.mark.parametrize("shape", [(12, 9, 5), (12, 9, 5, 3)])
def test_resizing_is_pillows(npz, shape):
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    path, _ = npz(train_images=images, val_images=None, val_labels=None)
    found = open_source(config(path, image_size=8)).read("train").images
    for image, original in zip(found, images, strict=True):
        resized = Image.fromarray(original).resize((8, 8), Image.Resampling.BILINEAR)
        expected = np.asarray(resized).reshape(8, 8, -1).transpose(2, 0, 1)
        np.testing.assert_array_equal(image, expected)


def test_more_images_than_one_batch(npz, monkeypatch):
    monkeypatch.setattr(npz_module, "_BATCH_BYTES", 100)
    path, arrays = npz()
    seen = []
    raw = open_source(config(path), seen.append).read("train")
    np.testing.assert_array_equal(raw.images[:, 0], arrays["train_images"])
    assert [p.done for p in seen if p.stage == "unpack train"] == [3, 6, 9, 12]


def test_the_second_time_nothing_is_unpacked(npz, monkeypatch):
    path, _ = npz()
    first = load_dataset(config(path))
    monkeypatch.setattr("nasproxy.data.npz._squeeze", None)
    monkeypatch.setattr("nasproxy.data.npz._hash_file", None)
    assert torch.equal(load_dataset(config(path)).train.images, first.train.images)


def test_a_changed_file_is_noticed(npz):
    first = load_dataset(config(npz()[0]))
    images = np.zeros((12, 6, 5), np.uint8)
    images[0] = 1
    second = load_dataset(config(npz(train_images=images)[0]))
    assert first.fingerprint != second.fingerprint
    assert not torch.equal(first.train.images, second.train.images)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"train_images": None}, "has no train_images, only 'val_images, test_images, train_"),
        ({"train_labels": None}, "has no train_labels, only 'train_images, .*MedMNIST's names"),
        ({"train_labels": None, "train_images": None}, "has no train_images and train_labels"),
        ({"test_images": None, "test_labels": None}, "has no test_images and test_labels"),
        ({"val_labels": None}, "has no val_labels, only 'train_images, val_images"),
        ({"val_images": None}, "has no val_images, only .*val_labels"),
        ({"train_images": np.zeros((12, 6, 6, 6), np.uint8)}, "3-D volumes are not handled: cut"),
        ({"train_images": np.zeros((12, 6, 6, 6, 3), np.uint8)}, "3-D volumes are not handled"),
        ({"train_images": np.zeros((12, 6, 6, 6, 1), np.uint8)}, "3-D volumes are not handled"),
        ({"train_images": np.zeros((12, 6, 6, 4), np.uint8)}, r"\(N, H, W, 3\), got \(12, 6, 6, 4"),
        ({"train_images": np.zeros((12, 3, 6, 6), np.uint8)}, r"got \(12, 3, 6, 6\)"),
        ({"train_images": np.zeros((12, 36), np.uint8)}, r"got \(12, 36\)"),
        ({"train_images": np.uint8(3)}, r"got \(\)"),
        ({"train_images": np.zeros((12, 0, 6), np.uint8)}, "train_images is empty"),
        ({"train_images": np.zeros((0, 6, 6), np.uint8)}, "empty"),
        ({"train_images": np.zeros((12, 6, 6), np.float32)}, "uint8 in 0..255, got float32"),
        ({"train_images": np.zeros((12, 6, 6), np.int64)}, "uint8 in 0..255, got int64"),
        ({"train_images": np.zeros((12, 6, 6), bool)}, "uint8 in 0..255, got bool"),
        ({"train_images": np.zeros((11, 6, 6), np.uint8)}, "11 train_images and 12 train_labels"),
        ({"val_images": np.zeros((7, 6, 5), np.uint8)}, "7 val_images and 6 val_labels do not"),
        ({"train_labels": np.zeros((12, 14), np.uint8)}, "14 labels an image.*multi-label"),
        ({"train_labels": np.zeros((12, 0), np.uint8)}, r"\(N,\) or \(N, 1\), got \(12, 0\)"),
        ({"train_labels": np.zeros((12, 1, 1), np.uint8)}, r"\(N,\) or \(N, 1\)"),
        ({"train_labels": np.zeros(0, np.uint8)}, r"\(N,\) or \(N, 1\), got \(0,\)"),
        ({"train_labels": np.uint8(1)}, r"\(N,\) or \(N, 1\), got \(\)"),
        ({"train_labels": np.zeros(12, np.float32)}, "must be whole numbers, got float32"),
        ({"train_labels": np.zeros(12, "U3")}, "must be whole numbers, got <U3"),
        ({"train_labels": np.zeros(12, bool)}, "must be whole numbers, got bool"),
        ({"train_labels": np.array([0, 1] * 5 + [-1, 1])}, "holds -1: labels begin at 0"),
        ({"train_labels": np.array([0, 1] * 5 + [2**63, 1], np.uint64)}, "labels"),
        ({"train_labels": np.zeros(12, np.uint8)}, "one class only"),
        ({"train_labels": np.array([0, 0] * 5 + [2, 2])}, "class '1' of .* has 0 image"),
        ({"train_labels": np.array([0, 0] * 5 + [0, 1])}, "class '1' of .* has 1 image"),
        ({"val_labels": np.full(6, 3)}, "val_labels holds 3, a class without training images"),
        ({"train_labels": np.array([0, 1] * 5 + [0, 10_000])}, "has 10,001 classes, at most 10"),
        ({"train_labels": np.array([0, 1] * 5 + [0, 2**62])}, "classes, at most 10,000"),
        ({"train_images": np.array([{}] * 12)}, "pickled objects, which are never loaded"),
        ({"train_labels": np.array([None] * 12)}, "pickled objects, which are never loaded"),
        ({"train_images": np.zeros((12, 6, 5), np.uint8, order="F")}, "Fortran order: save it in"),
    ],
)  # fmt: skip
def test_arrays_that_are_not_what_they_should_be(npz, arrays, message):
    path, _ = npz(**arrays)
    with pytest.raises(DataError, match=message) as caught:
        load_dataset(config(path))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"test_labels": np.full(6, 3)}, "test_labels holds 3, a class without training images"),
        ({"test_images": np.zeros((7, 6, 5), np.uint8)}, "7 test_images and 6 test_labels"),
        ({"test_images": np.zeros((6, 6, 5), np.float64)}, "uint8"),
    ],
)
def test_the_test_part_is_looked_at_when_it_is_read(npz, arrays, message):
    data = load_dataset(config(npz(**arrays)[0]))
    with pytest.raises(DataError, match=message):
        load_test_split(data)


def test_pickles_are_never_loaded(npz):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was loaded",))

    for name in ("train_images", "train_labels"):
        path, _ = npz(**{name: np.array([Trap()] * 12, dtype=object)})
        with pytest.raises(DataError, match="never loaded"):
            load_dataset(config(path))


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"PK\x05\x06" + bytes(18), b"\x93NUMPY\x01\x00", b"x" * 1000]
)
def test_files_that_are_no_archive(tmp_path, content):
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"is not an npz file|has no train_images") as caught:
        load_dataset(config(path))
    assert str(path) in str(caught.value)


def test_missing_files_and_folders(tmp_path):
    for path in (tmp_path / "absent.npz", tmp_path):
        with pytest.raises(DataError, match=r"cannot read .*; check the path after npz:"):
            load_dataset(config(path))


IMAGES = np.zeros((12, 6, 5), np.uint8)
LABELS = (np.arange(12) % 3).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("train_images", npy(IMAGES, shape=(12, 60_000, 60_000))),
        ("train_images", npy(IMAGES, shape=(12, 2**40, 2**40))),
        ("train_images", npy(IMAGES, shape=(12, -6, 5))),
        ("train_images", npy(IMAGES, shape=(-12, 6, 5))),
        ("train_images", npy(IMAGES, shape=(12, -6, -5))),
        ("train_images", npy(IMAGES, shape=(12, 7, 5))),
        ("train_images", npy(IMAGES, shape=(True, 6, 5))),
        ("train_images", npy(IMAGES)[:40]),
        ("train_images", npy(IMAGES)[:7]),
        ("train_images", b""),
        ("train_images", b"\x93NUMPY\x03\x00" + npy(IMAGES)[8:]),
        ("train_images", npy(IMAGES)[:10] + b"(" * 118),
        ("train_images", npy(IMAGES)[:10] + b"\t{'" * 39),
        ("train_images", npy(IMAGES)[:10] + b"{'descr': 5L\n  x" * 7),
        ("train_images", npy(IMAGES)[:10] + b"[" * 20 + bytes(98)),
        ("train_images", npy(IMAGES)[:10] + b"\xff" * 118),
        ("train_labels", npy(LABELS, shape=(2**60,))),
        ("train_labels", npy(LABELS, shape=(2**28,))),
        ("train_labels", npy(LABELS, shape=(-12,))),
        ("train_labels", npy(LABELS, shape=(12, -1))),
        ("train_labels", npy(LABELS, descr="|O")),
        ("train_labels", npy(LABELS, descr=[("a", "<i4")])),
        ("train_labels", npy(LABELS, descr="<i8")),
        ("train_labels", npy(LABELS, descr="nonsense")),
    ],
)
def test_headers_that_lie(npz, name, content):
    path, _ = npz()
    replace_member(path, name, content)
    with pytest.raises(DataError, match=name) as caught:
        load_dataset(config(path))
    assert str(path) in str(caught.value)


def test_an_array_of_more_pixels_than_pillow_allows(npz, monkeypatch):
    """An archive of a few kilobytes may unpack to one image of gigabytes."""
    path, _ = npz()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 29)
    with pytest.raises(DataError, match="train_images: images of 6 x 5 are more than 29 pixels"):
        load_dataset(config(path))


def test_a_member_that_is_too_large(npz, monkeypatch):
    path, _ = npz()
    monkeypatch.setattr(npz_module, "MAX_MEMBER_BYTES", 200)
    with pytest.raises(DataError, match="train_images claims 488 bytes: not read"):
        load_dataset(config(path))


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_damaged_bytes_never_give_other_pixels(npz, method, monkeypatch, tmp_path):
    draw = np.random.default_rng(1)
    path, _ = npz()
    replace_member(path, "train_images", npy(draw.integers(0, 256, IMAGES.shape, np.uint8)), method)
    content = path.read_bytes()
    good = load_dataset(config(path)).train.images
    step = 53 if method == zipfile.ZIP_STORED else 43
    for position in range(0, len(content), step):
        monkeypatch.setenv("NASPROXY_CACHE", str(tmp_path / f"cache {position}"))
        changed = content[:position] + bytes([content[position] ^ 0x55]) + content[position + 1 :]
        path.write_bytes(changed)
        try:
            found = load_dataset(config(path)).train.images
        except DataError as error:
            assert str(path) in str(error)  # noqa: PT017
            continue
        assert torch.equal(found, good)


def test_truncated_files(npz):
    path, _ = npz(np.savez_compressed)
    content = path.read_bytes()
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        with pytest.raises(DataError, match="is not an npz file"):
            load_dataset(config(path))


def test_encrypted_members(npz):
    path, _ = npz()
    content = bytearray(path.read_bytes())
    start = content.index(b"PK\x01\x02")
    content[start + 8] |= 1  # the flag in the central directory
    content[6] |= 1  # and before the first member
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be unpacked"):
        load_dataset(config(path))


@pytest.mark.parametrize("name", [b"\xa0", b"x" * 60_000])
def test_names_before_the_data_that_are_others(npz, name):
    path, _ = npz(np.savez_compressed)
    content = bytearray(path.read_bytes())
    content[7] |= 8  # UTF-8
    if len(name) == 1:
        content[30:31] = name
    else:
        content[26:28] = min(len(name), len(content) - 30).to_bytes(2, "little")
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"train_images cannot be unpacked: .{1,200}$"):
        load_dataset(config(path))


def test_a_long_list_of_members_is_cut(npz):
    path, _ = npz(train_labels=None)
    for name in ("a" * 4000, "b" * 4000):
        replace_member(path, name, b"")
    with pytest.raises(DataError, match="characters") as caught:
        load_dataset(config(path))
    assert len(str(caught.value)) < 1000


def test_an_error_leaves_nothing_half_unpacked(npz, cache):
    path, _ = npz()
    replace_member(path, "train_images", npy(IMAGES)[:-3])
    for _ in range(2):
        with pytest.raises(DataError, match="train_images ends too early"):
            load_dataset(config(path))
    assert not list(cache.glob("*.bin"))
    assert not list(cache.glob(".*part"))


def test_many_classes(npz, monkeypatch):
    monkeypatch.setattr(listing, "MAX_CLASSES", 2)
    with pytest.raises(DataError, match="has 3 classes, at most 2"):
        load_dataset(config(npz()[0]))
