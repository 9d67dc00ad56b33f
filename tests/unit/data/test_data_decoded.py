from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import time

import numpy as np
import pytest
from image_files import encode, folder_config, noise, write_classes

from nasproxy.data.dataset import load_dataset
from nasproxy.data.decoded import cache_dir, key_of, map_images, recall
from nasproxy.data.holdout import load_test_split
from nasproxy.data.sources import open_source
from nasproxy.errors import DataError

SHAPE = (1, 2, 3)
IMAGES = np.arange(24, dtype=np.uint8).reshape(4, *SHAPE)


def one_by_one(facts):
    facts["what"] = "images"
    yield from IMAGES


def in_batches(facts):
    facts["what"] = "images"
    yield IMAGES[:3]
    yield IMAGES[3:]


def never(facts):
    raise AssertionError("made a second time")
    yield


@pytest.fixture
def root(tmp_path):
    write_classes(tmp_path / "data" / "train", 5)
    write_classes(tmp_path / "data" / "test", 5, seed=1)
    return tmp_path / "data"


@pytest.mark.parametrize("make", [one_by_one, in_batches])
def test_what_is_made_once_is_mapped_ever_after(cache, make):
    first, facts = map_images("entry", SHAPE, make)
    second, again = map_images("entry", SHAPE, never)
    for images in (first, second):
        assert isinstance(images, np.memmap)
        assert not images.flags.writeable
        np.testing.assert_array_equal(images, IMAGES)
    assert facts == again == {"what": "images"}
    assert sorted(path.name for path in cache.iterdir()) == [".lock", "entry.bin", "entry.json"]
    assert (cache / "entry.bin").read_bytes() == IMAGES.tobytes()


def test_strided_images_are_stored_in_order():
    turned = IMAGES.transpose(0, 1, 3, 2)
    found, _ = map_images("entry", (1, 3, 2), lambda facts: iter([turned]))
    np.testing.assert_array_equal(found, turned)


def test_no_image_at_all():
    for make in (lambda facts: iter(()), never):
        found, _ = map_images("entry", SHAPE, make)
        assert found.shape == (0, *SHAPE)


def test_another_shape_is_another_entry():
    map_images("entry", SHAPE, one_by_one)
    found, _ = map_images("entry", (1, 3, 2), lambda facts: iter([IMAGES.reshape(4, 1, 3, 2)]))
    assert found.shape == (4, 1, 3, 2)


@pytest.mark.parametrize("size", [0, 1, 23, 25])
def test_a_file_of_the_wrong_size_is_made_anew(cache, size):
    map_images("entry", SHAPE, one_by_one)
    (cache / "entry.bin").write_bytes(bytes(size))
    found, _ = map_images("entry", SHAPE, in_batches)
    np.testing.assert_array_equal(found, IMAGES)


@pytest.mark.parametrize(
    "content",
    [
        "", "{", "[]", "null", "{}", '"x"', "[" * 5000, '{"shape": [4, 1, 2, 3]}',
        '{"shape": 4, "facts": {}}', '{"shape": [], "facts": {}}', '{"shape": null, "facts": {}}',
        '{"shape": [4, 1, 2, 3], "facts": []}', '{"shape": [4, 2, 3], "facts": {}}', "\udcff",
        '{"shape": [-4, -1, 2, 3], "facts": {}}', '{"shape": ["4", 1, 2, 3], "facts": {}}',
    ],
)  # fmt: skip
def test_a_damaged_record_is_made_anew(cache, content):
    map_images("entry", SHAPE, one_by_one)
    (cache / "entry.json").write_bytes(content.encode(errors="surrogateescape"))
    found, facts = map_images("entry", SHAPE, in_batches)
    np.testing.assert_array_equal(found, IMAGES)
    assert facts == {"what": "images"}


@pytest.mark.parametrize("gone", ["entry.bin", "entry.json"])
def test_half_an_entry_is_none(cache, gone):
    map_images("entry", SHAPE, one_by_one)
    (cache / gone).unlink()
    np.testing.assert_array_equal(map_images("entry", SHAPE, in_batches)[0], IMAGES)


@pytest.mark.parametrize("error", [DataError("x"), OSError(28, "No space"), KeyboardInterrupt()])
def test_nothing_is_left_after_an_error(cache, error):
    def fail(facts):
        yield IMAGES[0]
        raise error

    expected = DataError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected):
        map_images("entry", SHAPE, fail)
    assert [path.name for path in cache.iterdir()] == [".lock"]
    np.testing.assert_array_equal(map_images("entry", SHAPE, one_by_one)[0], IMAGES)


