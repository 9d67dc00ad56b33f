from __future__ import annotations

import os
import random
import re
import warnings
from pathlib import Path

import pytest
import torch
from image_files import encode, folder_config, noise, write_classes, write_images, write_table
from PIL import Image

from nasproxy.data import listing, picture
from nasproxy.data.dataset import load_dataset
from nasproxy.data.holdout import load_test_split
from nasproxy.data.sources import open_source
from nasproxy.errors import DataError, DataWarning


@pytest.fixture
def root(tmp_path):
    return tmp_path / "data"


def names(source, part) -> list[str]:
    return [p.name for p in source.pictures[part]]


def load_both(config):
    """Load what is trained and validated on, and what is tested on."""
    data = load_dataset(config)
    return data, load_test_split(data)


def open_folder(root, **settings):
    return open_source(folder_config(root, **settings))


def test_undivided(root):
    write_classes(root, 10, "bee", "ant", "cat")
    source = open_folder(root)
    assert source.class_names == ("ant", "bee", "cat")
    assert source.parts == ("train", "test")
    train, test = names(source, "train"), names(source, "test")
    assert sorted(train + test) == sorted(
        f"{c}/{i}.png" for c in ("ant", "bee", "cat") for i in range(10)
    )
    assert train == sorted(train)
    for name in source.class_names:
        assert sum(file.startswith(name) for file in test) == 2
    for shown in source.pictures["train"]:
        assert shown.name.startswith(source.class_names[shown.label])
        assert shown.path == root / shown.name


def test_the_images_kept_for_testing_are_the_same_whatever_the_seed(root):
    write_classes(root, 10)
    found = [
        open_folder(root, seed=seed, validation_fraction=f) for seed, f in ((0, 0.1), (7, 0.5))
    ]
    assert names(found[0], "test") == names(found[1], "test")
    assert found[0].fingerprint() == found[1].fingerprint()
    one, other = (load_dataset(folder_config(root, seed=seed)) for seed in (0, 7))
    assert torch.equal(load_test_split(one).images, load_test_split(other).images)
    assert not torch.equal(one.validation.images, other.validation.images)


@pytest.mark.parametrize("shuffled", [1, 2])
def test_the_order_of_creation_changes_nothing(tmp_path, shuffled, monkeypatch):
    """Folders list their files in any order; so does the order in which they were written."""
    files = [(f"{c}/{i:02d}.png", 100 * p + i) for p, c in enumerate("ab") for i in range(10)]
    found = []
    for copy in range(2):
        root = tmp_path / f"copy {copy}"
        for name, seed in files:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(encode(noise(seed)))
        data = load_dataset(folder_config(root))
        found.append((data.fingerprint, data.train.images, data.validation.images))
        random.Random(shuffled).shuffle(files)
        real = os.walk

        def reversed_walk(top, real=real, **options):
            for where, folders, names in real(top, **options):
                folders.reverse()
                yield where, folders, names[::-1]

        monkeypatch.setattr(os, "walk", reversed_walk)
    assert found[0][0] == found[1][0]
    assert torch.equal(found[0][1], found[1][1])
    assert torch.equal(found[0][2], found[1][2])


@pytest.mark.parametrize("train", ["train", "Train", "TRAIN", "Training"])
@pytest.mark.parametrize("test", ["test", "Test", "testing"])
def test_train_and_test(root, train, test):
    write_classes(root / train, 4)
    write_classes(root / test, 3, seed=1)
    source = open_folder(root)
    assert source.parts == ("train", "test")
    assert source.class_names == ("ant", "bee")
    assert names(source, "test") == [
        f"{test}/{c}/{i}.png" for c in ("ant", "bee") for i in range(3)
    ]
    data = load_dataset(folder_config(root))
    assert (len(data.train), len(data.validation), len(load_test_split(data))) == (6, 2, 6)


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Val", "VALIDATION"])
def test_train_val_and_test(root, val):
    for seed, part in enumerate(("train", val, "test")):
        write_classes(root / part, 2 + seed, seed=seed)
    source = open_folder(root)
    assert set(source.parts) == {"train", "val", "test"}
    assert len(names(source, "val")) == 6
    assert names(source, "val")[0] == f"{val}/ant/0.png"


