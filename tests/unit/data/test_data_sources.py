from __future__ import annotations

import os
import re

import pytest
from image_files import write_classes

from nasproxy.config import DataConfig
from nasproxy.data.folder import open_folder
from nasproxy.data.named import NamedSource
from nasproxy.data.npz import NpzSource
from nasproxy.data.sources import OPENERS, data_dir, default_data_dir, fetch, is_here, open_source
from nasproxy.errors import DataError


def test_environment_names_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NASPROXY_DATA", str(tmp_path))
    assert default_data_dir() == tmp_path
    assert data_dir(DataConfig(dataset="digits", data_dir="/x")).as_posix() == "/x"
    assert data_dir(DataConfig(dataset="digits")) == tmp_path
    monkeypatch.delenv("NASPROXY_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert default_data_dir() == tmp_path / "cache" / "nasproxy"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_data_dir() == tmp_path / ".cache" / "nasproxy"


def test_each_kind_has_its_source(tmp_path, mhist, npz):
    write_classes(tmp_path / "d", 3)
    found = [
        open_source(DataConfig(dataset=name))
        for name in ("digits", f"folder:{tmp_path / 'd'}", f"mhist:{mhist()}", f"npz:{npz()[0]}")
    ]
    assert [type(source).__name__ for source in found] == [
        "NamedSource",
        "FileSource",
        "FileSource",
        "NpzSource",
    ]
    assert isinstance(found[0], NamedSource)
    assert isinstance(found[3], NpzSource)
    assert OPENERS["folder"] is open_folder
    for source in found:
        assert {"train", "test"} <= set(source.parts)
        assert len(source.class_names) > 1
        assert re.fullmatch("[0-9a-f]{64}", source.fingerprint())


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("minst", "mnist"),
        ("mhsit", "mhist"),
        ("foldr:x", "folder:PATH"),
        ("npz:", "npz:FILE"),
        ("folder", "folder:PATH"),
        ("folder:", "folder:PATH"),
        ("mhist:", "mhist"),
        ("mnist:", "mnist"),
        ("mnist:x", "mnist"),
    ],
)
def test_unknown_name_lists_the_choices_and_the_nearest(name, near):
    choices = "digits, fashion-mnist, folder:PATH, mhist, mhist:PATH, mnist, npz:FILE"
    with pytest.raises(DataError) as caught:
        open_source(DataConfig(dataset=name))
    assert str(caught.value).startswith(f"unknown data set {name!r}: choose from {choices}")
    assert f"did you mean {near!r}" in str(caught.value)


@pytest.mark.parametrize("name", ["", ":", "a:b:c", "FOLDER:x", "\0", "folder", "npz", "folder:"])
def test_nothing_of_the_kind_is_fetched(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "npz").mkdir()
    with pytest.raises(DataError, match="unknown data set"):
        fetch(name, tmp_path)


@pytest.mark.parametrize("text", ["d", "mhist", "./d", "~/d"])
@pytest.mark.parametrize("place", ["here", "data"])
def test_a_path_is_looked_for_here_and_then_among_the_data_sets(tmp_path, monkeypatch, place, text):
    for folder in ("here", "data"):
        (tmp_path / folder).mkdir()
    write_classes(tmp_path / place / text.removeprefix("~/"), 3)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("NASPROXY_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path / place))
    found = open_source(DataConfig(dataset=f"folder:{text}"))
    assert found.root.resolve() == (tmp_path / place / text.removeprefix("~/")).resolve()
    assert fetch(f"folder:{text}", tmp_path / "data").resolve() == found.root.resolve()


def test_here_comes_first(tmp_path, monkeypatch):
    write_classes(tmp_path / "here" / "d", 3)
    write_classes(tmp_path / "data" / "d", 4)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("NASPROXY_DATA", str(tmp_path / "data"))
    assert open_source(DataConfig(dataset="folder:d")).root.resolve() == tmp_path / "here" / "d"


def test_mhist_by_name_is_among_the_data_sets_only(tmp_path, monkeypatch, mhist):
    mhist(name="here/mhist")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("NASPROXY_DATA", str(tmp_path / "data"))
    with pytest.raises(DataError, match=r"there is no .*data/mhist"):
        open_source(DataConfig(dataset="mhist"))
    assert not is_here("mhist", tmp_path / "data")
    mhist(name="data/mhist")
    assert open_source(DataConfig(dataset="mhist")).root == tmp_path / "data" / "mhist"
    assert is_here("mhist", tmp_path / "data")
    by_path = open_source(DataConfig(dataset="mhist:mhist"))
    assert by_path.root.resolve() == tmp_path / "here" / "mhist"


def test_fetching_mhist_explains_and_downloads_nothing(tmp_path, monkeypatch, mhist):
    def no_network(*args, **kwargs):
        raise AssertionError("nothing may be downloaded")

    monkeypatch.setattr("urllib.request.urlopen", no_network)
    with pytest.raises(DataError) as caught:
        fetch("mhist", tmp_path / "data")
    for words in (
        "https://bmirds.github.io/MHIST/",
        str(tmp_path / "data" / "mhist" / "images"),
        str(tmp_path / "data" / "mhist" / "annotations.csv"),
        "images.zip",
        "Nothing was downloaded",
    ):
        assert words in str(caught.value)
    assert not os.path.exists(tmp_path / "data")
    mhist(name="data/mhist")
    assert fetch("mhist", tmp_path / "data") == tmp_path / "data" / "mhist"


def test_fetching_data_of_your_own(tmp_path):
    assert fetch("digits", tmp_path) == tmp_path
    for kind in ("folder", "npz", "mhist"):
        with pytest.raises(DataError, match="absent"):
            fetch(f"{kind}:{tmp_path / 'absent'}", tmp_path)


@pytest.mark.parametrize("kind", ["folder", "npz", "mhist"])
@pytest.mark.parametrize(
    "path",
    ["absent", "~no-such-user/x", "a\0b", "x" * 300, "x/" * 3000, "ä ö\n", "\udce4"],
    ids=["absent", "user", "NUL", "name", "long", "umlauts", "surrogate"],
)
def test_any_path_that_is_not_there_is_an_error_of_ours(tmp_path, kind, path):
    for work in (
        lambda: open_source(DataConfig.model_construct(dataset=f"{kind}:{path}")),
        lambda: fetch(f"{kind}:{path}/absent", tmp_path),
    ):
        with pytest.raises(DataError):
            work()


@pytest.mark.parametrize("kind", ["digits", "mnist", "npz"])
def test_groups_are_refused_where_there_are_none(kind, npz):
    dataset = f"npz:{npz()[0]}" if kind == "npz" else kind
    with pytest.raises(DataError, match=r"no groups.*--group-column"):
        open_source(DataConfig(dataset=dataset, group_column="Patient"))
