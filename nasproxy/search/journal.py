"""Optuna's journal in a file, in which a write that was cut off harms nobody."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

_BLOCK = 4096


class JournalFile(JournalFileBackend):
    """Optuna's backend, but an unfinished last line is cut off: nothing is appended to it.

    A full disk or a killed process leaves such a line, and what follows on it nobody can read.
    Faults of the file are errors of the storage, as a database's are.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), _MendingLock(path))

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """Yield the entries from a number on."""
        with _storage_errors():
            yield from super().read_logs(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write entries, each of them whole or not at all."""
        with _storage_errors():
            super().append_logs(logs)


class _MendingLock(JournalFileSymlinkLock):
    """Optuna's lock, whose holder finds and leaves whole lines only."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path

    def acquire(self) -> bool:
        super().acquire()
        try:
            _cut_unfinished(self._path)
        except BaseException:
            super().release()
            raise
        return True

    def release(self) -> None:
        with contextlib.suppress(OSError):  # the next holder tries again
            _cut_unfinished(self._path)
        super().release()


@contextlib.contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # a ValueError: a line that is no JSON
        raise StorageInternalError("the journal cannot be read or written") from error


def _cut_unfinished(path: Path) -> None:
    """Cut a file after its last newline."""
    with path.open("r+b") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - _BLOCK) if end < size else end - 1  # one byte is all, mostly
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end < size:
            file.truncate(end)
