"""Eight drivers on a real PostgreSQL, which goes away in the middle."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from postgres_server import NoPostgresError, Server, serving
from test_drivers import TRIALS, alone, begun, check, ended, finish, start

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


@pytest.fixture
def server() -> Iterator[Server]:
    pytest.importorskip("psycopg", reason="pip install 'nasproxy[postgres]'")
    try:
        with serving() as server:
            yield server
    except NoPostgresError as error:
        pytest.skip(str(error))


def test_eight_drivers_and_the_database_gone_and_back(server, tmp_path):
    logs = [tmp_path / f"driver{index}.txt" for index in range(8)]
    processes = [start(server.url, log, seconds=0.5, lease=60) for log in logs]
    with ended(processes):
        while len(begun(logs)) < TRIALS // 2:
            assert all(process.poll() is None for process in processes)
            time.sleep(0.05)
        server.control("stop")
        time.sleep(2)
        server.control("start")
        finish(processes)
    check(server.url, logs, alone(tmp_path))
