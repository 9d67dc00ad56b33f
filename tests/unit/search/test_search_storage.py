from __future__ import annotations

import contextlib
import importlib.util
import sqlite3
import subprocess
import sys
from pathlib import Path

import optuna
import pytest

from nasproxy.errors import ArtifactError, ConfigError
from nasproxy.search.storage import (
    PATIENCE,
    START_PATIENCE,
    check_storage,
    create_study,
    mask,
    open_storage,
    opening_patience,
    outages,
    patiently,
    quick_commits,
    recordable,
)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+psycopg://me:secret@db:5432/nas", "postgresql+psycopg://me:***@db:5432/nas"),
        ("mysql+pymysql://me:secret@db/nas", "mysql+pymysql://me:***@db/nas"),
        ("postgresql+psycopg://db/nas?password=secret", "postgresql+psycopg://db/nas?password=***"),
        ("postgresql://me:secret@db:54x2/nas", "postgresql://me:***@db:54x2/nas"),
        ("postgresql://me:sec@ret@db:x/nas", "postgresql://me:***@db:x/nas"),
        ("postgresql://db:x/nas?a=1&password=secret", "postgresql://db:x/nas?a=1&password=***"),
        ("no url:secret@x", "no url:secret@x"),
        ("grpc://host:13000", "grpc://host:13000"),
        ("grpc://me:secret@host:13000", "grpc://me:***@host:13000"),
        ("sqlite:////tmp/s.db", "sqlite:////tmp/s.db"),
    ],
)
def test_no_password_is_shown(url, shown):
    assert mask(url).replace("%2A", "*") == shown
    assert "secret" not in recordable(url) or "://" not in url


@pytest.mark.parametrize("head", ["sqlite:///", "journal://"])
def test_files_are_recorded_by_their_whole_path(head):
    assert recordable(f"{head}some/file") == f"{head}{Path('some/file').absolute()}"


@pytest.mark.parametrize("url", ["grpc://", "grpc://host", "grpc:///x"])
def test_a_server_without_a_name(url):
    with pytest.raises(ArtifactError, match=rf"'{url}' names no server: write grpc://HOST:PORT"):
        open_storage(url)


@pytest.mark.parametrize(
    ("url", "missing", "remedy"),
    [("grpc://localhost:1", "grpc", r"pip install 'nasproxy\[grpc\]'")],
)
def test_a_missing_driver(url, missing, remedy, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == missing else find(name)
    )
    with pytest.raises(ConfigError, match=remedy):
        open_storage(url)


@pytest.mark.parametrize(
    "url", ["postgresql://me:secret@db:54x2/nas", "grpc://me:secret@host:13x", "grpc://u:secret@h"]
)
def test_a_url_that_is_wrong_is_refused_without_its_password(url):
    with pytest.raises(ArtifactError) as caught:
        check_storage(url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_storage_that_was_open_once_is_away_later_not_wrong(tmp_path):
    url = f"sqlite:///{tmp_path}/db/s.db"
    for _ in range(2):
        with pytest.raises(ArtifactError, match="cannot open the study in"):
            open_storage(url)
    assert opening_patience(url) == START_PATIENCE
    (tmp_path / "db").mkdir()
    open_storage(url).remove_session()
    assert opening_patience(url) == PATIENCE
    (tmp_path / "db").rename(tmp_path / "away")
    with pytest.raises(outages()):
        open_storage(url)
    with pytest.raises(ArtifactError, match=r"cannot write the study.*same command again"):
        check_storage(url)


def test_a_study_is_not_created_in_a_storage_that_is_away():
    class Away(optuna.storages.InMemoryStorage):
        def create_new_study(self, *args, **more):
            raise optuna.exceptions.StorageInternalError("away")

    with pytest.raises(optuna.exceptions.StorageInternalError):
        create_study(Away(), "sqlite://", "s")


def test_patience_has_an_end():
    from sqlalchemy.exc import SQLAlchemyError

    calls = []

    def act():
        calls.append(1)
        if len(calls) < 3:
            raise SQLAlchemyError("away")
        return "back"

    assert patiently(act, 5) == "back"
    calls.clear()
    with pytest.raises(SQLAlchemyError, match="away"):
        patiently(act, 0.05)


def journal_mode(path: Path) -> str:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


def test_quick_commits_leave_a_single_file_behind(tmp_path):
    path = tmp_path / "study.db"
    storage = open_storage(f"sqlite:///{path}")
    study = create_study(storage, "sqlite", "s")
    with quick_commits(storage):
        study.set_user_attr("during", 1)
        assert journal_mode(path) == "wal"
    assert journal_mode(path) == "delete"
    assert [file.name for file in tmp_path.iterdir()] == ["study.db"]
    study.set_user_attr("after", 2)
    found = create_study(open_storage(f"sqlite:///{path}"), "sqlite", "s")
    assert found.user_attrs == {"during": 1, "after": 2}


def test_what_a_killed_process_committed_stays(tmp_path):
    code = """
import os, sys
from nasproxy.search.storage import create_study, open_storage, quick_commits
storage = open_storage(sys.argv[1])
study = create_study(storage, "sqlite", "s")
with quick_commits(storage):
    study.set_user_attr("kept", 1)
    os.kill(os.getpid(), 9)
"""
    url = f"sqlite:///{tmp_path / 'study.db'}"
    done = subprocess.run([sys.executable, "-c", code, url], check=False)
    assert done.returncode == -9
    storage = open_storage(url)
    assert create_study(storage, "sqlite", "s").user_attrs == {"kept": 1}
    with quick_commits(storage):
        pass
    assert journal_mode(tmp_path / "study.db") == "delete"


def test_other_storages_are_left_alone(tmp_path):
    storage = open_storage(f"journal:///{tmp_path / 'journal.log'}")
    with quick_commits(storage):
        create_study(storage, "journal", "s")
