from __future__ import annotations

import random
import warnings

import pytest
import torch
from image_files import COLUMNS, encode, noise, write_table

from nasproxy.config import DataConfig
from nasproxy.data.dataset import load_dataset
from nasproxy.data.holdout import load_test_split
from nasproxy.data.sources import open_source
from nasproxy.errors import DataError, DataWarning

NAME, LABEL, VOTES, PARTITION = COLUMNS


def config(root, **settings) -> DataConfig:
    return DataConfig(dataset=f"mhist:{root}", **{"validation_fraction": 0.25, **settings})


def row(name, label="HP", partition="train", votes="0") -> dict[str, str]:
    return {NAME: name, LABEL: label, PARTITION: partition, VOTES: votes}


def rewrite(root, change, columns=COLUMNS, **options) -> None:
    """Change the rows of a table that `mhist` wrote."""
    import csv

    with (root / "annotations.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    write_table(root / "annotations.csv", columns, change(rows) or rows, **options)


def test_parts_classes_and_labels(mhist):
    root = mhist()
    source = open_source(config(root))
    assert source.class_names == ("HP", "SSA")
    assert source.parts == ("train", "test")
    train, test = source.read("train"), source.read("test")
    assert train.images.shape == (12, 3, 6, 6)
    assert len(test.images) == 12
    assert train.names == tuple(f"MHIST_{i:03d}.png" for i in range(24) if i % 4 < 2)
    assert train.labels.tolist() == [0, 1] * 6
    for index, image in zip((0, 1, 4), train.images, strict=False):
        assert image.tolist() == torch.from_numpy(_pixels(index)).permute(2, 0, 1).tolist()
    data = load_dataset(config(root))
    assert (len(data.train), len(data.validation), len(load_test_split(data))) == (8, 4, 12)


def _pixels(index):
    import numpy as np

    return np.asarray(noise(index)).copy()


@pytest.mark.parametrize(
    "table", [{"start": "\ufeff"}, {"end": "\n"}, {"end": "\r"}, {"start": "\ufeff", "end": "\n"}]
)
def test_any_way_of_writing_the_table(mhist, table):
    plain, other = mhist(), mhist(name="other", **table)
    one, two = load_dataset(config(plain)), load_dataset(config(other))
    assert one.fingerprint == two.fingerprint
    assert torch.equal(one.train.images, two.train.images)


def test_the_order_of_rows_and_columns_does_not_matter(mhist):
    root = mhist(groups=lambda index: str(index // 4))
    columns = (*COLUMNS, "Patient")
    settings = {"group_column": "Patient", "seed": 3}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        for chosen in ({}, settings):
            first = load_dataset(config(root, **chosen))
            for seed in range(2):
                rewrite(root, random.Random(seed).shuffle, columns[::-1] if seed else columns)
                again = load_dataset(config(root, **chosen))
                assert again.fingerprint == first.fingerprint
                assert torch.equal(again.train.images, first.train.images)
                assert torch.equal(again.validation.labels, first.validation.labels)
                assert torch.equal(load_test_split(again).images, load_test_split(first).images)


def test_quoted_and_odd_names(mhist):
    root = mhist()
    odd = ['a, "b".png', "ä ö 健康.png", "sub/x.png", "%s {0} [red].png", "-x.png"]
    (root / "images" / "sub").mkdir()
    for position, name in enumerate(odd):
        (root / "images" / name).write_bytes(encode(noise(500 + position)))
    rewrite(root, lambda rows: rows + [row(name, "SSA") for name in odd])
    assert set(odd) < set(open_source(config(root)).read("train").names)


def test_images_that_no_row_names_count_for_nothing(mhist):
    root = mhist()
    before = load_dataset(config(root)).fingerprint
    (root / "images" / "extra.png").write_bytes(encode(noise(999)))
    assert load_dataset(config(root)).fingerprint == before


def test_no_folder_says_where_to_get_it(tmp_path):
    with pytest.raises(DataError) as caught:
        open_source(config(tmp_path / "mhist"))
    for words in (
        f"there is no {tmp_path / 'mhist'}",
        "terms of use",
        "https://bmirds.github.io/MHIST/",
        str(tmp_path / "mhist" / "images"),
        str(tmp_path / "mhist" / "annotations.csv"),
    ):
        assert words in str(caught.value)
    (tmp_path / "mhist").write_text("a file")
    with pytest.raises(DataError, match="there is no"):
        open_source(config(tmp_path / "mhist"))


def test_half_a_folder(tmp_path):
    root = tmp_path / "mhist"
    root.mkdir()
    with pytest.raises(DataError, match=r"has no folder images/: unpack images.zip there"):
        open_source(config(root))
    (root / "images").mkdir()
    with pytest.raises(DataError, match=r"cannot read .*annotations.csv: No such file"):
        open_source(config(root))


@pytest.mark.parametrize("column", COLUMNS)
def test_a_missing_column_is_named(mhist, column):
    root = mhist(columns=tuple(name for name in COLUMNS if name != column))
    with pytest.raises(DataError, match="has no column") as caught:
        open_source(config(root))
    assert repr(column) in str(caught.value)
    assert str(root / "annotations.csv") in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({LABEL: "ssa"}, "Majority Vote Label must be HP or SSA, got 'ssa'"),
        ({LABEL: ""}, "Majority Vote Label must be HP or SSA, got ''"),
        ({LABEL: "HP "}, "got 'HP '"),
        ({PARTITION: "val"}, "Partition must be train or test, got 'val'"),
        ({PARTITION: ""}, "Partition must be train or test, got ''"),
        ({NAME: ""}, "'' is named twice or empty"),
        ({NAME: "MHIST_000.png"}, "'MHIST_000.png' is named twice"),
        ({NAME: "../annotations.csv"}, "leads out of"),
        ({NAME: "../images/MHIST_000.png"}, "leads out of"),
        ({NAME: "../../secret.png"}, "leads out of"),
        ({NAME: "sub/../../../secret.png"}, "leads out of"),
        ({NAME: "/etc/passwd"}, "leads out of"),
        ({NAME: "./MHIST_000.png"}, "leads out of"),
        ({NAME: "sub/../MHIST_000.png"}, "leads out of"),
        ({NAME: "."}, "leads out of"),
        ({NAME: ".."}, "leads out of"),
        ({NAME: "a\0b.png"}, "leads out of"),
    ],
)
def test_faults_in_a_row_name_the_row(mhist, fault, message):
    root = mhist(end="\n")
    rewrite(root, lambda rows: [*rows[:5], {**row("MHIST_005.png"), **fault}, *rows[6:]])
    with pytest.raises(DataError, match=message) as caught:
        open_source(config(root))
    assert f"{root / 'annotations.csv'} line 7" in str(caught.value)


def test_links_that_leave_the_folder(mhist, tmp_path):
    root = mhist()
    (tmp_path / "outside.png").write_bytes(encode(noise(1)))
    image = root / "images" / "MHIST_003.png"
    image.unlink()
    image.symlink_to(tmp_path / "outside.png")
    with pytest.raises(DataError, match=r"'MHIST_003.png' leads out of"):
        open_source(config(root))
    image.unlink()
    image.symlink_to("MHIST_003.png")
    with pytest.raises(DataError, match=r"MHIST_003.png: .*--skip-unreadable"):
        load_test_split(load_dataset(config(root)))
    image.unlink()
    image.symlink_to("MHIST_002.png")
    load_dataset(config(root))
    (root / "images").rename(tmp_path / "elsewhere")
    (root / "images").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="leads out of"):
        open_source(config(root))


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_partition_without_images(mhist, part):
    root = mhist()
    rewrite(root, lambda rows: [r for r in rows if r[PARTITION] != part])
    with pytest.raises(DataError, match=f"names no image of partition {part}: add its rows"):
        open_source(config(root))


