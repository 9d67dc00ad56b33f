from __future__ import annotations

from types import SimpleNamespace

import pytest
from test_search_study import open_study, scored

from nasproxy._files import read_json
from nasproxy.search import candidates
from nasproxy.search.candidates import CandidateList


@pytest.fixture
def opened(digits, tmp_path):
    study = open_study(sampler="grid")
    return study, CandidateList(study, digits, tmp_path), tmp_path / "candidates.json"


def finish(study, number, accuracy):
    if accuracy is None:
        study.fail(number, "because")
    else:
        study.complete(number, scored(accuracy))


def test_trials_are_listed_by_number_in_whatever_order_they_end(opened):
    study, found, path = opened
    for _ in range(4):
        study.propose()
    for number, accuracy in [(2, 0.5), (0, 0.5), (3, None), (1, 0.25)]:
        finish(study, number, accuracy)
        found.update()
        found.update()  # once more changes nothing
    assert [entry["trial"] for entry in found.entries] == list(range(4)) == [*range(len(found))]
    assert [entry["proxy_score"] for entry in found.entries] == [0.5, 0.25, 0.5, None]
    assert found.message(("accuracy",)) == "best 50.0% (trial 0), 1 failed"
    assert not path.exists()
    found.write()
    assert read_json(path) == found.entries


def test_a_list_of_a_study_that_goes_on(opened, digits, tmp_path):
    study, found, _ = opened
    for number in range(3):
        study.propose()
        finish(study, number, 0.5)
    found.update()
    assert CandidateList(study, digits, tmp_path).entries == found.entries
    assert len(found) == 3


def test_the_file_is_not_written_for_each_of_many(opened, monkeypatch):
    """A clock by hand: a write that took 2 s is followed by 40 s without."""
    study, found, _ = opened
    now = [100.0]
    monkeypatch.setattr(candidates, "time", SimpleNamespace(monotonic=lambda: now[0]))
    assert not found.is_due()  # nothing is new
    finish(study, study.propose(), 0.5)
    found.update()
    assert found.is_due()
    writing = candidates.write_json

    def slowly(path, content):
        now[0] += 2
        writing(path, content)

    monkeypatch.setattr(candidates, "write_json", slowly)
    found.write()
    finish(study, study.propose(), 0.5)
    found.update()
    now[0] += 39
    assert not found.is_due()
    assert found.is_due(at_the_end=True)
    now[0] += 1
    assert found.is_due()
