"""Files that are either whole or absent, and the hashes that name their content."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nasproxy.errors import ArtifactError

MAX_JSON_BYTES = 256 * 2**20


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
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        raise cannot_write(path, error) from error


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
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically: indented, keys in the order given, no NaN."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(path, (text + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file of at most 256 MiB.

    Raises:
        ArtifactError: the file is missing, too large, or not JSON.
    """
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ArtifactError(f"{path} is larger than {MAX_JSON_BYTES >> 20} MiB: not read")
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} is not valid JSON ({error}); restore or delete it") from error
