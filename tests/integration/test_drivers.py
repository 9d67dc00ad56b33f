"""Several drivers, each a process, on one study."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from drive_study import drive, open_shared
from optuna.storages import RDBStorage

from nasproxy.errors import ArtifactError
from nasproxy.search.space import point_key
from nasproxy.search.storage import open_storage

SCRIPT = Path(__file__).with_name("drive_study.py")
TRIALS = 14


def start(
    storage: str, log: Path, *, trials=TRIALS, seconds=0.1, lease=3.0, environment=None
) -> subprocess.Popen:
    words = [storage, log.stem, trials, seconds, lease, log]
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *map(str, words)],
        stderr=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})},
    )  # fmt: skip


@contextlib.contextmanager
def ended(processes: list[subprocess.Popen]) -> Iterator[None]:
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def finish(processes: list[subprocess.Popen], timeout: float = 240) -> None:
    for process in processes:
        _, said = process.communicate(timeout=timeout)
        assert process.returncode == 0, said


def begun(logs: list[Path]) -> list[str]:
    return [line for log in logs if log.exists() for line in log.read_text().splitlines()]


def found(storage: str) -> list[tuple]:
    opened = open_storage(storage)
    trials = optuna.load_study(study_name="s", storage=opened).trials
    if isinstance(opened, RDBStorage):
        opened.remove_session()
        opened.engine.dispose()
    return [(t.number, t.state.name, point_key(t.params), t.value) for t in trials]


def alone(folder: Path) -> list[tuple]:
    """Return what one driver finds that nothing disturbs."""
    storage = f"journal://{folder}/alone.log"
    study = open_shared(storage, "alone", trials=TRIALS)
    with study.driving():
        drive(study, 0, folder / "alone.txt")
    return found(storage)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> list[tuple]:
    return alone(tmp_path_factory.mktemp("alone"))


def check(storage: str, logs: list[Path], undisturbed: list[tuple], repeated: int = 0) -> None:
    trials = found(storage)
    assert trials[:TRIALS] == undisturbed
    assert {state for _, state, _, _ in trials[TRIALS:]} <= {"WAITING"}  # claimed too much
    counts = Counter(begun(logs))
    assert len(counts) == TRIALS == len({point for _, _, point, _ in trials[:TRIALS]})
    assert sum(counts.values()) - TRIALS <= repeated


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "drivers"), [("sqlite:///{}/s.db", 2), ("journal://{}/s.log", 3)])
def test_each_architecture_once_and_as_one_driver_would(kind, drivers, undisturbed, tmp_path):
    storage = kind.format(tmp_path)
    logs = [tmp_path / f"driver{index}.txt" for index in range(drivers)]
    processes = [start(storage, log, seconds=0.3) for log in logs]
    with ended(processes):
        finish(processes)
    check(storage, logs, undisturbed)


@pytest.mark.slow
def test_a_dead_drivers_trial_is_taken_over_and_a_live_ones_is_not(undisturbed, tmp_path):
    storage = f"journal://{tmp_path}/s.log"
    dead, slow, quick = (tmp_path / f"{name}.txt" for name in ("dead", "slow", "quick"))
    doomed = start(storage, dead, seconds=1000)
    with ended([doomed]):
        while not dead.exists():
            time.sleep(0.05)
        assert doomed.poll() is None
        os.kill(doomed.pid, signal.SIGKILL)
    processes = [start(storage, slow, seconds=5), start(storage, quick, seconds=0.1)]
    with ended(processes):
        finish(processes)
    check(storage, [dead, slow, quick], undisturbed, repeated=1)
    (lost,) = begun([dead])
    assert lost in begun([slow, quick])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_killed_at_any_moment_and_begun_again(seed, undisturbed, tmp_path):
    """The same folder again takes its own trial at once, without waiting for the lease."""
    storage, log = f"sqlite:///{tmp_path}/s.db", tmp_path / "driver.txt"
    chance = random.Random(seed)
    for _ in range(2):
        process = start(storage, log, seconds=0.1, lease=1000)
        with ended([process]):
            while not begun([log]) and process.poll() is None:
                time.sleep(0.02)
            time.sleep(chance.uniform(0, 1.0))
    process = start(storage, log, seconds=0, lease=1000)
    with ended([process]):
        finish([process])
    check(storage, [log], undisturbed, repeated=2)


def test_other_settings_are_refused(tmp_path):
    storage = f"journal://{tmp_path}/s.log"
    open_shared(storage, "a", facts={"data_sha256": "12"})
    with pytest.raises(ArtifactError, match=r"another search \(search.seed 0 instead of 1\)"):
        open_shared(storage, "b", seed=1, facts={"data_sha256": "12"})
    with pytest.raises(ArtifactError, match="data_sha256 '12' instead of '34'") as caught:
        open_shared(storage, "b", facts={"data_sha256": "34"})
    assert "\n" not in str(caught.value)


def test_two_in_one_process_share_the_trials(undisturbed, tmp_path):
    """In turns, so that each sees the other's claims and results at every step."""
    storage = f"journal://{tmp_path}/s.log"
    one, two = (open_shared(storage, home, trials=TRIALS) for home in "ab")
    with one.driving(), two.driving():
        first, second = one.take(), two.take()
        assert (first, second) == (0, 1)
        assert two.take() == 2  # not trial 0, which is a live driver's
        for study, number in ((two, 2), (one, 0), (two, 1)):
            study.fail(number, "because")
        assert two.take() == 3
    three = open_shared(storage, "c", trials=TRIALS)
    with three.driving():
        assert three.take() == 3  # given up at the end of its driver
        assert three.take() == 4
    points = [point_key(three.point(n)) for n in range(5)]
    assert points == [point for _, _, point, _ in undisturbed[:5]]
