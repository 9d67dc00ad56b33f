"""Several drivers on one study, whose lives, databases and clocks are not to be relied on."""

from __future__ import annotations

import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from strikes import Ground
from tally import Tally

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))
from postgres_server import NoPostgresError, serving
from test_drivers import TRIALS, alone, begun, found, start

LEASE_SECONDS = 20.0
"""Longer than a busy machine keeps a driver waiting."""
DAY = 86_400.0


def _end(processes: list[subprocess.Popen], tally: Tally) -> None:
    for process in processes:
        try:
            _, said = process.communicate(timeout=600)
        except subprocess.TimeoutExpired:
            process.kill()
            said = "it did not end"
        if process.returncode != 0:
            tally.problems.append(f"a driver ended with {process.returncode}: {said[-300:]}")


def _judge(
    tally: Tally, faults: int, storage: str, logs: list[Path], expected: list[tuple]
) -> None:
    """Compare the study with an undisturbed one; what was begun twice may be what was struck."""
    counts = Counter(begun(logs))
    again = sum(counts.values()) - len(counts)
    tally.repeated += max(0, again - faults)
    trials = found(storage)
    tally.lost += sum(state != "COMPLETE" for _, state, _, _ in trials[:TRIALS])
    tally.judge(faults, trials[:TRIALS], expected)


def _wait_for(logs: list[Path], number: int) -> None:
    while len(begun(logs)) < number:
        time.sleep(0.05)


def kill_shared_drivers(ground: Ground, tally: Tally, count: int) -> None:
    """Kill one of two drivers at a random moment; the other takes its trial over."""
    chance = random.Random(7)
    expected = alone(Path(tempfile.mkdtemp(dir=ground.folder)))
    for index in range(count):
        place = Path(tempfile.mkdtemp(dir=ground.folder))
        kind = ("sqlite:///{}/s.db", "journal://{}/s.log")[index % 2]
        storage, logs = kind.format(place), [place / "one.txt", place / "two.txt"]
        processes = [start(storage, log, seconds=0.3, lease=LEASE_SECONDS) for log in logs]
        _wait_for(logs[:1], chance.randint(1, 3))
        time.sleep(chance.uniform(0, 0.6))
        os.kill(processes[0].pid, signal.SIGKILL)
        processes[0].wait()
        _end(processes[1:], tally)
        _judge(tally, 1, storage, logs, expected)


def take_database_away(ground: Ground, tally: Tally, count: int) -> None:
    """Stop PostgreSQL under four drivers, for seconds, and start it again, several times."""
    chance = random.Random(8)
    place = Path(tempfile.mkdtemp(dir=ground.folder))
    expected = alone(place)
    try:
        with serving() as server:
            logs = [place / f"driver{index}.txt" for index in range(4)]
            drivers = [start(server.url, log, seconds=1.0, lease=60) for log in logs]
            faults = 0
            while faults < count and len(begun(logs)) < TRIALS - 2:
                _wait_for(logs, 1 + faults * (TRIALS - 4) // count)
                server.control("stop")
                time.sleep(chance.uniform(0.5, 5))
                server.control("start")
                faults += 1
            _end(drivers, tally)
            _judge(tally, faults, server.url, logs, expected)
    except NoPostgresError as error:
        tally.skipped = str(error)


def move_clocks(ground: Ground, tally: Tally, count: int) -> None:
    """Move the wall clocks of two drivers, each its own, by up to a day, back and forth."""
    chance = random.Random(9)
    place = Path(tempfile.mkdtemp(dir=ground.folder))
    library = place / "clock.so"
    source = Path(__file__).with_name("clock.c")
    compiler = shutil.which("cc")
    if compiler is None:
        tally.skipped = "no C compiler"
        return
    command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)
    expected = alone(place)
    storage, logs = f"journal://{place}/s.log", [place / "one.txt", place / "two.txt"]
    offsets, drivers = [], []
    for log in logs:
        offsets.append(log.with_suffix(".offset"))
        offsets[-1].write_bytes(struct.pack("d", 0.0))
        changes = {"LD_PRELOAD": str(library), "CLOCK_OFFSET": str(offsets[-1])}
        drivers.append(start(storage, log, seconds=2.0, lease=LEASE_SECONDS, environment=changes))
    _wait_for(logs, 1)
    faults = 0
    while faults < count and any(driver.poll() is None for driver in drivers):
        with chance.choice(offsets).open("r+b") as file:
            file.write(struct.pack("d", chance.uniform(-DAY, DAY)))
        faults += 1
        time.sleep(1.0)
    _end(drivers, tally)
    _judge(tally, faults, storage, logs, expected)
    if any(count > 1 for count in Counter(begun(logs)).values()):
        tally.problems.append("a moved clock made a driver take what was another's")
