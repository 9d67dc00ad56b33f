from __future__ import annotations

import hashlib
import os

import pytest
import torch

from nasproxy import _files
from nasproxy._environment import choose_device, versions
from nasproxy._files import ensure_folder, read_json, sha256_of, write_bytes, write_json
from nasproxy._random import named_generator, named_seed
from nasproxy._timing import Stopwatch
from nasproxy.errors import ArtifactError, ConfigError
from nasproxy.run_folder import (
    amend_run,
    begin_run,
    check_run,
    locked,
    read_records,
    read_run,
    read_timings,
    write_timing,
)


def test_sha256():
    assert sha256_of([b"ab", memoryview(b"c")]) == hashlib.sha256(b"abc").hexdigest()


def test_files_are_whole_or_as_they_were(tmp_path, monkeypatch):
    path = tmp_path / "below" / "file"
    write_bytes(path, b"old")

    def full(*args):
        raise OSError(28, "No space left on device")

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patched:
            patched.setattr(os, name, full)
            with pytest.raises(ArtifactError, match=r"cannot write .*No space left.*--out"):
                write_bytes(path, b"new")
        assert path.read_bytes() == b"old"
        assert os.listdir(path.parent) == ["file"]
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o644


def test_an_interrupt_leaves_no_part_behind(tmp_path, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(tmp_path / "file", b"new")
    assert os.listdir(tmp_path) == []


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "file").touch()
    for call in (lambda p: write_bytes(p / "x", b""), ensure_folder):
        with pytest.raises(ArtifactError, match=r"cannot write .*file"):
            call(tmp_path / "file")
    with pytest.raises(ArtifactError, match=r"another|cannot write"), locked(tmp_path / "file"):
        pass


def test_leftovers_of_killed_processes(tmp_path, monkeypatch):
    """They go as soon as the folder is worked on again; what is being written stays."""
    inner, run = tmp_path / "trainings", tmp_path / "trainings" / "run"
    for folder in (tmp_path, inner, run):
        folder.mkdir(exist_ok=True)
        (folder / ".a.json.x1_yz2ab.part").write_bytes(b"half")
    precious = [tmp_path / ".mine.part", inner / ".b.json.x1_yz2abc.part", tmp_path / "a.json"]
    for path in precious:
        path.touch()
    (tmp_path / ".l.json.abcdefgh.part").symlink_to(precious[2])
    meant = os.replace

    def replace(source, target):
        with locked(tmp_path):
            assert os.path.exists(source)
        meant(source, target)

    monkeypatch.setattr(os, "replace", replace)
    write_bytes(inner / "b.json", b"whole")
    left = {path for path in tmp_path.rglob("*") if path.is_file()}
    below = {inner / "b.json", run / ".a.json.x1_yz2ab.part"}  # which is worked on by its own name
    assert left == {*precious, *below, tmp_path / ".lock", tmp_path / ".l.json.abcdefgh.part"}


def test_json(tmp_path):
    write_json(tmp_path / "a.json", {"b": [1, "é"], "a": None})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert text == '{\n  "b": [\n    1,\n    "é"\n  ],\n  "a": null\n}\n'
    assert list(read_json(tmp_path / "a.json")) == ["b", "a"]
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", float("nan"))
    assert read_json(tmp_path / "a.json")["b"] == [1, "é"]
    for name, message in [("absent", "cannot read"), (".", "cannot read")]:
        with pytest.raises(ArtifactError, match=message):
            read_json(tmp_path / name)
    with (tmp_path / "large").open("wb") as file:
        file.truncate(_files.MAX_JSON_BYTES + 1)
    with pytest.raises(ArtifactError, match="larger than 256 MiB"):
        read_json(tmp_path / "large")


