from __future__ import annotations

import time

import optuna
import pytest

from nasproxy.search.lease import Drivers, Owner, Watch
from nasproxy.search.storage import patiently


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def beat(count, *, life="one", lease=60, **more):
    return {"life": life, "beat": count, "lease": lease, **more}


@pytest.fixture
def clock():
    return Clock()


def look_every(watch, clock, seconds, *, until, beats):
    while clock.now < until:
        clock.now += seconds
        watch.look({"home": beats(clock.now)})


@pytest.mark.parametrize(
    ("until", "beats", "dead"),
    [
        (1055, lambda now: beat(1), False),
        (1080, lambda now: beat(1), True),
        (2000, beat, False),
        (2000, lambda now: beat(min(now, 1950)), False),
        (2000, lambda now: beat(min(now, 1900)), True),
        (1001, lambda now: beat(1, life="two"), True),
        (1001, lambda now: beat(1, ended=True), True),
    ],
)
def test_a_driver_is_dead_when_its_count_stood_still_for_its_lease(clock, until, beats, dead):
    watch = Watch(clock)
    look_every(watch, clock, 10, until=until, beats=beats)
    assert watch.is_dead(Owner("home", "one")) is dead


def test_time_in_which_nobody_could_look_does_not_count(clock):
    watch = Watch(clock)
    watch.look({"home": beat(1)})
    clock.now += 500  # the database was away
    watch.look({"home": beat(1)})
    assert not watch.is_dead(Owner("home", "one"))
    look_every(watch, clock, 10, until=clock.now + 70, beats=lambda now: beat(1))
    assert watch.is_dead(Owner("home", "one"))


def test_who_was_never_seen_is_not_dead(clock):
    assert not Watch(clock).is_dead(Owner("elsewhere", "one"))


class Stumbling(optuna.storages.InMemoryStorage):
    """A storage that answers some beats with errors that are no outages."""

    beats = 0

    def set_study_system_attr(self, study_id, key, value):
        self.beats += 1
        if self.beats in (2, 3):
            raise RuntimeError("who would have thought")
        super().set_study_system_attr(study_id, key, value)


def test_an_unforeseen_error_does_not_stop_the_heart():
    storage = Stumbling()
    study = optuna.create_study(storage=storage)
    drivers = Drivers(study, storage, "url", "home", lease_seconds=0.1)
    with drivers.beating():
        deadline = time.monotonic() + 20
        while storage.beats < 6 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert storage.beats >= 6


class Away(optuna.storages.InMemoryStorage):
    """A storage that is away when the log of what was taken over is to be begun."""

    calls = 0

    def create_new_study(self, *args, **more):
        self.calls += 1
        if self.calls in (2, 3):
            raise optuna.exceptions.StorageInternalError("away")
        return super().create_new_study(*args, **more)


def test_taking_over_waits_for_the_storage():
    storage = Away()
    study = optuna.create_study(storage=storage, study_name="s")
    study.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.WAITING))
    drivers = Drivers(study, storage, "url", "home", lease_seconds=60)
    [trial] = study.trials  # whose owner is not known
    assert patiently(lambda: drivers.take_over(trial), 20)
    assert drivers.is_mine(trial)