def test_what_a_killed_process_left_is_in_nobodys_way(cache):
    cache.mkdir()
    (cache / ".entry.part").write_bytes(b"half an image")
    np.testing.assert_array_equal(map_images("entry", SHAPE, one_by_one)[0], IMAGES)
    assert sorted(path.name for path in cache.iterdir()) == [".lock", "entry.bin", "entry.json"]


def test_small_records(cache):
    assert recall("key", lambda: {"a": 1}) == {"a": 1}
    assert recall("key", lambda: {"a": 2}) == {"a": 1}
    assert recall("other", lambda: {"a": 2}, keep=lambda found: False) == {"a": 2}
    assert recall("other", lambda: {"a": 3}) == {"a": 3}
    for content in ("", "[]", "nonsense"):
        (cache / "key.json").write_text(content)
        assert recall("key", lambda: {"a": 4}) == {"a": 4}


def test_keys_differ_by_every_fact():
    facts = [
        (),
        ("a",),
        ("a", "b"),
        (["a", "b"],),
        ("ab",),
        (1,),
        ("1",),
        (1, 2),
        ([1], 2),
        (None,),
    ]
    assert len({key_of(*fact) for fact in facts}) == len(facts)
    assert key_of("ö", [1]) == key_of("ö", [1])
    assert key_of((1, 2)) == key_of([1, 2])


