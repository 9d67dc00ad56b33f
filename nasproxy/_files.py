"""Files that are either whole or absent, and the hashes that name their content."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import math
import os
import re
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nasproxy.errors import ArtifactError

MAX_JSON_BYTES = 256 * 2**20
MAX_JSON_VALUES = 20_000_000
_UNITS = ((30, "GiB"), (20, "MiB"), (10, "KiB"), (0, "bytes"))
_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}\.part")
_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")


def sha256_of(chunks: Iterable[bytes | memoryview]) -> str:
    """Return the hex sha256 of the chunks, one after another."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically: readers see the old content or the new, never a part.

    Raises:
        ArtifactError: the folder cannot be written or the disk is full.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(".part", f".{path.name}.", path.parent)
        with os.fdopen(handle, "wb") as file:
            with contextlib.suppress(OSError):  # says to `clear_leftovers` that its writer lives
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
    except BaseException as error:  # interrupts among them
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        if isinstance(error, OSError):
            raise cannot_write(path, error) from error
        raise


def clear_leftovers(folder: Path) -> None:
    """Delete what killed processes left of files they wrote, in a folder and one level down."""
    with contextlib.suppress(OSError):
        entries = list(os.scandir(folder))
        below = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
        for inner in below:
            with contextlib.suppress(OSError):
                entries += os.scandir(inner)
        for entry in entries:
            if _TEMPORARY.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                _delete_unless_held(entry.path)


def _delete_unless_held(path: str) -> None:
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        with os.fdopen(handle, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)


def cannot_write(path: Path, error: OSError) -> ArtifactError:
    """Turn an operating system's refusal to write into a line with a remedy."""
    reason = error.strerror or str(error)
    return ArtifactError(
        f"cannot write {path}: {reason}; free some space or choose another folder (--out)"
    )


def ensure_folder(path: Path) -> None:
    """Create a folder and its parents.

    Raises:
        ArtifactError: it cannot be created, or a file is in the way.
    """
    if path.is_file():
        raise ArtifactError(f"cannot write {path}: it is a file, not a folder; choose another")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically: indented, keys in the order given, no NaN."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(path, (text + "\n").encode())


def check_file(path: Path, limit: int) -> None:
    """Refuse to read what is larger than `limit` bytes, or a pipe or device, which may never end.

    Raises:
        ArtifactError: naming the file.
        OSError: it is not there.
    """
    facts = path.stat()
    if not (stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode)):
        raise ArtifactError(f"{path} is a pipe or a device, no plain file: not read")
    if facts.st_size > limit:
        power, unit = next((p, u) for p, u in _UNITS if limit >= 2**p or not p)
        raise ArtifactError(f"{path} is larger than {limit >> power} {unit}: not read")


def read_json(path: Path) -> Any:
    """Read a JSON file of at most 256 MiB and 20 million values.

    NaN, Infinity and half characters, which Python's reader takes and no other does, are refused:
    they could not be written again.

    Raises:
        ArtifactError: the file is missing, too large, or not JSON.
    """
    try:
        check_file(path, MAX_JSON_BYTES)
        text = path.read_text(encoding="utf-8")
        if sum(map(text.count, ",[{")) > MAX_JSON_VALUES:  # two bytes of it take 64 of memory
            raise ArtifactError(f"{path} holds more than {MAX_JSON_VALUES:,} values: not read")
        content = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
        if _HALF_CHARACTER.search(text):
            json.dumps(content, ensure_ascii=False).encode()
        return content
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} is not valid JSON ({error}); restore or delete it") from error


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON value")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is too large a number")
    return value