def test_named_seeds():
    assert named_seed(0, "a", 1) == named_seed(0, "a", 1)
    found = {named_seed(seed, name, i) for seed in (0, 1) for name in "ab" for i in (0, 1)}
    assert len(found) == 8
    assert named_seed(0, "a", "b") != named_seed(0, "b", "a")
    expected = int.from_bytes(hashlib.sha256(b"3/x/2").digest()[:8], "big") >> 1
    assert named_seed(3, "x", 2) == expected
    one, two = (torch.rand(5, generator=named_generator(3, "x")) for _ in range(2))
    assert torch.equal(one, two)


def test_begin_run(tmp_path):
    folder = tmp_path / "run"

    def begin(**search: object) -> None:
        record = {"config": {"search": search, "x": 1}, "seed": 0}
        check_run(folder, record, ("trials",))
        begin_run(folder, record)

    begin(lr=1, trials=3, recipe={"epochs": 2})
    amend_run(folder, config={"verify": {"top": 5}}, search_workers=2)
    begin(lr=1, trials=9, recipe={"epochs": 2})
    run = read_run(folder)
    assert run["config"]["search"]["trials"] == 9
    assert (run["config"]["verify"], run["search_workers"]) == ({"top": 5}, 2)
    before = (folder / "run.json").read_bytes()
    for search, message in [
        ({"lr": 2, "trials": 9, "recipe": {"epochs": 2}}, r"search.lr 1 instead of 2"),
        ({"lr": 1, "recipe": {"epochs": 3}}, r"search.recipe.epochs 2 instead of 3"),
        ({"lr": 1, "more": 1, "recipe": {"epochs": 2}}, r"search.more None instead of 1"),
        ({"trials": 9, "recipe": {"epochs": 2}}, r"search.lr 1 instead of"),
    ]:
        with pytest.raises(ArtifactError, match=f"holds another run.*{message}.*another --out"):
            begin(**search)
    assert (folder / "run.json").read_bytes() == before
    write_json(folder / "run.json", {"schema_version": 2, "config": {}})
    with pytest.raises(ArtifactError, match="schema version 2, this nasproxy reads 1"):
        read_run(folder)


def test_records(tmp_path):
    write_json(tmp_path / "candidates.json", [{"a": 1, "b": 2}, {"a": 1}])
    assert len(read_records(tmp_path, "candidates.json", ("a",))) == 2
    with pytest.raises(ArtifactError, match="entry 1 lacks b"):
        read_records(tmp_path, "candidates.json", ("a", "b"))
    with pytest.raises(ArtifactError, match="run `nasproxy verify` first"):
        read_records(tmp_path, "verification.json", ())


def test_timings(tmp_path):
    assert read_timings(tmp_path) == {}
    write_timing(tmp_path, "a", 1.23456)
    write_timing(tmp_path, "b", 2)
    assert read_timings(tmp_path) == {"a": 1.235, "b": 2}


@pytest.mark.parametrize("content", ["[]", "3", '{"search_seconds": "x"}'])
def test_damaged_timings(tmp_path, content):
    (tmp_path / "timings.json").write_text(content)
    with pytest.raises(ArtifactError, match=r"timings\.json"):
        read_timings(tmp_path)


def test_locks_end_with_their_block(tmp_path):
    for _ in range(2):
        with (
            locked(tmp_path),
            pytest.raises(ArtifactError, match="another process works on"),
            locked(tmp_path),
        ):
            pass


def test_devices():
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(ConfigError, match="got 'gpu'"):
        choose_device("gpu")
    for name, there in (
        ("cuda", torch.cuda.is_available()),
        ("mps", torch.backends.mps.is_available()),
    ):
        if not there:
            with pytest.raises(ConfigError, match=f"no {name} device"):
                choose_device(name)


def test_versions_do_not_name_the_machine():
    found = versions()
    assert {"python", "nasproxy", "torch", "optuna", "numpy", "hardware"} <= set(found)
    assert os.uname().nodename not in found["hardware"]


def test_stopwatch():
    clock = Stopwatch()
    first = clock.seconds()
    assert 0 <= first <= clock.seconds()
