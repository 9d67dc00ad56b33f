"""A MariaDB server of one's own, on a free port and in a temporary folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from postgres_server import free_port

PATIENCE = 60.0


class NoMariadbError(Exception):
    """What is missing, and how to get it."""


class Server:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"mysql+pymysql://root@127.0.0.1:{self.port}/nas"
        self._process: subprocess.Popen | None = None

    def create(self) -> None:
        """Make the data folder, whose root needs no password."""
        words = ["--auth-root-authentication-method=normal", "--skip-test-db", "--force"]
        with (self.folder / "install.log").open("w") as out:
            subprocess.run(
                [_program("mariadb-install-db"), *self._options(), *words],
                check=True, stdout=out, stderr=out, timeout=300,
            )  # fmt: skip

    def start(self) -> None:
        more = [f"--port={self.port}", "--bind-address=127.0.0.1", "--skip-name-resolve",
                f"--socket={self.folder}/socket", f"--pid-file={self.folder}/pid"]  # fmt: skip
        with (self.folder / "server.log").open("a") as out:
            self._process = subprocess.Popen(
                [_program("mariadbd"), *self._options(), *more], stdout=out, stderr=out
            )
        self._wait()

    def stop(self) -> None:
        """Kill it: nothing is flushed, no connection is closed in an orderly way."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _options(self) -> list[str]:
        user = ["--user=root"] if os.geteuid() == 0 else []
        return ["--no-defaults", f"--datadir={self.folder}/data", *user]

    def _wait(self) -> None:
        import pymysql

        until = time.monotonic() + PATIENCE
        while True:
            try:
                with (
                    contextlib.closing(
                        pymysql.connect(host="127.0.0.1", port=self.port, user="root")
                    ) as connection,
                    connection.cursor() as cursor,
                ):
                    cursor.execute("create database if not exists nas")
                return
            except pymysql.err.OperationalError:
                assert self._process is not None
                if self._process.poll() is not None or time.monotonic() > until:
                    raise
            time.sleep(0.2)


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        raise NoMariadbError(f"{name} is not installed: apt-get install mariadb-server")
    return found


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """Run a server for the time of the block.

    Raises:
        NoMariadbError: it is not installed.
    """
    with tempfile.TemporaryDirectory(prefix="nasproxy-mariadb-") as name:
        server = Server(Path(name))
        server.create()
        try:
            server.start()
            yield server
        finally:
            server.stop()