def test_train_and_val_without_test(root):
    """A fifth of the training images is kept for testing; the validation images stay whole."""
    write_classes(root / "train", 10)
    write_classes(root / "val", 3, seed=1)
    source = open_folder(root)
    assert [len(names(source, part)) for part in ("train", "val", "test")] == [16, 6, 4]
    assert all(name.startswith("train/") for name in names(source, "test"))


def test_train_alone(root):
    write_classes(root / "train", 10)
    source = open_folder(root)
    assert source.class_names == ("ant", "bee")
    assert [len(names(source, part)) for part in ("train", "test")] == [16, 4]


@pytest.mark.parametrize("other", ["test", "val", "valid", "Test"])
def test_a_class_may_be_called_like_a_part(root, other):
    write_classes(root, 5, other, "rehearsal")
    source = open_folder(root)
    assert source.class_names == tuple(sorted([other, "rehearsal"]))
    assert len(names(source, "train")) == 8


def test_a_class_called_train_is_a_class_where_it_holds_images(root):
    write_classes(root, 5, "bus", "car", "train")
    assert open_folder(root).class_names == ("bus", "car", "train")


@pytest.mark.parametrize("other", ["unlabelled", "__MACOSX", "valid", "TEST", "training"])
def test_parts_beside_something_else_are_not_taken_for_classes(root, other):
    """Else a network would learn to tell training images from test images."""
    for part in ("train", "val", "test", other):
        write_classes(root / part, 5)
    with pytest.raises(DataError, match=f"(?i)train.*{other}"):
        open_folder(root)


def test_hidden_folders_and_files_beside_the_parts_are_left_alone(root):
    for part in ("train", "test", ".cache", "train/.cache"):
        write_classes(root / part, 5)
    (root / "README.md").write_text("about")
    (root / ".DS_Store").write_text("")
    assert open_folder(root).parts == ("train", "test")


def test_nested_folders_belong_to_the_class_above(root):
    write_classes(root, 3)
    write_images(root / "ant" / "red" / "small", 3, seed=9)
    write_images(root / "ant" / ".hidden", 3, seed=8)
    source = open_folder(root)
    everything = names(source, "train") + names(source, "test")
    assert len(everything) == 9
    assert "ant/red/small/0.png" in everything


def test_any_names(root):
    classes = ("Ödem 1", "健康", "a'b\"c", "x,y;z", "[bold]", "%s{0}")
    for position, name in enumerate(classes):
        write_images(root / name, 3, seed=position, name="bild é {} .png")
    data = load_dataset(folder_config(root))
    assert set(data.class_names) == set(classes)
    assert len(data.train) + len(data.validation) + len(load_test_split(data)) == 18


@pytest.mark.parametrize("where", ["file", "class"])
def test_names_that_are_not_unicode_are_refused_in_words(root, where):
    write_classes(root, 3)
    odd = os.fsdecode(b"caf\xe9")
    if where == "file":
        (root / "ant" / f"{odd}.png").write_bytes(encode(noise(77)))
    else:
        write_images(root / odd, 3, seed=5)
    with pytest.raises(DataError, match=r"caf\\xe9.*rename") as caught:
        load_dataset(folder_config(root))
    str(caught.value).encode()


@pytest.mark.parametrize("end", ["jpg", "JPEG", "Png", "bmp", "tif", "TIFF", "webp", "gif", "ppm"])
def test_whatever_pillow_reads_is_an_image(root, end):
    for position, name in enumerate("ab"):
        folder = root / name
        folder.mkdir(parents=True)
        for index in range(3):
            noise(position * 10 + index).save(folder / f"{index}.{end}")
    data = load_dataset(folder_config(root))
    assert data.image_shape == (3, 6, 6)


def test_the_content_counts_not_the_ending(root):
    write_classes(root, 4)
    (root / "ant" / "0.png").write_bytes(encode(noise(50), "JPEG"))
    assert load_dataset(folder_config(root)).image_shape == (3, 6, 6)


def test_files_that_are_no_images_are_counted_aloud(root):
    write_classes(root, 5)
    for name in ("notes.txt", "Thumbs.db", "report.pdf", "script.eps", "none"):
        (root / "ant" / name).write_text("x")
    for name in (".DS_Store", "._0.png"):  # macOS leaves the likes of these
        (root / "ant" / name).write_text("x")
    with pytest.warns(DataWarning, match=r"^5 files in .*data .*ant/\w+.*, \.\.\.$"):
        source = open_folder(root)
    assert len(names(source, "train")) == 8