@pytest.mark.parametrize("keep", [0, 1])
def test_one_class_or_one_image_of_a_class(mhist, keep):
    root = mhist()

    def drop(rows):
        seen = [r for r in rows if r[LABEL] == "SSA" and r[PARTITION] == "train"]
        return [r for r in rows if r not in seen[keep:]]

    rewrite(root, drop)
    with pytest.raises(DataError, match=f"class 'SSA' of .* has {keep} image"):
        load_dataset(config(root))


def test_files_that_are_named_but_absent_or_damaged(mhist):
    root = mhist()
    gone, empty, cut = (root / "images" / f"MHIST_00{i}.png" for i in (0, 4, 5))
    gone.unlink()
    empty.write_bytes(b"")
    cut.write_bytes(cut.read_bytes()[:50])
    with pytest.raises(DataError, match=r"MHIST_000.png: no such file \(and 2 more\); mend or rem"):
        load_dataset(config(root))
    with pytest.warns(DataWarning, match=r"left out 3 of 12 train images .*MHIST_000.png .no such"):
        raw = open_source(config(root, skip_unreadable=True)).read("train")
    assert set(raw.skipped) == {path.name for path in (gone, empty, cut)}
    assert raw.skipped["MHIST_004.png"] == "empty file"


def test_a_folder_in_the_place_of_an_image(mhist):
    root = mhist()
    (root / "images" / "MHIST_000.png").unlink()
    (root / "images" / "MHIST_000.png").mkdir()
    with pytest.raises(DataError, match=r"MHIST_000.png: "):
        load_dataset(config(root))


def test_mixed_sizes(mhist):
    root = mhist()
    (root / "images" / "MHIST_003.png").write_bytes(encode(noise(3, 9, 9)))
    with pytest.raises(DataError, match=r"9x9 \(MHIST_003.png\).*--image-size"):
        load_dataset(config(root))
    assert load_dataset(config(root, image_size=5)).image_shape == (3, 5, 5)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_groups(mhist, elsewhere):
    """Four images a patient: two of the training and two of the test part would leak."""
    root = mhist(
        num=48, groups=lambda index: f"p{index // 4}" if index % 4 < 2 else f"q{index // 4}"
    )
    if elsewhere:
        (root / "annotations.csv").rename(root / "patients.csv")
        rewrite_from = (root / "patients.csv").read_text()
        (root / "annotations.csv").write_text(rewrite_from)
        rewrite(root, list)
    chosen = config(root, group_column="patients.csv:Patient" if elsewhere else "Patient")
    source = open_source(chosen)
    groups = dict(zip(source.read("train").names, source.read("train").groups, strict=True))
    assert groups["MHIST_004.png"] == "p1"
    data = load_dataset(chosen)
    assert (len(data.train), len(data.validation)) == (18, 6)
    assert data.class_counts().tolist() == [9, 9]
    plain = load_dataset(config(root))
    assert plain.fingerprint == data.fingerprint


def test_groups_that_cross_the_partitions_are_told(mhist):
    root = mhist(groups=lambda index: f"p{index // 4}")
    with pytest.warns(DataWarning, match=r"6 groups, such as p0, are both in train and in test"):
        open_source(config(root, group_column="Patient"))


@pytest.mark.parametrize("column", ["patient", "Patient ID", "absent.csv:Patient"])
def test_a_group_column_that_is_not_there(mhist, column):
    root = mhist(groups=str)
    with pytest.raises(DataError, match=r"did you mean 'Patient'|cannot read .*absent.csv"):
        open_source(config(root, group_column=column))
