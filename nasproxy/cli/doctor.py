"""`nasproxy doctor`."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from nasproxy.cli import options
from nasproxy.cli.terminal import Terminal, guarded, leave

if TYPE_CHECKING:
    from rich.table import Table

GOOD, NOTE, WRONG = "ok", "note", "wrong"
MARKS = {GOOD: "ok", NOTE: "-", WRONG: "!!"}
OLDEST_PYTHON = (3, 11)
SMALL_DISK, FULL_DISK = 2 * 2**30, 100 * 2**20
"""Free bytes below which there is a warning, and below which a run cannot be written."""
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
FOR_WORK = {"dashboard", "export", "ray", "postgres", "mysql", "grpc"}
"""Extras that add commands; those for development are not a user's to miss."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        topic: group it belongs to.
        name: of the thing.
        value: what was found.
        state: `ok`; `note`, something to know; or `wrong`, something needed is broken.
        remedy: what to do, where there is something to do.
    """

    topic: str
    name: str
    value: str
    state: str = GOOD
    remedy: str = ""


@guarded
def doctor_command(
    data_dir: options.DataDir = None,
    seed: options.Seed = None,
    device: options.Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Say what is here, and what is wrong with it."""
    terminal = Terminal(as_json=as_json, quiet=quiet)
    findings = examine(data_dir, device)
    broken = [finding for finding in findings if finding.state == WRONG]
    terminal.say(finding_table(findings))
    for finding in findings:
        if finding.remedy:
            terminal.say(f"{MARKS[finding.state]:<2} {finding.name}: {finding.remedy}")
    terminal.say(f"{len(broken)} wrong" if broken else "nothing needed is broken")
    terminal.finish({"ok": not broken, "findings": [asdict(f) for f in findings]})
    if broken:
        leave("", 1)


def examine(data_dir: str | None = None, device: str = "auto") -> list[Finding]:
    """Look at everything; what cannot be looked at is a finding, too.

    Args:
        data_dir: folder of data sets; None: as for every command.
        device: that is to be used.
    """
    examinations: list[tuple[str, Callable[[], Iterable[Finding]]]] = [
        ("packages", _packages),
        ("extras", _extras),
        ("machine", lambda: _machine(device)),
        ("data", lambda: _data(data_dir)),
        ("search", _search),
        ("disk", _disk),
    ]
    findings: list[Finding] = []
    for topic, look in examinations:
        try:
            findings += look()
        except Exception as error:  # whatever is broken here is what a doctor is to tell
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            remedy = "mend what the message names, or pip install --force-reinstall nasproxy"
            findings.append(Finding(topic, f"{topic} cannot be examined", reason, WRONG, remedy))
    return findings