@pytest.mark.parametrize("part", ["", "train", "test"])
def test_images_outside_of_any_class_are_counted_aloud(root, part):
    if part:
        write_classes(root / "train", 5)
        write_classes(root / "test", 5)
    else:
        write_classes(root, 5)
    write_images(root / part, 2, seed=9)
    expected = re.escape(f"{part}/0.png" if part else "0.png")
    with pytest.warns(DataWarning, match=rf"2 .*no class.*{expected}"):
        open_folder(root)


def test_a_test_folder_without_classes(root):
    """Kaggle's test folders: images without labels."""
    write_classes(root / "train", 5)
    write_images(root / "test", 4, seed=5)
    with pytest.raises(DataError, match="data/test has no folder per class"):
        open_folder(root)


@pytest.mark.parametrize("part", ["val", "test"])
def test_an_empty_part(root, part):
    write_classes(root / "train", 5)
    (root / part).mkdir()
    with pytest.raises(DataError, match=f"data/{part} has no folder per class"):
        open_folder(root)


def test_links_inside_are_followed(root):
    write_classes(root, 5)
    (root / "ant" / "again.png").symlink_to(root / "ant" / "0.png")
    (root / "cat").symlink_to(root / "bee", target_is_directory=True)
    source = open_folder(root)
    assert source.class_names == ("ant", "bee", "cat")
    assert "ant/again.png" in names(source, "train") + names(source, "test")


def test_the_root_may_be_a_link(root, tmp_path):
    write_classes(root, 5)
    (tmp_path / "link").symlink_to(root, target_is_directory=True)
    (root / "ant" / "again.png").symlink_to("0.png")
    one, other = load_dataset(folder_config(root)), load_dataset(folder_config(tmp_path / "link"))
    assert one.fingerprint == other.fingerprint


@pytest.mark.parametrize(
    "where", ["ant/x.png", "cat", "ant/more", "ant/more/deep/x.png", "ant/x.txt"]
)
@pytest.mark.parametrize("layout", ["", "train"])
def test_links_that_leave_the_folder_are_refused(root, tmp_path, where, layout):
    write_classes(root / layout, 5)
    outside = write_images(tmp_path / "outside", 5, seed=3)
    link = root / layout / where
    link.parent.mkdir(parents=True, exist_ok=True)
    is_folder = not link.suffix
    link.symlink_to(outside if is_folder else outside / "0.png", target_is_directory=is_folder)
    with pytest.raises(
        DataError, match=f"{re.escape(str(link))} is a link that leaves .*remove it"
    ):
        open_folder(root)


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_a_part_that_is_a_link_out_of_the_folder_is_refused(root, tmp_path, part):
    outside = write_classes(tmp_path / "outside", 5)
    for each in ("train", "val", "test"):
        if each != part:
            write_classes(root / each, 5)
    root.mkdir(exist_ok=True)
    (root / part).symlink_to(outside, target_is_directory=True)
    with pytest.raises(DataError, match=f"data/{part} is a link that leaves"):
        open_folder(root)


def test_relative_links_that_leave_and_links_through_links(root, tmp_path):
    write_classes(root, 5)
    (tmp_path / "x.png").write_bytes(encode(noise(1)))
    (root / "ant" / "y.png").symlink_to("../../x.png")
    with pytest.raises(DataError, match="leaves"):
        open_folder(root)
    (root / "ant" / "y.png").unlink()
    (root / "way").symlink_to(tmp_path)
    (root / "ant" / "y.png").symlink_to("../way/x.png")
    with pytest.raises(DataError, match="leaves"):
        open_folder(root)


def test_links_to_nothing_and_in_circles(root):
    write_classes(root, 5)
    (root / "ant" / "gone.png").symlink_to(root / "nothing.png")
    with pytest.raises(DataError, match=r"ant/gone.png: no such file; .*--skip-unreadable"):
        load_dataset(folder_config(root))
    (root / "ant" / "gone.png").unlink()
    (root / "ant" / "circle.png").symlink_to("circle.png")
    with pytest.raises(DataError, match=r"circle.png.*"):
        load_dataset(folder_config(root))
    with pytest.warns(DataWarning, match="left out 1 of"):
        load_both(folder_config(root, skip_unreadable=True))


