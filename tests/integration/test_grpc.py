"""Drivers that reach an SQLite file through Optuna's storage proxy."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_server import free_port
from test_drivers import alone, begun, check, ended, finish, start
from two_searches import check_candidates, search_twice

pytestmark = pytest.mark.slow

SERVER = """
import sys, optuna
storage = optuna.storages.get_storage(sys.argv[1])
optuna.storages.run_grpc_proxy_server(storage, host="localhost", port=int(sys.argv[2]))
"""


class Proxy:
    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"grpc://localhost:{self.port}"
        self._words = [sys.executable, "-W", "ignore", "-c", SERVER,
                       f"sqlite:///{folder}/behind.db", str(self.port)]  # fmt: skip
        self._log = folder / "server.log"
        self.start()

    def start(self) -> None:
        with self._log.open("a") as out:
            self._process = subprocess.Popen(self._words, stdout=out, stderr=out)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def proxy(tmp_path) -> Iterator[Proxy]:
    pytest.importorskip("grpc", reason="pip install 'nasproxy[grpc]'")
    proxy = Proxy(tmp_path)
    yield proxy
    proxy.stop()


def test_two_searches(proxy, tmp_path):
    check_candidates(*search_twice(proxy.url, tmp_path))


def test_four_drivers_and_the_proxy_gone_and_back(proxy, tmp_path):
    logs = [tmp_path / f"driver{index}.txt" for index in range(4)]
    drivers = [start(proxy.url, log, seconds=0.5, lease=60) for log in logs]
    with ended(drivers):
        for number in (4, 8):
            while len(begun(logs)) < number:
                assert all(driver.poll() is None for driver in drivers)
                time.sleep(0.05)
            proxy.stop()
            time.sleep(2)
            proxy.start()
        finish(drivers)
    check(proxy.url, logs, alone(tmp_path))
    assert all(map(Path.exists, logs)), "a driver had nothing to do"