def finding_table(findings: list[Finding]) -> Table:
    """Lay out the findings in a table that fits 80 columns."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    for column in ("mark", "topic", "name", "value"):
        table.add_column(column, overflow="fold")
    topic = ""
    for finding in findings:
        shown = "" if finding.topic == topic else finding.topic
        topic = finding.topic
        style = "bold red" if finding.state == WRONG else ""
        mark = Text(MARKS[finding.state], style)
        table.add_row(mark, shown, Text(finding.name), Text(finding.value))
    return table


def _packages() -> Iterator[Finding]:
    old = sys.version_info < OLDEST_PYTHON
    remedy = f"use Python {'.'.join(map(str, OLDEST_PYTHON))} or later" if old else ""
    version = platform.python_version()
    yield Finding("packages", "python", version, WRONG if old else GOOD, remedy)
    yield Finding("packages", "nasproxy", metadata.version("nasproxy"))
    for name, wanted, extra in requirements():
        if extra is None:
            found = installed(name)
            if found is None:
                yield Finding("packages", name, "missing", WRONG, f"pip install {name}")
            elif _numbers(found) < _numbers(wanted):
                value = f"{found}, {wanted} or later is needed"
                yield Finding("packages", name, value, WRONG, f"pip install '{name}>={wanted}'")
            else:
                yield Finding("packages", name, found)
    yield Finding("packages", "sqlite", sqlite3.sqlite_version)


def _extras() -> Iterator[Finding]:
    extras: dict[str, list[str]] = {}
    for name, _, extra in requirements():
        if extra in FOR_WORK:
            extras.setdefault(extra, []).append(name)
    for extra, names in extras.items():
        missing = [name for name in names if installed(name) is None]
        if missing:
            remedy = f"pip install 'nasproxy[{extra}]'"
            yield Finding("extras", extra, f"{', '.join(missing)} missing", NOTE, remedy)
        else:
            versions = ", ".join(f"{name} {installed(name)}" for name in names)
            yield Finding("extras", extra, versions)


def _machine(device: str) -> Iterator[Finding]:
    import torch

    from nasproxy._environment import choose_device, hardware
    from nasproxy.errors import ConfigError
    from nasproxy.training.compilation import can_compile

    yield Finding("machine", "hardware", hardware())
    try:
        yield Finding("machine", "device", choose_device(device).type)
    except ConfigError as error:
        yield Finding("machine", "device", str(error), WRONG, "use --device auto")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    yield Finding("machine", "memory", f"{memory / 2**30:.1f} GiB")
    for index in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(index)
        value = f"{about.name}, {about.total_memory / 2**30:.1f} GiB"
        yield Finding("machine", f"cuda:{index}", value)
    chosen = ", ".join(f"{name}={os.environ[name]}" for name in THREADS if name in os.environ)
    value = f"{torch.get_num_threads()} of torch" + (f"; {chosen}" if chosen else "")
    yield Finding("machine", "threads", value)
    if can_compile():
        yield Finding("machine", "C++ compiler", "there: long trainings are compiled")
    else:
        remedy = "install g++ (and leave NASPROXY_COMPILE unset) for faster full trainings"
        yield Finding("machine", "C++ compiler", "none, or turned off", NOTE, remedy)


def _data(data_dir: str | None) -> Iterator[Finding]:
    from nasproxy.cli.data import available
    from nasproxy.data.decoded import cache_dir
    from nasproxy.data.sources import default_data_dir

    folder = Path(data_dir) if data_dir else default_data_dir()
    named = data_dir or os.environ.get("NASPROXY_DATA")
    if named and not folder.is_dir():
        remedy = "make that folder, or point NASPROXY_DATA or --data-dir elsewhere"
        yield Finding("data", "folder", f"{folder} is not there", NOTE, remedy)
    else:
        yield Finding("data", "folder", str(folder))
    for name, here in available(data_dir).items():
        remedy = "" if here else f"nasproxy data fetch {name}"
        yield Finding("data", name, "here" if here else "not here", GOOD if here else NOTE, remedy)
    yield _writable("data", "cache of images", cache_dir(), "point NASPROXY_CACHE elsewhere")


def _search() -> Iterator[Finding]:
    from nasproxy.search.space import shipped_spaces

    names = sorted(shipped_spaces())
    if names:
        yield Finding("search", "spaces", ", ".join(names))
    else:
        remedy = "pip install --force-reinstall nasproxy"
        yield Finding("search", "spaces", "none found", WRONG, remedy)


def _disk() -> Iterator[Finding]:
    here = Path.cwd()
    yield _writable("disk", "this folder", here, "go to a folder of yours, or use --out")
    for name, folder in (("here", here), ("temporary files", Path(tempfile.gettempdir()))):
        free = shutil.disk_usage(folder).free
        state = WRONG if free < FULL_DISK else NOTE if free < SMALL_DISK else GOOD
        remedy = "" if state == GOOD else f"free some space for {folder}"
        yield Finding("disk", name, f"{free / 2**30:.1f} GiB free", state, remedy)


def _writable(topic: str, name: str, folder: Path, remedy: str) -> Finding:
    """Say whether files can be made in a folder, or in the nearest one above that is there."""
    there = next((f for f in (folder, *folder.parents) if f.exists()), folder)
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return Finding(topic, name, f"{folder} is writable")
    return Finding(topic, name, f"{folder} cannot be written", WRONG, remedy)


def requirements() -> list[tuple[str, str, str | None]]:
    """Return name, least version and extra of every package that nasproxy names."""
    found = []
    for line in metadata.requires("nasproxy") or []:
        match = re.match(r"([\w.-]+)[^;]*?(?:>=\s*([\d.]+))?\s*(?:;|$)", line)
        extra = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", line)
        if match is not None:
            found.append((match[1], match[2] or "0", extra[1] if extra else None))
    return found


def installed(name: str) -> str | None:
    """Return a package's version without importing it, None where it is missing."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version; what follows them decides nothing here."""
    leading = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in leading[0].split(".")) if leading else ()
