"""A PostgreSQL server of one's own, on a free port and in a temporary folder."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

USER = "postgres"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


class NoPostgresError(Exception):
    """What is missing, and how to get it."""


class Server:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/postgres"

    def run(self, *words: str) -> None:
        """Run one of its programs, as an unprivileged user where we are root."""
        newest = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]
        program = shutil.which(words[0]) or ""
        if newest and (newest[0] / words[0]).exists():
            program = str(newest[0] / words[0])
        if not program:
            raise NoPostgresError(f"{words[0]} is not installed: apt-get install postgresql")
        prefix = []
        if os.geteuid() == 0:
            if not shutil.which("runuser") or not _is_user(USER):
                raise NoPostgresError("PostgreSQL refuses root, and there is no user postgres")
            prefix = ["runuser", "-u", USER, "--"]
        log = self.folder / "programs.log"
        with log.open("a") as out:  # a pipe would be held open by the server
            subprocess.run(
                [*prefix, program, *words[1:]],
                check=True, stdout=out, stderr=out, cwd="/", timeout=120,
            )  # fmt: skip

    def control(self, action: str) -> None:
        data = str(self.folder / "data")
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1"
        more = ["-o", options, "-l", str(self.folder / "log")] if action == "start" else []
        mode = ["-m", "immediate"] if action == "stop" else []
        self.run("pg_ctl", "-D", data, "-w", *more, *mode, action)


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """Run a server for the time of the block.

    Raises:
        NoPostgresError: it is not installed.
    """
    folder = Path(tempfile.mkdtemp(prefix="nasproxy-pg-"))
    folder.chmod(0o777)  # the server's user is another
    server = Server(folder)
    try:
        server.run("initdb", "-D", str(folder / "data"), "-U", USER, "-A", "trust", "--no-sync")
        server.control("start")
        try:
            yield server
        finally:
            server.control("stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