def test_a_linked_folder_within_a_class_is_followed_or_counted_aloud(root):
    """Never left out in silence."""
    write_classes(root, 5)
    (root / "ant" / "more").symlink_to(root / "bee", target_is_directory=True)
    with pytest.warns(DataWarning, match="ant/more"):
        open_folder(root)


def test_no_folder(root):
    with pytest.raises(DataError, match=f"{root} is not a folder: check the path"):
        open_folder(root)
    root.write_text("a file")
    with pytest.raises(DataError, match=f"{root} is not a folder"):
        open_folder(root)


@pytest.mark.parametrize("loose", [0, 3])
def test_no_classes(root, loose):
    root.mkdir()
    write_images(root, loose, seed=0)
    with pytest.raises(DataError, match=r"has no folder per class: put the images in .*/CLASS/"):
        open_folder(root)


@pytest.mark.parametrize("content", [None, "notes.txt", ".hidden.png"])
def test_an_empty_class(root, content):
    write_classes(root, 5)
    (root / "cat").mkdir()
    if content:
        (root / "cat" / content).write_text("")
    with pytest.raises(DataError, match="data/cat holds no image: add some, or remove the folder"):
        open_folder(root)


@pytest.mark.parametrize("layout", ["", "train"])
def test_one_class(root, layout):
    write_classes(root / layout, 5, "ant")
    if layout:
        write_classes(root / "test", 5, "ant")
    with pytest.raises(DataError, match=r"one class only \(ant\): there is nothing to tell apart"):
        load_dataset(folder_config(root))


@pytest.mark.parametrize("layout", ["", "train"])
@pytest.mark.parametrize("count", [1, 2])
def test_a_class_of_few_images(root, layout, count):
    """Two to train and validate on, and without a test folder one more to test on."""
    write_classes(root / layout, 5)
    write_images(root / layout / "cat", count, seed=7)
    if layout:
        write_classes(root / "test", 2, "ant", "bee", "cat", seed=9)
    if layout and count == 2:
        assert len(load_dataset(folder_config(root)).class_names) == 3
        return
    with pytest.raises(DataError, match=r"class 'cat' of .* has 1 image.*: add some, or remove"):
        load_dataset(folder_config(root))


def test_three_images_a_class_are_enough_for_all_three_parts(root):
    write_classes(root, 3, "ant", "bee", "cat")
    data = load_dataset(folder_config(root))
    for part in (data.train, data.validation, load_test_split(data)):
        assert part.labels.tolist() == [0, 1, 2]


def test_too_many_classes(root, monkeypatch):
    monkeypatch.setattr(listing, "MAX_CLASSES", 20)
    for index in range(21):
        (root / f"{index}").mkdir(parents=True)
    with pytest.raises(
        DataError, match="has 21 classes, at most 20 are handled: is each class one"
    ):
        open_folder(root)
    (root / "0").rmdir()
    with pytest.raises(DataError, match="holds no image"):  # no longer too many
        open_folder(root)


@pytest.mark.parametrize("part", ["val", "test"])
def test_a_class_that_is_unknown_in_training(root, part):
    write_classes(root / "train", 3)
    write_classes(root / part, 3, "ant", "cat")
    with pytest.raises(
        DataError, match=r"class 'cat' is not among the training classes \(ant, bee"
    ):
        open_folder(root)


def test_a_class_that_is_missing_in_the_test_part(root):
    write_classes(root / "train", 4)
    write_classes(root / "test", 3, "bee")
    assert load_both(folder_config(root))[1].labels.tolist() == [1, 1, 1]


def test_many_unknown_classes_are_not_all_listed(root):
    write_classes(root / "train", 2, *(f"class{i:02d}" for i in range(12)))
    write_classes(root / "test", 2, "other")
    with pytest.raises(DataError) as caught:
        open_folder(root)
    assert "class04, ..." in str(caught.value)
    assert "class05" not in str(caught.value)


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_mixed_sizes(root, part):
    for each in ("train", "val", "test"):
        write_classes(root / each, 4)
    (root / part / "ant" / "wide.png").write_bytes(encode(noise(5, 6, 9)))
    with pytest.raises(DataError) as caught:
        load_dataset(folder_config(root))
    for words in ("differ in size", "6x6", f"9x6 ({part}/ant/wide.png)", "--image-size"):
        assert words in str(caught.value)
    data = load_dataset(folder_config(root, image_size=8))
    assert data.image_shape == (3, 8, 8)
    assert load_test_split(data).images.shape[1:] == (3, 8, 8)


