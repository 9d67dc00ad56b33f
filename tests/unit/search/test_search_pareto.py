from __future__ import annotations

import itertools

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasproxy.search.pareto import mark_front, pareto_front


def beats(one, other, maximize) -> bool:
    """Whether one is as good everywhere and better somewhere, said as the definition says it."""
    pairs = [(a, b) if up else (b, a) for a, b, up in zip(one, other, maximize, strict=True)]
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


@pytest.mark.parametrize(
    ("values", "maximize", "front"),
    [
        ([], (True, False), []),
        ([(0.5, 100)], (True, False), [True]),
        ([(0.9, 300), (0.8, 100), (0.8, 200)], (True, False), [True, True, False]),
        ([(0.9, 300), (0.9, 300), (0.7, 300)], (True, False), [True, True, False]),
        ([(0.9, 1, 9), (0.9, 2, 8), (0.9, 2, 9)], (True, False, False), [True, True, False]),
        ([(1.0,), (3.0,), (3.0,)], (True,), [False, True, True]),
    ],
)
def test_by_hand(values, maximize, front):
    assert pareto_front(values, maximize) == front


@given(st.data(), st.integers(1, 4))
def test_against_every_pair(data, num_objectives):
    number = st.integers(-3, 3).map(float) | st.floats(-1e6, 1e6)
    row = st.lists(number, min_size=num_objectives, max_size=num_objectives)
    values = data.draw(st.lists(row, max_size=25))
    booleans = st.lists(st.booleans(), min_size=num_objectives, max_size=num_objectives)
    maximize = data.draw(booleans)
    expected = [not any(beats(other, one, maximize) for other in values) for one in values]
    assert pareto_front(values, maximize) == expected


def test_optuna_finds_the_same_front():
    values = [(a * b % 7, a + b % 5, b * b % 11) for a, b in itertools.product(range(6), range(6))]
    study = optuna.create_study(directions=["maximize", "minimize", "minimize"])
    for row in values:
        study.add_trial(optuna.trial.create_trial(values=row))
    best = {trial.number for trial in study.best_trials}
    assert best == {n for n, on in enumerate(pareto_front(values, (True, False, False))) if on}


def test_only_complete_candidates_are_on_the_front():
    rows = [
        (0.9, 300, "complete"),
        (0.8, 100, "complete"),
        (0.7, 200, "complete"),
        (None, 1, "failed"),
    ]
    candidates = [
        {"trial": number + 5, "proxy_score": score, "num_flops": flops, "status": status}
        for number, (score, flops, status) in enumerate(rows)
    ]
    marked = mark_front(candidates, ["flops"])
    assert [c["pareto"] for c in marked] == [True, True, False, False]
    assert [{k: v for k, v in c.items() if k != "pareto"} for c in marked] == candidates
