"""Invariants of data sets over ranges of inputs: splits, images, tables, whatever bytes come."""

from __future__ import annotations

import csv
import io
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from nasproxy.config import DataConfig
from nasproxy.data.dataset import load_dataset
from nasproxy.data.decoded import map_images
from nasproxy.data.holdout import load_test_split
from nasproxy.data.inspection import find_duplicates
from nasproxy.data.picture import UnreadableError, bombs_refused, decode, read_header
from nasproxy.data.pixels import measure, to_images
from nasproxy.data.source import RawPart
from nasproxy.data.sources import open_source
from nasproxy.data.split import divide, grouped_split
from nasproxy.data.table import read_groups, read_table
from nasproxy.errors import DataError, DataWarning

SEEDS = st.integers(0, 2**40)
FRACTIONS = st.floats(0.01, 0.89)


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NASPROXY_CACHE", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        yield


def only_data_errors(work):
    try:
        return work()
    except DataError as error:
        message = str(error)
    assert message  # a name in it may hold a line break, which the command line takes out
    return None


@st.composite
def grouped_labels(draw):
    """Labels (N,) of at most five classes and a group for each."""
    sizes = draw(
        st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=9), min_size=2, max_size=30)
    )
    labels = [label for members in sizes for label in members]
    groups = [f"g{index}" for index, members in enumerate(sizes) for _ in members]
    order = draw(st.permutations(range(len(labels))))
    return torch.tensor([labels[i] for i in order]), [groups[i] for i in order]


@given(grouped_labels(), FRACTIONS, SEEDS)
def test_grouped_splits(case, fraction, seed):
    labels, groups = case
    assume(labels.bincount().max() > 1)
    first, second = divide(labels, groups, fraction, seed=seed, purpose="any")
    assert sorted(first.tolist() + second.tolist()) == list(range(len(labels)))  # none lost
    assert torch.equal(first, first.unique())
    assert torch.equal(second, second.unique())
    assert not {groups[i] for i in first} & {groups[i] for i in second}
    assert len(first) > 0
    assert len(second) > 0


@given(grouped_labels(), FRACTIONS, SEEDS, st.randoms())
def test_grouped_splits_do_not_depend_on_the_order_of_files(case, fraction, seed, random):
    labels, groups = case
    assume(labels.bincount().max() > 1)
    _, second = grouped_split(labels, groups, fraction, seed)
    order = list(range(len(labels)))
    random.shuffle(order)
    _, again = grouped_split(labels[order], [groups[i] for i in order], fraction, seed)
    assert {groups[i] for i in second} == {groups[order[i]] for i in again}


@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 2)), min_size=60, max_size=90),
    st.floats(0.05, 0.8),
    SEEDS,
)
@settings(max_examples=10)
def test_many_groups_come_near_the_fraction(groups, fraction, seed):
    labels = torch.tensor([label for size, label in groups for _ in range(size)])
    names = [str(index) for index, (size, _) in enumerate(groups) for _ in range(size)]
    assume(labels.bincount().max() >= 20)
    _, second = grouped_split(labels, names, fraction, seed)
    assert abs(len(second) / len(labels) - fraction) < 0.1


