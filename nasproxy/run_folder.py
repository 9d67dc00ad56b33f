"""The folder of a run: the records that stages hand to each other."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nasproxy._files import cannot_write, clear_leftovers, ensure_folder, read_json, write_json
from nasproxy.errors import ArtifactError, shown

SCHEMA_VERSION = 1
RUN_FILE = "run.json"
CANDIDATES_FILE = "candidates.json"
VERIFICATION_FILE = "verification.json"
REPORT_FILE = "report.json"
TIMINGS_FILE = "timings.json"
STUDY_FILE = "study.db"
TRUST_FILE = "trust.json"
CALIBRATION_FILE = "calibration.json"
PROXY_FOLDER = "proxy"


def check_run(folder: Path, record: dict[str, Any], may_differ: tuple[str, ...] = ()) -> None:
    """Check that a folder is new, or belongs to this very run.

    Args:
        folder: of the run.
        record: what `begin_run` will write.
        may_differ: settings of the search that may change when a run goes on.

    Raises:
        ArtifactError: the folder holds another run; the message says what differs.
    """
    if not (folder / RUN_FILE).exists():
        if (folder / CANDIDATES_FILE).exists():
            raise ArtifactError(f"{folder} holds a run without {RUN_FILE}: choose another --out")
        return
    before = read_run(folder)["config"]
    wanted = flat(record["config"])
    found = flat({name: before.get(name) for name in record["config"]})
    different = [
        f"{name} {found.get(name)!r} instead of {wanted.get(name)!r}"
        for name in {**wanted, **found}
        if found.get(name) != wanted.get(name) and name.removeprefix("search.") not in may_differ
    ]
    if different:
        raise ArtifactError(
            f"{folder} holds another run ({'; '.join(different)[:300]}): choose another --out"
        )


def begin_run(folder: Path, record: dict[str, Any]) -> None:
    """Write `run.json`; what later stages have added to it stays."""
    before = read_run(folder) if (folder / RUN_FILE).exists() else {"config": {}}
    config = {**before["config"], **record["config"]}
    run = {"schema_version": SCHEMA_VERSION, **before, **record, "config": config}
    write_json(folder / RUN_FILE, run)


def amend_run(folder: Path, *, config: dict[str, Any] | None = None, **changes: Any) -> None:
    """Add facts to `run.json`, and settings to its `config`."""
    run = read_run(folder)
    settings = {**run["config"], **(config or {})}
    write_json(folder / RUN_FILE, {**run, **changes, "config": settings})


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by dotted path, as they read back from JSON."""
    values_by_path: dict[str, Any] = {}
    for name, value in json.loads(json.dumps(values)).items():
        if isinstance(value, dict) and value:
            values_by_path.update(flat(value, f"{prefix}{name}."))
        else:
            values_by_path[prefix + name] = value
    return values_by_path


def refuse_existing(path: Path) -> None:
    """Refuse to write over a file.

    Raises:
        ArtifactError: it exists.
    """
    if path.exists():
        raise ArtifactError(f"{path} exists already: choose another --out")


def read_run(folder: Path) -> dict[str, Any]:
    """Read `run.json`.

    Raises:
        ArtifactError: the folder is no run, or its record is damaged or of another version.
    """
    path = folder / RUN_FILE
    if not path.is_file():
        raise ArtifactError(f"{folder} is not a run: it has no {RUN_FILE}; begin with `search`")
    record = read_json(path)
    if not isinstance(record, dict) or not isinstance(record.get("config"), dict):
        raise ArtifactError(f"{path} does not describe a run; restore or delete it")
    if record.get("schema_version") != SCHEMA_VERSION:
        raise ArtifactError(
            f"{path} has schema version {shown(record.get('schema_version'))}, this nasproxy reads "
            f"{SCHEMA_VERSION}"
        )
    return record


def read_records(folder: Path, name: str, needed: tuple[str, ...]) -> list[dict[str, Any]]:
    """Read a list of records that all have the needed keys.

    Raises:
        ArtifactError: the file is missing or malformed.
    """
    path = folder / name
    if not path.is_file():
        stage = "verify" if name == VERIFICATION_FILE else "search"
        raise ArtifactError(f"{folder} has no {name}: run `nasproxy {stage}` first")
    records = read_json(path)
    if not isinstance(records, list):
        raise ArtifactError(f"{path} must hold a list, got {type(records).__name__}")
    for index, record in enumerate(records):
        missing = set(needed) - set(record) if isinstance(record, dict) else set(needed)
        if missing:
            raise ArtifactError(f"{path}: entry {index} lacks {', '.join(sorted(missing))}")
    return records


def read_timings(folder: Path) -> dict[str, float]:
    """Read the wall seconds of the stages so far, empty at the start.

    Raises:
        ArtifactError: the file is malformed.
    """
    path = folder / TIMINGS_FILE
    timings = read_json(path) if path.exists() else {}
    if not isinstance(timings, dict):
        raise ArtifactError(f"{path} must hold seconds by stage, got {type(timings).__name__}")
    for stage, seconds in timings.items():
        if not isinstance(seconds, int | float):
            raise ArtifactError(
                f"{path}: {stage[:100]} must be a number of seconds, got {shown(seconds)}"
            )
    return timings


def write_timing(folder: Path, stage: str, seconds: float) -> None:
    """Record the wall seconds of a stage, interruptions left out."""
    write_json(folder / TIMINGS_FILE, {**read_timings(folder), stage: round(seconds, 3)})


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder, so that a second process on it is refused; freed when the process ends.

    Files that a killed process had begun to write are deleted.

    Raises:
        ArtifactError: another process holds it.
    """
    ensure_folder(folder)
    path = folder / ".lock"
    try:
        # a link here could name any file of the user's, which must not be emptied
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644), "r+b")
    except OSError as error:
        raise cannot_write(path, error) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ArtifactError(
                f"another process works on {folder}: wait for it, or choose another --out"
            ) from error
        clear_leftovers(folder)
        yield


def command_line() -> str:
    """Return the command that was given, without the path of the program."""
    return " ".join(["nasproxy", *sys.argv[1:]])
