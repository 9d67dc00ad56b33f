"""Whether this process may run code that a search space or a run names: no, until it is told so.

The permission is a process's own: no file and no environment variable gives it. Executors hand it
on to the workers that they start.
"""

from __future__ import annotations

import sys
from pathlib import Path

_FOLDERS: list[str] = []


def allow_code(folder: Path | str = ".") -> None:
    """Let this process and its workers import the builders that spaces and runs name.

    Only for code that you have read, or whose authors you trust: it can do all that you can. The
    process cannot take it back.

    Args:
        folder: where modules are looked for before anywhere else; by default the current one.
    """
    path = str(Path(folder).resolve())
    if path not in _FOLDERS:
        _FOLDERS.append(path)
    if path not in sys.path:
        sys.path.insert(0, path)


def code_folders() -> tuple[str, ...]:
    """Return the folders that were given to `allow_code`; none: code may not be run."""
    return tuple(_FOLDERS)
