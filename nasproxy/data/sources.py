"""From the name of a data set to its source: `digits`, `folder:PATH`, `npz:FILE`, `mhist`, ...

A new way of keeping images is one file and one line in `OPENERS`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from nasproxy.config import DataConfig
from nasproxy.data import named
from nasproxy.data.folder import open_folder
from nasproxy.data.mhist import how_to_get, open_mhist
from nasproxy.data.named import NAMED, NamedSource
from nasproxy.data.npz import open_npz
from nasproxy.data.source import Source
from nasproxy.errors import DataError, unknown_name
from nasproxy.progress import Watch, unwatched

OPENERS: dict[str, Callable[[Path, DataConfig, Watch], Source]] = {
    "folder": open_folder,
    "npz": open_npz,
    "mhist": open_mhist,
}
KNOWN = (*NAMED, "mhist", "mhist:PATH", "folder:PATH", "npz:FILE")


def default_data_dir() -> Path:
    """Return `NASPROXY_DATA`, or the user's cache folder."""
    if chosen := os.environ.get("NASPROXY_DATA"):
        return Path(chosen)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "nasproxy"


def data_dir(config: DataConfig) -> Path:
    """Return the folder that this configuration reads data sets from."""
    return Path(config.data_dir) if config.data_dir else default_data_dir()


def open_source(config: DataConfig, watch: Watch = unwatched) -> Source:
    """Find a data set.

    A relative PATH is looked for here, then in the folder of data sets.

    Raises:
        DataError: the name is unknown, or what it names is missing or malformed.
    """
    name, folder = config.dataset, data_dir(config)
    if name in NAMED:
        if config.group_column:
            raise DataError(f"{name} has no groups: leave --group-column out")
        return NamedSource(NAMED[name], folder)
    return OPENERS[_kind_of(name)](_locate(name, folder), config, watch)


def fetch(name: str, folder: Path) -> Path:
    """Make sure that a data set is there, downloading it where that is possible.

    Returns:
        The folder that holds its files; for embedded data, `folder` itself.

    Raises:
        DataError: it is not there and was not downloaded; the message says what to do.
    """
    if name in NAMED:
        return named.fetch(name, folder)
    kind, path = _kind_of(name), _locate(name, folder)
    if path.exists():
        return path
    if kind == "mhist":
        raise DataError(f"{how_to_get(path)}. Nothing was downloaded")
    raise DataError(f"{name} names data of your own and {path} is not there: check the path")


def is_here(name: str, folder: Path) -> bool:
    """Say whether a data set can be read without a download."""
    return named.is_here(name, folder) if name in NAMED else _locate(name, folder).exists()


def _kind_of(name: str) -> str:
    kind, colon, text = name.partition(":")
    if kind not in OPENERS or (not text and (colon or kind != "mhist")):
        raise DataError(unknown_name("data set", name, KNOWN))
    return kind


def _locate(name: str, folder: Path) -> Path:
    _, colon, text = name.partition(":")
    if not colon:
        return folder / name
    try:
        path = Path(text).expanduser()
        return folder / path if not path.exists() and (folder / path).exists() else path
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"cannot look for {text[:100]!r}: {reason}; check the path") from error
