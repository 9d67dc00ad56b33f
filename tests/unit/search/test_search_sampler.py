from __future__ import annotations

import pytest
from test_search_study import SMALL, SPACE, drive, open_study, scored, tell

from nasproxy.search.space import load_space, point_key

LEARNING = ["nsga2", pytest.param("gp", marks=pytest.mark.slow)]


@pytest.mark.parametrize("sampler", LEARNING)
def test_no_architecture_twice_and_an_end_when_all_are_tried(sampler):
    points = drive(open_study(space=SMALL, sampler=sampler, trials=99, uniform_trials=4))
    assert {point_key(p) for p in points} == {point_key(p) for p in SMALL.points()}
    assert len(points) == 12


@pytest.mark.parametrize("sampler", LEARNING)
def test_proposals_do_not_depend_on_timing_workers_or_interruptions(sampler, tmp_path):
    alone = drive(open_study(sampler=sampler))
    assert drive(open_study(sampler=sampler), workers=3, seed=1) == alone
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    drive(open_study(storage, sampler=sampler), workers=4, until=12)
    assert drive(open_study(storage, sampler=sampler), workers=2, seed=3) == alone


@pytest.mark.parametrize("sampler", LEARNING)
def test_it_learns(sampler):
    study = open_study(sampler=sampler, trials=24)
    drive(study)
    trials = list(study.finished())
    learnt = [t.value for t in trials if t.user_attrs["origin"] == sampler]
    uniform = [t.value for t in trials[:9]]
    rest = sorted((t.value for t in trials[9:]), reverse=True)
    assert len(learnt) == 15
    assert sum(rest[:5]) / 5 > sum(uniform) / 9


def test_nsga2_goes_on_to_later_generations():
    study = open_study(sampler="nsga2", trials=30, uniform_trials=6)
    drive(study)
    attributes = [
        t.system_attrs for t in study.proposer.memory.trials if t.state.name == "COMPLETE"
    ]
    assert [a["NSGAIISampler:generation"] for a in attributes] == [
        index // 6 for index in range(len(attributes))
    ]
    memory = study.proposer.memory
    kept = memory._storage.get_study_system_attrs(memory._study_id)
    assert kept.keys() >= {"NSGAIISampler:parent:1", "NSGAIISampler:parent:2"}


@pytest.mark.parametrize("sampler", LEARNING)
def test_conditional_spaces(sampler):
    study = open_study(space=load_space("mlp20"), trials=14, uniform_trials=4, sampler=sampler)
    while study.may_propose():
        number = study.propose()
        study.complete(number, scored(sum(study.point(number).values()) / 300))
    assert len({point_key(t.params) for t in study.finished()}) == 14


def test_failed_trials_are_not_learnt_from():
    study = open_study(sampler="nsga2", trials=12, uniform_trials=4)
    while study.may_propose():
        tell(study, study.propose(), failing=(0, 5))
    assert len(list(study.finished())) == 12
    assert set(SPACE.choices) == {"depth", "width", "norm"}


@pytest.mark.parametrize("sampler", LEARNING)
def test_every_trial_may_have_failed(sampler):
    study = open_study(sampler=sampler, trials=11, uniform_trials=2)
    assert len(drive(study, failing=range(11))) == 11
