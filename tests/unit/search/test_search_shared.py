"""Several drivers in one process, in turns. As processes: tests/integration/test_drivers.py."""

from __future__ import annotations

import hashlib
import json
import sys
import threading

import pytest
from test_search_study import SPACE, drive, open_study, scored, worth

from nasproxy.config import SearchConfig
from nasproxy.errors import ArtifactError
from nasproxy.search import session, shared
from nasproxy.search.shared import SETTINGS, SharedStudy
from nasproxy.search.space import point_key


@pytest.fixture(params=["sqlite:///{}/s.db", "journal://{}/s.log"])
def storage(request, tmp_path):
    return request.param.format(tmp_path)


@pytest.fixture(autouse=True)
def _rarely_read(monkeypatch):
    """A driver that looks at the study only when it has to."""
    monkeypatch.setattr(shared, "MIN_PAUSE_SECONDS", 1e9)


def open_shared(storage, home, **config):
    config = SearchConfig(**{"trials": 18, "uniform_trials": 9, **config})
    return SharedStudy(SPACE, list(SPACE.points()), config, storage=storage, name="s", home=home)


def tell(study, number):
    study.complete(number, scored(worth(study.point(number))))


def test_drivers_that_rarely_look_find_what_one_finds(storage):
    alone = [point_key(point) for point in drive(open_study())]
    one, two = open_shared(storage, "one"), open_shared(storage, "two")
    with one.driving(), two.driving():
        running = [(study, study.take()) for study in (one, two, two, two, one)]
        assert [number for _, number in running] == list(range(5))
        while running:
            study, number = running.pop(0)
            tell(study, number)
            for asked in (two, one):
                if len(running) < 5 and (taken := asked.take()) is not None:
                    running.append((asked, taken))
        assert one.is_over()
        assert two.is_over()
    assert [point_key(one.point(number)) for number in range(18)] == alone
    assert {trial.state.name for trial in one.finished()} == {"COMPLETE"}


def test_what_a_driver_ended_last_is_not_taken_over(storage):
    ending, going = open_shared(storage, "ending"), open_shared(storage, "going")
    with going.driving():
        with ending.driving():
            assert ending.take() == 0
            assert going.take() == 1  # and sees trial 0 running
            tell(ending, 0)
        going._drivers.look()
        assert going.trials[0].state.name == "RUNNING"  # by what it read before
        assert going.take() == 2
        assert going.trials[0].state.name == "COMPLETE"


def test_what_a_driver_left_behind_is_taken_over(storage):
    ending, going = open_shared(storage, "ending"), open_shared(storage, "going")
    with going.driving():
        with ending.driving():
            assert [ending.take() for _ in range(3)] == [0, 1, 2]
            assert going.take() == 3
        going._drivers.look()
        assert [going.take() for _ in range(4)] == [0, 1, 2, 4]


def test_a_driver_alone_reads_the_whole_study_once(storage, monkeypatch):
    study = open_shared(storage, "alone")
    reads = []
    reading = study._study.get_trials
    monkeypatch.setattr(
        study._study, "get_trials", lambda **how: reads.append(how) or reading(**how)
    )
    with study.driving():
        while (number := study.take()) is not None:
            tell(study, number)
    assert len(list(study.finished())) == 18
    assert len(reads) <= 2  # at the first trial, and none


class OlderStudy(SharedStudy):
    """Of before there was a lag."""

    def identity(self):
        identity = super().identity()
        identity["search"].pop("lag", None)
        return identity


def test_a_study_of_before_there_was_a_lag_goes_on(storage, monkeypatch):
    """Its drivers made a hash of the settings that they knew."""
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules[__name__], "SharedStudy", OlderStudy)
        study = open_shared(storage, "then")
    with study.driving():
        tell(study, study.take())
    text = json.dumps(study.identity(), sort_keys=True)
    then = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert study.trials[0].system_attrs[SETTINGS] == then
    again = open_shared(storage, "now")
    with again.driving():
        assert again.take() == 1
    with pytest.raises(ArtifactError, match=r"search\.lag 8 instead of 9"):
        open_shared(storage, "other", lag=9)


def test_a_shared_study_is_opened_when_its_storage_is_back(tmp_path):
    (tmp_path / "db").mkdir()
    url = f"sqlite:///{tmp_path}/db/s.db"
    open_shared(url, "first")
    (tmp_path / "db").rename(tmp_path / "away")
    threading.Timer(1, (tmp_path / "away").rename, [tmp_path / "db"]).start()
    config = SearchConfig(trials=18, uniform_trials=9)
    record = {"study": {"name": "t", "driver": "x"}, "config": dict.fromkeys(session.FACTS, "0")}
    study = session._open_study(
        SPACE, list(SPACE.points()), config, tmp_path, record=record, storage=url, lease_seconds=60
    )
    assert study.take() == 0