def test_environment_names_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NASPROXY_CACHE", str(tmp_path / "x"))
    assert cache_dir() == tmp_path / "x"
    monkeypatch.delenv("NASPROXY_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "nasproxy" / "decoded"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_dir() == tmp_path / ".cache" / "nasproxy" / "decoded"


@pytest.mark.parametrize("work", [lambda: recall("k", dict), lambda: map_images("k", SHAPE, never)])
def test_a_cache_that_cannot_be_made(tmp_path, monkeypatch, work):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NASPROXY_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(DataError) as caught:
        work()
    assert str(tmp_path / "file" / "cache") in str(caught.value)
    assert "name another folder in NASPROXY_CACHE" in str(caught.value)
    assert "--out" not in str(caught.value)


@pytest.mark.parametrize("end", ["json", "bin"])
def test_a_cache_that_cannot_be_written(cache, end):
    (cache / f"entry.{end}" / "in the way").mkdir(parents=True)
    with pytest.raises(
        DataError, match=f"cannot write decoded images to {cache}: .*NASPROXY_CACHE"
    ):
        map_images("entry", SHAPE, one_by_one)
    assert not list(cache.glob(".*part*"))
    if end == "json":
        with pytest.raises(DataError, match=f"{cache}: .*NASPROXY_CACHE"):
            recall("entry", dict)


def test_the_second_time_nothing_is_decoded(root, decodings, cache):
    first = load_dataset(folder_config(root, image_size=4))
    load_test_split(first)
    assert len(decodings) == 20
    stamps = {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    second = load_dataset(folder_config(root, image_size=4, seed=3))
    load_test_split(second)
    assert len(decodings) == 20
    assert {path: path.stat().st_mtime_ns for path in cache.iterdir()} == stamps
    assert first.fingerprint == second.fingerprint


def test_the_second_time_no_image_is_opened(root, monkeypatch):
    load_test_split(load_dataset(folder_config(root)))
    monkeypatch.setattr("nasproxy.data.listing.read_header", None)
    monkeypatch.setattr("nasproxy.data.listing.decode", None)
    load_test_split(load_dataset(folder_config(root)))


def test_progress_is_told_in_steps_and_to_the_end(tmp_path):
    root = write_classes(tmp_path / "data", 90)  # 144 of them for training
    seen = []
    source = open_source(folder_config(root), seen.append)
    source.read("train")
    stages = {p.stage: [(q.done, q.total) for q in seen if q.stage == p.stage] for p in seen}
    assert stages == {
        "scan train": [(64, 144), (128, 144), (144, 144)],
        "scan test": [(36, 36)],
        "decode train": [(64, 144), (128, 144), (144, 144)],
    }
    seen.clear()
    open_source(folder_config(root), seen.append).read("train")
    assert not seen


def test_each_size_has_its_entry(root, decodings):
    for size in (4, 5, None, 4, 5, None):
        load_dataset(folder_config(root, image_size=size))
    assert len(decodings) == 30


@pytest.mark.parametrize("same", ["nothing", "time", "size", "time and size"])
def test_a_file_that_changed_is_noticed(root, decodings, same):
    path = root / "train" / "ant" / "0.png"
    path.write_bytes(encode(noise(76), "BMP"))
    before, stamp = load_dataset(folder_config(root)), path.stat()
    path.write_bytes(encode(noise(77), "BMP" if "size" in same else "PNG"))
    if "time" in same:
        os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert (path.stat().st_size == stamp.st_size) == ("size" in same)
    after = load_dataset(folder_config(root))
    assert len(decodings) == 20
    assert after.fingerprint != before.fingerprint


def test_a_touched_file_is_not_decoded_again(root, decodings):
    before = load_dataset(folder_config(root))
    os.utime(root / "train" / "ant" / "0.png")
    assert load_dataset(folder_config(root)).fingerprint == before.fingerprint
    assert len(decodings) == 10


def test_added_and_removed_files_are_noticed(root):
    prints = {load_dataset(folder_config(root)).fingerprint}
    (root / "train" / "ant" / "new.png").write_bytes(encode(noise(77)))
    prints.add(load_dataset(folder_config(root)).fingerprint)
    (root / "train" / "ant" / "0.png").unlink()
    prints.add(load_dataset(folder_config(root)).fingerprint)
    assert len(prints) == 3


def test_the_same_content_elsewhere_is_not_decoded_again(root, decodings, tmp_path):
    one = load_dataset(folder_config(root))
    shutil.copytree(root, tmp_path / "copy")
    other = load_dataset(folder_config(tmp_path / "copy"))
    assert one.fingerprint == other.fingerprint
    assert len(decodings) == 10


def test_swapped_files_are_not_taken_for_each_other(root):
    """Same sizes, same contents, other names."""
    one = load_dataset(folder_config(root))
    ant, bee = root / "train" / "ant" / "0.png", root / "train" / "bee" / "0.png"
    content = ant.read_bytes()
    ant.write_bytes(bee.read_bytes())
    bee.write_bytes(content)
    assert load_dataset(folder_config(root)).fingerprint != one.fingerprint


def test_a_truncated_entry_is_made_anew(root, cache, decodings):
    before = load_dataset(folder_config(root))
    (entry,) = cache.glob("*.bin")
    entry.write_bytes(entry.read_bytes()[:-1])
    after = load_dataset(folder_config(root))
    assert len(decodings) == 20
    assert before.train.images.equal(after.train.images)


def test_an_unwritable_cache_of_a_data_set(root, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NASPROXY_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match="NASPROXY_CACHE"):
        load_dataset(folder_config(root))


def test_what_was_cached_is_used_without_a_word_to_the_cache(root, cache):
    """A cache on a read-only disk serves what it has."""
    load_dataset(folder_config(root))
    shutil.rmtree(cache / ".lock", ignore_errors=True)
    (cache / ".lock").unlink()
    (cache / ".lock").mkdir()  # whoever opened it would fail
    load_dataset(folder_config(root))


def _load(root, names, start) -> None:
    seen = []
    while time.time() < start:
        time.sleep(0.005)
    source = open_source(folder_config(root, image_size=16), lambda p: seen.append(p.stage))
    raw = source.read("train")
    names.put((seen.count("decode train"), raw.images.sum().item(), source.fingerprint()))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_two_processes_at_once(root, cache):
    """One decodes, the other waits for it and finds the work done."""
    context = multiprocessing.get_context("fork")
    names = context.Queue()
    start = time.time() + 0.1
    pair = [context.Process(target=_load, args=(root, names, start)) for _ in range(2)]
    for process in pair:
        process.start()
    found = sorted(names.get(timeout=120) for _ in pair)
    for process in pair:
        process.join()
    assert [count for count, *_ in found] == [0, 1]
    assert found[0][1:] == found[1][1:]
    assert len(list(cache.glob("*.bin"))) == 1
    assert not list(cache.glob(".*part"))


def test_entries_are_plain_files_for_others_to_read(root, cache):
    load_dataset(folder_config(root))
    (entry,) = cache.glob("*.bin")
    record = json.loads(entry.with_suffix(".json").read_text())
    assert record["shape"] == [10, 3, 6, 6]
    assert entry.stat().st_size == 10 * 3 * 6 * 6


def test_a_relative_folder_is_named_whole(tmp_path, monkeypatch):
    """Workers elsewhere have other working folders."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NASPROXY_CACHE", "cache")
    assert cache_dir() == tmp_path / "cache"