@given(
    st.lists(st.integers(3, 9), min_size=2, max_size=4),
    st.sampled_from([None, 1, 2]),
    FRACTIONS,
    SEEDS,
)
@settings(max_examples=8)
def test_parts_of_a_folder(counts, layout, fraction, seed):
    """Every image is in exactly one part, every class in each, in the order of names."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "data"
        for part, times in (("train", layout), ("test", 1)) if layout else (("", 1),):
            for label, count in enumerate(counts):
                folder = root / part / f"class {label}"
                folder.mkdir(parents=True)
                for index in range(count * times):
                    value = label * 20 + index
                    pixels = np.full((4, 4), value + 100 * (part == "test"), np.uint8)
                    Image.fromarray(pixels).save(folder / f"{index:03d}.png")
        config = DataConfig(
            dataset=f"folder:{root}", validation_fraction=fraction, seed=seed, augmentation="none"
        )
        data = load_dataset(config)
        parts = [data.train, data.validation, load_test_split(data)]
        seen = []
        for found in parts:
            values = (data.normalization.undo(found.images)[:, 0, 0, 0] * 255).round().tolist()
            assert values == sorted(values)
            assert len(found.labels.unique()) == len(counts)
            seen += values
        assert len(seen) == len(set(seen)) == sum(counts) * ((layout or 0) + 1)


MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "I;16", "F", "HSV", "LAB"]
KINDS = ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "TGA", "ICO", "PCX", "SGI", "JPEG2000"]


@st.composite
def image_files(draw):
    """An image as some format keeps it, or nothing where the format cannot."""
    mode, kind = draw(st.sampled_from(MODES)), draw(st.sampled_from(KINDS))
    size = draw(st.tuples(st.integers(1, 20), st.integers(1, 20)))
    noise = Image.frombytes("RGB", size, draw(st.randoms()).randbytes(size[0] * size[1] * 3))
    try:
        image = (
            noise.convert("L").convert(mode) if mode in {"I", "F", "I;16"} else noise.convert(mode)
        )
        buffer = io.BytesIO()
        image.save(buffer, kind)
    except (ValueError, OSError, KeyError):
        assume(False)
    return buffer.getvalue()


@given(image_files(), st.sampled_from([1, 3]), st.sampled_from([None, 4, 7]))
@settings(max_examples=100)
def test_whatever_is_read_has_the_shape_that_its_header_promised(content, channels, size):
    try:
        header = read_header(content)
    except UnreadableError:
        return
    found = decode(content, channels, size)
    expected = (header.height, header.width) if size is None else (size, size)
    assert found.shape == (channels, *expected)
    assert found.dtype == np.uint8
    if header.is_grey and channels == 3:
        assert (found[0] == found[1]).all()
        assert (found[0] == found[2]).all()


def only_unreadable(content: bytes) -> None:
    with bombs_refused():
        for work in (read_header, lambda c: decode(c, 3, None), lambda c: decode(c, 1, 8)):
            try:
                work(content)
            except UnreadableError as error:
                reason = str(error)
                assert reason
                assert "\n" not in reason


STARTS = [
    b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"II*\0", b"MM\0*", b"BM",
    b"P4\n", b"P5 3 3 255\n", b"RIFF\x20\0\0\0WEBPVP8 ", b"\0\0\1\0\1\0", b"\xff\x4f\xff\x51",
    b"8BPS\0\1", b"%!PS-Adobe-3.0 EPSF", b"\x1a\x45\xdf\xa3", b"qoif", b"DDS ", b"icns", b"gimp",
    b"\x59\xa6\x6a\x95", b"SIMPLE  =", b"#define x_width 9\n", b"\x0a\x05\x01\x08",
]  # fmt: skip


@given(st.sampled_from(STARTS), st.binary(max_size=200))
@settings(max_examples=200)
def test_any_bytes_are_an_image_or_unreadable(start, rest):
    only_unreadable(start + rest)


@given(image_files(), st.data())
@settings(max_examples=100)
def test_any_damage_to_an_image(content, data):
    body = bytearray(content)
    for _ in range(data.draw(st.integers(0, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    only_unreadable(bytes(body[: data.draw(st.integers(0, len(body)))]))


WORDS = st.text(st.sampled_from('ab,";\n\r\t \0é\ufeff1:'), max_size=6)


@given(
    st.binary(max_size=60)
    | WORDS.map(str.encode)
    | st.lists(WORDS).map(lambda w: "\n".join(w).encode())
)
@settings(max_examples=60)
def test_any_bytes_are_a_table_or_a_data_error(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_bytes(content)
        rows = only_data_errors(lambda: read_table(path, ("a",)))
        only_data_errors(lambda: read_groups(Path(folder), "t.csv:a", ("b", "x/b")))
    assert rows is None or all("a" in row for row in rows.values())


@given(
    st.dictionaries(st.text(min_size=1, max_size=9), st.text(min_size=1, max_size=9), min_size=1)
)
def test_groups_are_those_that_were_written(groups):
    groups = {name: group for name, group in groups.items() if "\0" not in name + group}
    assume(groups and all(group.strip() for group in groups.values()))
    try:
        "".join([*groups, *groups.values()]).encode()
    except UnicodeEncodeError:
        assume(False)
    with tempfile.TemporaryDirectory() as folder:
        with (Path(folder) / "g.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("image", "who"), *groups.items()])
        found = read_groups(Path(folder), "g.csv:who", tuple(groups))
    assert found == tuple(group.strip() for group in groups.values())


@given(st.binary(max_size=80), st.integers(0, 10**6), st.booleans())
@settings(max_examples=60)
def test_any_bytes_are_an_npz_file_or_a_data_error(content, position, packed):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.npz"
        images, labels = np.arange(64, dtype=np.uint8).reshape(4, 4, 4), np.array([0, 1, 0, 1])
        arrays = {
            name: images if "images" in name else labels
            for name in ("train_images", "train_labels", "test_images", "test_labels")
        }
        (np.savez_compressed if packed else np.savez)(path, **arrays)
        body = bytearray(path.read_bytes())
        start = position % len(body)
        body[start : start + len(content)] = content
        path.write_bytes(body)
        data = only_data_errors(lambda: load_dataset(DataConfig(dataset=f"npz:{path}")))
    if data is not None:
        assert len(data.train) + len(data.validation) == 4
        pixels = (data.normalization.undo(data.train.images) * 255).round().byte()
        assert all((image == torch.from_numpy(images)).all((1, 2)).any() for image in pixels)


PIXELS = st.builds(
    lambda shape, seed: np.random.default_rng(seed).integers(0, 256, shape, np.uint8),
    st.tuples(st.integers(1, 12), st.sampled_from([1, 3]), st.integers(1, 6), st.integers(1, 6)),
    st.integers(0, 99),
)


@given(PIXELS, st.data())
def test_images_on_disk_are_those_in_memory(tmp_path_factory, pixels, data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NASPROXY_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("NASPROXY_IN_MEMORY", "0")
        mapped, _ = map_images("entry", pixels.shape[1:], lambda facts: iter([pixels]))
        normalization = measure(mapped, None)
        assert normalization == measure(pixels, None)
        stored = to_images(mapped, None, normalization, None)
        whole = to_images(pixels, None, normalization, None)
        rows = st.lists(st.integers(-len(pixels), len(pixels) - 1), max_size=9)
        chosen = torch.tensor(data.draw(rows), dtype=torch.int64)
        assert torch.equal(stored[chosen], whole[chosen])
        rows = chosen[chosen >= 0]
        assert torch.equal(stored.select(rows)[:], to_images(pixels, rows, normalization, None))


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1)), min_size=1, max_size=15),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1)), min_size=1, max_size=15),
)
def test_duplicates_are_those_of_a_count_by_hand(train, test):
    parts = {
        name: RawPart(
            np.array([[[[value, 1]]] for value, _ in images], np.uint8),
            np.array([label for _, label in images]),
        )
        for name, images in (("train", train), ("test", test))
    }
    found = find_duplicates(parts)
    train_values, test_values = [v for v, _ in train], [v for v, _ in test]
    surplus = {"train": train_values, "test": test_values}
    surplus = {name: len(v) - len(set(v)) for name, v in surplus.items()}
    assert found["within"] == {name: count for name, count in surplus.items() if count}
    leaked = sum(value in train_values for value in test_values)
    assert found["across"] == ({"train-test": leaked} if leaked else {})
    by_value: dict[int, set[int]] = {}
    for value, label in train + test:
        by_value.setdefault(value, set()).add(label)
    assert found["with_other_label"] == sum(len(labels) > 1 for labels in by_value.values())


@given(st.text(max_size=30), st.booleans())
def test_any_name_is_a_data_set_or_a_data_error(name, colon):
    text = f"folder:/nowhere/{name}" if colon else name
    only_data_errors(lambda: open_source(DataConfig(dataset=text)))
