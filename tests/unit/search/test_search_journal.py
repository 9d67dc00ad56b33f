from __future__ import annotations

import contextlib
import errno
import resource
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.exceptions import StorageInternalError

from nasproxy.search.journal import JournalFile
from nasproxy.search.storage import create_study, open_storage


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s.log"


def entries(path: Path) -> list[dict[str, object]]:
    return list(JournalFile(path).read_logs(0))


@contextlib.contextmanager
def full_after(num_bytes: int) -> Iterator[None]:
    """Let no file grow beyond so many bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    "left", [b"{", b'{"op_code":6,"worker_id":"x","tri', b"x" * 5000, b'{"a":2}']
)
@pytest.mark.parametrize("num_whole", [0, 1, 300])
def test_an_unfinished_line_is_cut_off_before_the_next(path, left, num_whole):
    whole = [{"a": index} for index in range(num_whole)]
    if whole:
        JournalFile(path).append_logs(whole)
    with path.open("ab") as file:
        file.write(left)
    assert entries(path) == whole
    JournalFile(path).append_logs([{"b": 1}])
    assert entries(path) == [*whole, {"b": 1}]


def test_a_study_goes_on_after_an_append_that_was_cut_off(path):
    url = f"journal://{path}"
    study = create_study(open_storage(url), url, "s")
    study.add_trial(optuna.trial.create_trial(value=1.0))
    with path.open("ab") as file:
        file.write(b'{"op_code":4,"worker_id":"x","stu')
    for driver in range(2):
        study = create_study(open_storage(url), url, "s")
        study.add_trial(optuna.trial.create_trial(value=2.0))
        assert len(study.trials) == 2 + driver


def test_a_full_disk_leaves_whole_lines_and_is_the_storages_error(path):
    journal = JournalFile(path)
    journal.append_logs([{"a": 1}])
    size = path.stat().st_size
    with full_after(size + 5), pytest.raises(StorageInternalError) as caught:
        journal.append_logs([{"a": "x" * 100}])
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.EFBIG
    assert path.stat().st_size == size
    journal.append_logs([{"a": 2}])
    assert entries(path) == [{"a": 1}, {"a": 2}]


def test_a_file_that_is_gone_is_the_storages_error(path):
    journal = JournalFile(path)
    path.unlink()
    with pytest.raises(StorageInternalError):
        list(journal.read_logs(0))
    with pytest.raises(StorageInternalError):
        journal.append_logs([{"a": 1}])
    assert not list(path.parent.iterdir())  # the lock is free


def test_a_line_that_is_no_json_is_the_storages_error(path):
    path.write_bytes(b'{"a":1}\n{"b":\n{"c":1}\n')
    with pytest.raises(StorageInternalError):
        entries(path)