def test_mixed_sizes_on_both_sides_of_the_hold_out(root):
    """Also where the one odd image is kept for testing."""
    write_classes(root, 5)
    for index in range(5):
        (root / "ant" / f"{index}.png").unlink()
        write_images(root / "ant", 5, seed=0)
        (root / "ant" / f"{index}.png").write_bytes(encode(noise(5, 7, 6)))
        with pytest.raises(DataError, match="differ in size"):
            load_dataset(folder_config(root))


def test_channels_are_those_of_the_training_images(root):
    for seed, part in enumerate(("train", "test")):
        write_classes(root / part, 4, channels=1, seed=seed)
    grey = noise(1, channels=1)
    (root / "train" / "ant" / "x.png").write_bytes(encode(grey.convert("LA")))
    (root / "train" / "ant" / "y.png").write_bytes(encode(grey.convert("1")))
    assert load_dataset(folder_config(root)).image_shape == (1, 6, 6)
    (root / "test" / "ant" / "0.png").write_bytes(encode(noise(8)))
    data = load_dataset(folder_config(root))
    assert data.image_shape == load_test_split(data).images.shape[1:] == (1, 6, 6)
    for kind, image in {
        "RGB": noise(9),
        "RGBA": noise(9).convert("RGBA"),
        "P": noise(9).quantize(8),
    }.items():
        path = root / "train" / "bee" / f"{kind}.png"
        path.write_bytes(encode(image))
        data = load_dataset(folder_config(root))
        assert data.image_shape == load_test_split(data).images.shape[1:] == (3, 6, 6)
        path.unlink()


def damage(root, *, name="ant/0.png"):
    content = encode(noise(3, 6, 6))
    faults = {
        "empty": b"",
        "garbage": b"no image at all",
        "cut": content[:60],
        "float": encode(Image.new("F", (6, 6)), "TIFF"),
    }
    for fault, body in faults.items():
        (root / name).with_name(f"{fault}.png").write_bytes(body)
    return faults


def test_unreadable_images_stop_everything(root):
    write_classes(root / "train", 5)
    write_classes(root / "test", 5)
    damage(root / "train")
    with pytest.raises(DataError) as caught:
        load_dataset(folder_config(root))
    text = str(caught.value)
    assert text.startswith(f"{root}: train/ant/cut.png: ")
    assert text.endswith(
        "(and 3 more); mend or remove it, or leave such images out with --skip-unreadable"
    )


def test_unreadable_images_are_skipped_where_that_is_asked_for(root):
    write_classes(root / "train", 5)
    write_classes(root / "test", 5)
    faults = damage(root / "train")
    config = folder_config(root, skip_unreadable=True)
    with pytest.warns(
        DataWarning, match=r"left out 4 of 14 train images .*ant/cut.png .*, \.\.\.$"
    ):
        raw = open_source(config).read("train")
    assert set(raw.skipped) == {f"train/ant/{fault}.png" for fault in faults}
    assert raw.skipped["train/ant/empty.png"] == "empty file"
    assert len(raw.images) == len(raw.labels) == len(raw.names) == 10
    assert not set(raw.names) & set(raw.skipped)
    with pytest.warns(DataWarning, match="left out 4"):  # the second time, too
        data = load_dataset(config)
    assert len(data.train) + len(data.validation) == 10
    assert len(load_test_split(data)) == 10


