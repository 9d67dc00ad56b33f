"""Decoded images on disk: plain bytes, mapped into memory instead of read.

An entry is a pair of files: `STEM.bin`, uint8 (N, C, H, W) in C order, and `STEM.json`, its shape
and what else is known of it. The second is written last, so that an entry is whole or absent.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nasproxy._files import sha256_of, write_json
from nasproxy.errors import ArtifactError, DataError

VERSION = 1
"""To be raised when decoding changes."""
Pixels = npt.NDArray[np.uint8]


def cache_dir() -> Path:
    """Return the folder of decoded images: `NASPROXY_CACHE`, or one in the user's cache."""
    if chosen := os.environ.get("NASPROXY_CACHE"):
        return Path(chosen).absolute()  # workers elsewhere have other working folders
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "nasproxy" / "decoded"


def key_of(*facts: Any) -> str:
    """Return a short name for JSON values that decide what an entry holds."""
    return sha256_of([json.dumps([VERSION, *facts]).encode()])[:40]


def recall(
    key: str,
    make: Callable[[], dict[str, Any]],
    keep: Callable[[dict[str, Any]], bool] = lambda found: True,
) -> dict[str, Any]:
    """Return a small record by its key, made the first time; `keep` says whether to write it.

    Raises:
        DataError: the folder of decoded images cannot be written.
    """
    path = cache_dir() / f"{key}.json"
    found = _read(path)
    if found is None:
        found = make()
        if keep(found):
            _ensure_cache()
            _write_json(path, found)
    return found


def map_images(
    stem: str, shape: tuple[int, int, int], make: Callable[[dict[str, Any]], Iterator[Pixels]]
) -> tuple[Pixels, dict[str, Any]]:
    """Map an entry into memory, decoding it the first time.

    Args:
        stem: name of the entry.
        shape: (C, H, W).
        make: yields images (C, H, W) or batches (B, C, H, W), and may put facts into the
            dictionary that it is given.

    Returns:
        Read-only images (N, C, H, W), and the facts.

    Raises:
        DataError: the folder of decoded images cannot be written.
    """
    folder = cache_dir()
    if (found := _map(folder / stem, shape)) is not None:
        return found
    _ensure_cache()
    try:
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # whoever comes second finds the work done
            if (found := _map(folder / stem, shape)) is None:
                _write(folder / stem, shape, make)
    except OSError as error:
        raise _cannot_write(error) from error
    found = _map(folder / stem, shape)
    assert found is not None
    return found


def _write(
    stem: Path,
    shape: tuple[int, int, int],
    make: Callable[[dict[str, Any]], Iterator[Pixels]],
) -> None:
    facts: dict[str, Any] = {}
    count = 0
    part = stem.with_name(f".{stem.name}.part")
    try:
        with part.open("wb") as file:
            for images in make(facts):
                count += 1 if images.ndim == 3 else len(images)
                file.write(np.ascontiguousarray(images).data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, stem.with_suffix(".bin"))
    finally:
        part.unlink(missing_ok=True)
    _write_json(stem.with_suffix(".json"), {"shape": [count, *shape], "facts": facts})


def _map(stem: Path, shape: tuple[int, int, int]) -> tuple[Pixels, dict[str, Any]] | None:
    found = _read(stem.with_suffix(".json"))
    path = stem.with_suffix(".bin")
    if found is None or not path.is_file():
        return None
    whole, facts = found.get("shape"), found.get("facts")
    if not isinstance(whole, list) or whole[1:] != [*shape] or not isinstance(facts, dict):
        return None
    if path.stat().st_size != math.prod(whole):
        return None
    if whole[0] == 0:
        return np.zeros(whole, np.uint8), facts
    return np.memmap(path, np.uint8, "r", shape=tuple(whole)), facts


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _ensure_cache() -> None:
    try:
        cache_dir().mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(error) from error


def _write_json(path: Path, content: dict[str, Any]) -> None:
    try:
        write_json(path, content)
    except ArtifactError as error:
        raise _cannot_write(error.__cause__ or error) from error


def _cannot_write(error: BaseException) -> DataError:
    reason = getattr(error, "strerror", None) or error
    return DataError(
        f"cannot write decoded images to {cache_dir()}: {reason}; free some space, or name "
        "another folder in NASPROXY_CACHE"
    )
