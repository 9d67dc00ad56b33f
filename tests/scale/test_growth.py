"""What is made of measurements, by hand-worked cases; and copies of trials are as real ones."""

from __future__ import annotations

from xml.etree import ElementTree

import optuna
import pytest
from growth import bytes_per_trial, groups, picture, table, twice_as_slow, whole_seconds
from simulate import Bench, Meter


def record(trials, milliseconds, *, workers=10):
    return {
        "storage": "own", "sampler": "tpe", "workers": workers, "trials": trials,
        "trial_cpu_seconds": [milliseconds / 1000] * 3, "opening_cpu_seconds": 2.0,
        "resident_bytes": 10**6 + 2048 * trials, "trials_in_study": trials,
    }  # fmt: skip


def by_size(*pairs):
    return {trials: record(trials, milliseconds) for trials, milliseconds in pairs}


def test_when_each_trial_takes_twice_as_long():
    assert twice_as_slow(by_size((100, 10), (1000, 10), (10_000, 1000))) == pytest.approx(
        1000 * 10**0.150515
    )  # a hundredfold over a decade: twice after log10(2) / 2 of it
    assert twice_as_slow(by_size((100, 10), (1000, 19))) is None


@pytest.mark.parametrize(
    ("pairs", "seconds"),
    [
        ([(100, 10), (1000, 10)], 10.0),  # constant: 1,000 trials of 10 ms
        ([(100, 10), (1000, 100)], 1.0 + (1000**2 - 100**2) / 2 * 1e-4),  # proportional to trials
        ([(100, 10)], 1.0),
    ],
)
def test_the_seconds_of_a_whole_search(pairs, seconds):
    assert whole_seconds(by_size(*pairs)) == pytest.approx(seconds, rel=1e-6)


def test_memory_of_a_trial():
    assert bytes_per_trial(by_size((100, 1), (10_000, 1))) == 2048


def test_table_and_picture():
    records = [record(100, 12.34), record(10_000, 250), record(100, 30, workers=1000)]
    assert list(groups(records)) == ["own-tpe-10", "own-tpe-1000"]
    lines = table(records).splitlines()
    assert lines[2].startswith("| own, tpe, 10 | 12.3 |  | 250 |  |")
    assert lines[3].startswith("| own, tpe, 1,000 | 30.0 |")
    assert len({line.count("|") for line in lines}) == 1
    root = ElementTree.fromstring(picture(records))
    texts = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert {"own, tpe, 10", "own, tpe, 1000", "100,000", "trials"} <= set(texts)


@pytest.mark.parametrize("url", ["sqlite:///{}/s.db", "journal://{}/s.log", None])
def test_copies_of_a_trial_are_trials(url, tmp_path, monkeypatch):
    monkeypatch.setattr("simulate.NUM_LAYERS", 2)
    bench = Bench(url and url.format(tmp_path), tmp_path, "random", 3)
    bench.prefill(20)
    study = bench.open("after")
    assert len(study.trials) == 20 == len(list(study.finished()))
    assert [study.point(n) for n in range(20)] == study.proposer._shuffled[:20]
    assert {t.state for t in study.trials.values()} == {optuna.trial.TrialState.COMPLETE}
    meter = Meter(4, 1e9)
    bench.drive(study, 3, meter)
    assert len(meter.trial_seconds) == 4
    assert [study.point(n) for n in range(25)] == study.proposer._shuffled[:25]
