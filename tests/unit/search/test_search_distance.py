from __future__ import annotations

import pytest
from test_search_study import SMALL, open_study, tell

from nasproxy.search.distance import PointDistances
from nasproxy.search.space import load_space, point_key


def test_distances_by_hand(tmp_path):
    (tmp_path / "s.toml").write_text(
        'family = "convnet"\n[parameters]\n'
        'depth = [1, 2, 3]\nwidth = [8, 16, 64]\nnorm = ["none", "batch", "instance"]\n'
    )
    points = [
        {"depth": 1, "width": 8, "norm": "none"},
        {"depth": 1, "width": 16, "norm": "none"},
        {"depth": 3, "width": 8, "norm": "instance"},
        {"depth": 2, "width": 64, "norm": "batch"},
    ]
    distances = PointDistances(load_space(str(tmp_path / "s.toml")), points)
    assert distances.from_point(points[0]).tolist() == [0, 0.5, 2, 2.5]
    unknown = {"depth": 2, "width": 16, "norm": "batch"}
    assert distances.from_point(unknown).tolist() == [2, 1.5, 2, 0.5]


def test_a_parameter_that_one_of_two_has_counts_one():
    space = load_space("mlp20")
    points = list(space.points())
    distances = PointDistances(space, points).from_point(points[0])
    names = set(points[0])
    for point, distance in zip(points, distances, strict=True):
        shared = [name for name in names & set(point) if space.choices[name]]
        apart = sum(
            abs(space.choices[n].index(point[n]) - space.choices[n].index(points[0][n]))
            / max(1, len(space.choices[n]) - 1)
            for n in shared
        )
        assert distance == pytest.approx(apart + len(names ^ set(point)))


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_a_proposal_is_the_samplers_answer_or_the_new_point_nearest_to_it(sampler, monkeypatch):
    study = open_study(space=SMALL, sampler=sampler, trials=12, uniform_trials=4)
    answers = []
    suggest = study.proposer._suggest
    monkeypatch.setattr(
        study.proposer, "_suggest", lambda trial: answers.append(suggest(trial)) or answers[-1]
    )
    seen: set[str] = set()
    while study.may_propose():
        number = study.propose()
        if number >= 4:
            new = [p for p in SMALL.points() if point_key(p) not in seen]
            least = PointDistances(SMALL, new).from_point(answers[-1]).min()
            mine = PointDistances(SMALL, [study.point(number)]).from_point(answers[-1])[0]
            assert mine == least
        seen.add(point_key(study.point(number)))
        tell(study, number)
    assert len(answers) == 8
