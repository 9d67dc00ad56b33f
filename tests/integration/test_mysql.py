"""Drivers on a real MariaDB, which is killed in the middle."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from mariadb_server import NoMariadbError, Server, serving
from test_drivers import TRIALS, alone, begun, check, ended, finish, start
from two_searches import check_candidates, search_twice

pytestmark = pytest.mark.slow


@pytest.fixture
def server() -> Iterator[Server]:
    pytest.importorskip("pymysql", reason="pip install 'nasproxy[mysql]'")
    try:
        with serving() as server:
            yield server
    except NoMariadbError as error:
        pytest.skip(str(error))


def test_two_searches(server, tmp_path):
    check_candidates(*search_twice(server.url, tmp_path))


def test_eight_drivers_and_the_database_gone_and_back(server, tmp_path):
    logs = [tmp_path / f"driver{index}.txt" for index in range(8)]
    drivers = [start(server.url, log, seconds=0.5, lease=60) for log in logs]
    with ended(drivers):
        while len(begun(logs)) < TRIALS // 2:
            assert all(driver.poll() is None for driver in drivers)
            time.sleep(0.05)
        server.stop()
        time.sleep(2)
        server.start()
        finish(drivers)
    check(server.url, logs, alone(tmp_path))
