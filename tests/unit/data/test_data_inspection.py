from __future__ import annotations

import numpy as np
import pytest

from nasproxy.data.inspection import find_duplicates, inspect, is_unbalanced
from nasproxy.data.source import RawPart

NAMES = ("ant", "bee")


def part(values, labels, **more) -> RawPart:
    """Images of 1 x 2 pixels: a value and its complement, so that none is of one colour."""
    pairs = [[[[value, 255 - value]]] for value in values]
    images = np.array(pairs, np.uint8).reshape(len(values), 1, 1, 2)
    return RawPart(images, np.array(labels, np.int64), **more)


def many(start: int, count: int = 20, **more) -> RawPart:
    return part(range(start, start + count), [index % 2 for index in range(count)], **more)


def test_counts_of_each_class_and_part():
    parts = {
        "train": part([1, 2, 3], [0, 0, 1]),
        "val": part([4], [1]),
        "test": part([5, 6], [0, 1]),
    }
    assert inspect(parts, NAMES)["counts"] == [
        {"class": "ant", "train": 2, "val": 0, "test": 1},
        {"class": "bee", "train": 1, "val": 1, "test": 1},
    ]


def test_nothing_looks_wrong():
    found = inspect({"train": many(0), "test": many(100)}, NAMES)
    assert found["findings"] == []
    assert found["duplicates"] == {
        "within": {},
        "across": {},
        "with_other_label": 0,
        "examples": [],
    }


def test_duplicates_within_across_and_with_other_labels():
    parts = {
        "train": part([1, 1, 1, 2, 3], [0, 0, 1, 0, 1]),
        "val": part([3, 3, 9], [1, 1, 0]),
        "test": part([2, 1, 7], [1, 0, 0]),
    }
    found = find_duplicates(parts)
    assert found["within"] == {"train": 2, "val": 1}
    assert found["across"] == {"train-test": 2, "train-val": 2}
    assert found["with_other_label"] == 2  # pictures 1 and 2
    assert found["examples"] == [
        ["train/0", "train/1", "train/2", "test/1"],
        ["train/3", "test/0"],
        ["train/4", "val/0", "val/1"],
    ]


def test_examples_are_named_after_their_files():
    parts = {
        "train": part([1, 2], [0, 1], names=("ant/a.png", "bee/b.png")),
        "test": part([2], [1], names=("bee/c.png",)),
    }
    assert find_duplicates(parts)["examples"] == [["train/bee/b.png", "test/bee/c.png"]]


def test_examples_are_few():
    found = find_duplicates({"train": part([*range(50), *range(50)], [0] * 100)})
    assert found["within"] == {"train": 50}
    assert len(found["examples"]) == 5


def test_only_exact_copies_of_the_same_shape_count():
    one = RawPart(np.arange(4, dtype=np.uint8).reshape(1, 1, 2, 2), np.zeros(1, np.int64))
    turned = RawPart(np.arange(4, dtype=np.uint8).reshape(1, 1, 4, 1), np.zeros(1, np.int64))
    near = RawPart(one.images + np.uint8(1), one.labels)
    assert find_duplicates({"train": one, "test": turned})["across"] == {}
    assert find_duplicates({"train": one, "test": near})["across"] == {}
    strided = np.repeat(one.images, 2, axis=3)[..., ::2]
    twin = RawPart(strided, one.labels)
    assert find_duplicates({"train": one, "test": twin})["across"] == {"train-test": 1}


def test_duplicates_are_told():
    parts = {"train": part([*range(20), 0], [0, 1] * 10 + [1]), "test": part([3, 4], [1, 0])}
    findings = inspect(parts, NAMES)["findings"]
    for words in (
        "2 test images are also among the train images: scores will be too good",
        "1 images of the train part repeat another",
        "1 pictures occur with different labels",
    ):
        assert words in findings


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([5, 5], False), ([3, 2], False), ([31, 20], True), ([50, 50, 1], True),
        ([51, 50, 0], True), ([1], False), ([0, 9], True), ([], False), ([1545, 630], True),
    ],
)  # fmt: skip
def test_unbalanced(counts, expected):
    assert is_unbalanced(counts) == expected


def test_unbalanced_classes_are_told():
    train = part(range(50), [0] * 40 + [1] * 10)
    findings = inspect({"train": train, "test": many(100)}, NAMES)["findings"]
    assert len(findings) == 1
    assert findings[0].startswith("unbalanced: 80.0% of the training images are 'ant'")
    assert "balanced accuracy" in findings[0]


def test_small_and_missing_classes_are_told():
    names = tuple("abcdefgh")  # h alone makes it unbalanced
    train = part(range(50), [index % 7 for index in range(50)])
    findings = inspect({"train": train, "test": part([99], [6])}, names)["findings"]
    assert "fewer than 10 training images of a, b, c, d, e, ..." in findings
    assert "the train part has no image of h" in findings
    assert "the test part has no image of a, b, c, d, e, ..." in findings


def test_images_of_one_colour_are_told():
    images = np.zeros((20, 3, 2, 2), np.uint8)
    images[:, 0, 0, 0] = range(20)
    train = RawPart(images, np.arange(20) % 2, names=tuple(f"{i}.png" for i in range(20)))
    findings = inspect({"train": train}, NAMES)["findings"]
    assert findings == ["1 train images are of one colour: train/0.png"]


def test_an_image_of_one_colour_that_is_not_grey():
    """Red all over is one colour, though its three channels differ."""
    images = np.random.default_rng(0).integers(0, 256, (20, 3, 2, 2), np.uint8)
    images[7] = np.array([200, 10, 10], np.uint8)[:, None, None]
    train = RawPart(images, np.arange(20) % 2)
    findings = inspect({"train": train}, NAMES)["findings"]
    assert findings == ["1 train images are of one colour: train/7"]


def test_groups_in_two_parts_are_told():
    parts = {
        "train": many(0, groups=tuple(f"p{index % 8}" for index in range(20))),
        "val": many(50, groups=("p9",) * 20),
        "test": many(100, groups=("p1", "p3") * 10),
    }
    assert inspect(parts, NAMES)["findings"] == ["2 groups are in train and test: p1, p3"]


def test_what_was_left_out_is_told():
    skipped = {f"{index}.png": "empty file" for index in range(7)}
    found = inspect({"train": many(0, skipped=skipped), "test": many(100, skipped={})}, NAMES)
    assert found["findings"] == [
        "7 train images were left out as unreadable: 0.png, 1.png, 2.png, 3.png, 4.png, ..."
    ]


def test_parts_of_different_shapes_are_told():
    """Loading the test part will refuse them: better known before the search."""
    other = RawPart(np.arange(40, dtype=np.uint8).reshape(20, 1, 2, 1), np.arange(20) % 2)
    findings = inspect({"train": many(0), "test": other}, NAMES)["findings"]
    assert findings == ["test images are 1 x 2 pixels, 1 channel(s); train images 2 x 1, 1"]
