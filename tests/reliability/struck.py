"""Commands as processes of their own: begun, struck by a signal, looked after and compared."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MARK = "NASPROXY_FAULT_RUN"
"""Variable by which processes are found that a run left behind."""
ORPHAN_SECONDS = 20.0
STATES = ("COMPLETE", "PRUNED", "FAIL")


@dataclass
class Command:
    """A nasproxy command in a process of its own: a copy of this one, which has imported all."""

    pid: int
    mark: str
    said: Path
    code: int | None = None

    def wait(self, seconds: float) -> bool:
        """Wait for the end; say whether it came."""
        until = time.monotonic() + seconds
        while self.code is None and time.monotonic() < until:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
            else:
                time.sleep(0.005)
        return self.code is not None

    def strike(self, number: int) -> bool:
        """Send a signal; say whether it met a process that ran."""
        if self.wait(0.001):
            return False
        os.kill(self.pid, number)
        return True


def begin(words: list[str], folder: Path) -> Command:
    """Run `nasproxy` with these words."""
    mark, said = os.urandom(8).hex(), folder / f"said-{time.monotonic_ns()}.txt"
    os.environ[MARK] = mark
    pid = os.fork()
    if pid:
        return Command(pid, mark, said)
    code = 1
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
        target = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(target, 1)
        os.dup2(target, 2)
        sys.argv = ["nasproxy", *words]
        from nasproxy.cli.app import run_app

        run_app()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def finish(words: list[str], folder: Path, seconds: float = 900) -> None:
    """Run a command to its end, which has to be a good one."""
    command = begin(words, folder)
    if not command.wait(seconds):
        os.kill(command.pid, signal.SIGKILL)
        command.wait(10)
    if command.code != 0:
        raise AssertionError(f"{words[:1]} ended with {command.code}: {command.said.read_text()}")


def marked(mark: str) -> list[int]:
    """Return the processes that carry a mark and are alive."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            is_marked = f"{MARK}={mark}".encode() in (entry / "environ").read_bytes()
            is_alive = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
        except OSError:
            continue
        if is_marked and is_alive:
            found.append(int(entry.name))
    return found


def workers_of(command: Command) -> list[int]:
    """Return a driver's worker processes."""
    found = []
    for pid in children(command.pid):
        with contextlib.suppress(OSError):
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def orphans(mark: str) -> int:
    """Count the processes that outlive their driver for long, and end them."""
    until = time.monotonic() + ORPHAN_SECONDS
    while (left := marked(mark)) and time.monotonic() < until:
        time.sleep(0.1)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(left)


# What lies in a folder ----------------------------------------------------------------------------


def half_written(folder: Path) -> list[str]:
    """Return the files that cannot be read under their own names."""
    return [str(path) for path in folder.rglob("*") if path.is_file() and not _is_whole(path)]


def _is_whole(path: Path) -> bool:
    from PIL import Image
    from safetensors import safe_open

    if path.name.startswith(".") or path.name.startswith("said-"):
        return True
    try:
        if path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118
                    file.get_tensor(name)
        elif path.suffix == ".png":
            with Image.open(path) as picture:
                picture.load()
        elif path.suffix == ".db":
            with contextlib.closing(sqlite3.connect(path)) as database:
                return database.execute("pragma integrity_check").fetchone() == ("ok",)
    except Exception:
        return False
    return True


def strays(folder: Path) -> int:
    """Count the temporary files that a process left that was killed while it wrote."""
    return sum(1 for path in folder.rglob(".*.*") if path.is_file() and path.name != ".lock")


def results(folder: Path) -> dict[str, Any]:
    """Return what is finished in a folder, each with what tells whether it is done again."""
    found: dict[str, Any] = {}
    for path in folder.rglob("study.db"):
        query = "select number, state, datetime_complete from trials"
        with (
            contextlib.closing(sqlite3.connect(path)) as database,
            contextlib.suppress(sqlite3.OperationalError),  # it has no tables yet
        ):
            for number, state, ended in database.execute(query):
                if state in STATES:
                    found[f"trial {number}"] = ended
    for path in folder.rglob("trainings/*.json"):
        found[path.name] = path.stat().st_mtime_ns
    return found


def outcome(folder: Path) -> dict[str, Any]:
    """Return what a command found, without seconds and dates."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("proxy.safetensors")):
        found[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    for name in ("candidates.json", "verification.json"):
        for path in folder.rglob(name):
            found[name] = list(_timeless(json.loads(path.read_text())))
    return found


def _timeless(records: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for record in records:
        yield {key: value for key, value in record.items() if "seconds" not in key}