def test_damage_that_only_decoding_finds(root):
    """A JPEG's header is whole, its pixels end too early."""
    for position, name in enumerate(("ant", "bee")):
        (root / name).mkdir(parents=True)
        for index in range(6):
            image = noise(10 * position + index, 40, 40)
            (root / name / f"{index}.jpg").write_bytes(encode(image, "JPEG"))
    whole = (root / "ant" / "0.jpg").read_bytes()
    (root / "ant" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    for _ in range(2):  # an error is not remembered as a success
        with pytest.raises(DataError, match=r"ant/cut.jpg: .*--skip-unreadable"):
            load_both(folder_config(root))
    for _ in range(2):
        with pytest.warns(DataWarning, match=r"left out 1 of .* ant/cut.jpg"):
            data, test = load_both(folder_config(root, skip_unreadable=True))
        assert len(data.train) + len(data.validation) + len(test) == 12
    with pytest.raises(DataError, match=r"ant/cut.jpg"):  # what was skipped is not forgotten
        load_both(folder_config(root))


def test_nothing_of_an_error_stays_behind(root, cache):
    test_damage_that_only_decoding_finds(root)
    assert not [path for path in cache.iterdir() if path.name.endswith(".part")]


def test_an_error_while_decoding_leaves_the_warning_filters_alone(root):
    for position, name in enumerate(("ant", "bee")):
        (root / name).mkdir(parents=True)
        for index in range(6):
            image = noise(10 * position + index, 40, 40)
            content = encode(image, "JPEG")
            (root / name / f"{index}.jpg").write_bytes(content[: len(content) // 2])
    before = list(warnings.filters)
    with pytest.raises(DataError) as caught:
        load_dataset(folder_config(root))
    assert list(warnings.filters) == before
    del caught  # with its traceback, and the frames that this held
    assert list(warnings.filters) == before


@pytest.mark.parametrize("part", ["train", "val", "test"])
@pytest.mark.parametrize("kind", ["header", "body"])
def test_a_part_of_which_nothing_can_be_read(root, part, kind):
    for each in ("train", "val", "test"):
        write_classes(root / each, 2, height=40, width=40)
    for path in (root / part).rglob("*.png"):
        content = encode(noise(1, 40, 40), "JPEG")
        path.write_bytes(b"" if kind == "header" else content[: len(content) // 2])
    warnings.simplefilter("ignore", DataWarning)  # until pytest restores the filters
    for skip in (False, True):
        with pytest.raises(DataError, match=rf"{part}/ant/0.png|{part} image"):
            load_both(folder_config(root, skip_unreadable=skip))


def test_a_class_that_loses_its_images_by_skipping(root):
    write_classes(root / "train", 3)
    write_classes(root / "test", 3)
    for index in range(2):
        (root / "train" / "bee" / f"{index}.png").write_bytes(b"")
    with (
        pytest.warns(DataWarning, match="left out 2"),
        pytest.raises(DataError, match=r"class 'bee' of .* has 1 image"),
    ):
        load_dataset(folder_config(root, skip_unreadable=True))


def test_a_bomb_is_named(root, monkeypatch):
    write_classes(root, 5)
    (root / "ant" / "bomb.png").write_bytes(encode(noise(1, 20, 20)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match=r"ant/bomb.png: it claims more than 100 pixels"):
        load_both(folder_config(root, image_size=4))


def test_a_file_that_is_too_large_is_not_read(root, monkeypatch):
    write_classes(root, 5)
    monkeypatch.setattr(picture, "MAX_FILE_BYTES", 50)
    with pytest.raises(DataError, match="larger than"):
        load_dataset(folder_config(root))


def test_what_cannot_be_read_today_is_not_remembered(root, monkeypatch):
    """A drive that was away for a moment, a permission that is given later."""
    write_classes(root / "train", 5)
    write_classes(root / "test", 5)
    config, real = folder_config(root, skip_unreadable=True), Path.read_bytes

    def refuse(path):
        if path.name == "3.png":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.warns(DataWarning, match=r"left out 2 of 10 .*3.png .Permission denied"):
        assert len(open_source(config).read("train").images) == 8
    monkeypatch.setattr(Path, "read_bytes", real)
    assert len(open_source(config).read("train").images) == 10
    assert len(open_source(folder_config(root)).read("train").images) == 10


@pytest.mark.parametrize("change", ["rewrite", "remove", "empty"])
def test_files_that_change_while_they_are_decoded(root, cache, change):
    """What is kept under the hash of the old content must not be made of the new."""
    write_classes(root / "train", 5)
    write_classes(root / "test", 5)
    path = root / "train" / "ant" / "0.png"
    first = path.read_bytes()

    def meddle(progress):
        if progress.stage == "scan train":
            path.unlink()
            if change != "remove":
                path.write_bytes(b"" if change == "empty" else encode(noise(99)))

    source = open_source(folder_config(root, skip_unreadable=True), meddle)
    with pytest.raises(DataError, match="changed while they were decoded: run again"):
        source.read("train")
    assert not list(cache.glob("*.bin"))
    path.write_bytes(first)
    assert len(open_source(folder_config(root)).read("train").images) == 10


def test_a_pipe_is_not_waited_for(root):
    write_classes(root, 5)
    os.mkfifo(root / "ant" / "pipe.png")
    with pytest.raises(DataError, match=r"ant/pipe.png: "):
        load_both(folder_config(root))


def grouped(root, count=12, per_group=3, *, column="Patient", table="groups.csv", key="image"):
    write_classes(root, count)
    rows = [
        {key: f"{name}/{index}.png", column: f"{name} {index // per_group}"}
        for name in ("ant", "bee")
        for index in range(count)
    ]
    write_table(root / table, (key, column), rows)
    return {row[key]: row[column] for row in rows}


def test_groups_from_a_file_beside_the_images(root):
    of = grouped(root)
    config = folder_config(root, group_column="groups.csv:Patient")
    source = open_source(config)
    for part in source.parts:
        assert [p.group for p in source.pictures[part]] == [
            of[name] for name in names(source, part)
        ]
    groups = [set(source.read(part).groups) for part in ("train", "test")]
    assert not groups[0] & groups[1]
    assert len(groups[0] | groups[1]) == 8
    data = load_dataset(config)
    assert min(data.class_counts().tolist()) > 0
    assert len(data.train) + len(data.validation) + len(load_test_split(data)) == 24


def test_groups_that_cross_the_given_parts_are_told(root):
    for part in ("train", "val", "test"):
        write_classes(root / part, 3)
    rows = [
        {"file": path.relative_to(root).as_posix(), "slide": f"s{path.stem}"}
        for path in root.rglob("*.png")
    ]
    write_table(root / "g.csv", ("file", "slide"), rows)
    with pytest.warns(DataWarning) as told:
        open_folder(root, group_column="g.csv:slide")
    found = sorted(str(warning.message) for warning in told)
    assert len(found) == 3
    assert found[0].startswith("3 groups, such as s0, are both in ")
    for first, second in (("train", "val"), ("train", "test"), ("val", "test")):
        assert any(first in text and second in text for text in found)


def test_a_row_that_may_mean_images_of_two_parts(root):
    """Both parts count from 0.png: a row per bare name would make twins of strangers."""
    for part in ("train", "test"):
        write_classes(root / part, 3, "ant", "bee", name=part[1] + "{}.png")
    for index in range(3):
        (root / "train" / "ant" / f"r{index}.png").rename(root / "train" / "ant" / f"x{index}.png")
        (root / "test" / "bee" / f"e{index}.png").rename(root / "test" / "bee" / f"x{index}.png")
    names = {path.name for path in root.rglob("*.png")}
    write_table(root / "g.csv", ("file", "slide"), [{"file": n, "slide": n} for n in names])
    with pytest.raises(
        DataError, match=r"'x0.png' may mean 'train/ant/x0.png' and 'test/bee/x0.png'"
    ):
        open_folder(root, group_column="g.csv:slide")


def test_one_group_only(root):
    write_classes(root, 5)
    rows = [{"file": p.relative_to(root).as_posix(), "slide": "s"} for p in root.rglob("*.png")]
    write_table(root / "g.csv", ("file", "slide"), rows)
    with pytest.raises(DataError, match=r"all images are of one group \(s\).*--group-column out"):
        open_folder(root, group_column="g.csv:slide")


def test_the_fingerprint_covers_names_labels_and_contents_but_not_the_test_part(root, tmp_path):
    def look(number=[0]):  # noqa: B006
        number[0] += 1
        return open_folder(root).fingerprint()

    for part in ("train", "val", "test"):
        write_classes(root / part, 3)
    first = look()
    (root / "test" / "ant" / "0.png").write_bytes(encode(noise(99)))
    assert look() == first
    seen = {first}
    (root / "val" / "ant" / "0.png").write_bytes(encode(noise(99)))
    seen.add(look())
    (root / "train" / "ant" / "0.png").rename(root / "train" / "ant" / "x.png")
    seen.add(look())
    (root / "train" / "ant" / "x.png").rename(root / "train" / "bee" / "x.png")
    seen.add(look())
    content = bytearray((root / "train" / "bee" / "x.png").read_bytes())
    (root / "train" / "bee" / "x.png").write_bytes(content + b"\0")
    seen.add(look())
    for part in ("train", "val", "test"):
        (root / part / "bee").rename(root / part / "wasp")
    seen.add(look())
    assert len(seen) == 6
