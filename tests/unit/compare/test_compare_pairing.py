from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from nasproxy.compare.cost import Cost
from nasproxy.compare.noise import measure_noise
from nasproxy.compare.pairing import Pairs, adjust
from nasproxy.compare.resample import Bootstrap
from nasproxy.compare.role import role_of
from nasproxy.compare.sample import take_sample
from nasproxy.compare.standing import measure_standing

COST = Cost(
    seconds_per_candidate=1.0, setup_seconds=0.0, num_setups=1, total_seconds=40.0,
    total_seconds_without_setup=40.0, space_seconds=140.0, space_seconds_without_setup=140.0,
    speedup=1.0, speedup_without_setup=1.0, space_speedup=1.0,
    speedup_end_to_end=1.0, space_speedup_end_to_end=1.0, break_even_full=0,
)  # fmt: skip


def pairs_of(comparison, num_resamples=300):
    sample = take_sample(comparison)
    bootstrap = Bootstrap(sample, num_resamples)
    noise = measure_noise(bootstrap)
    tables = {c.name: sample.scores_of(c, c.measure) for c in comparison.contestants}
    standings = [
        measure_standing(bootstrap, noise, comparison, c, measure=None, num_candidates=40)
        for c in comparison.contestants
    ]
    return Pairs(bootstrap, tables, standings)


@pytest.fixture(scope="module")
def pairs(field):
    return pairs_of(field)


def test_a_clear_difference_is_found(pairs):
    found = pairs.compare("datadam", "early")
    assert found.difference.value == pytest.approx(found.our_rho - found.their_rho)
    assert found.difference.interval[0] > 0
    assert found.p_value == pytest.approx(2 / 301)
    assert found.outcome == "better"
    assert pairs.compare("early", "datadam").outcome == "worse"


def test_against_oneself_there_is_no_difference(pairs):
    found = pairs.compare("pad", "pad")
    assert found.difference.value == 0
    assert found.difference.interval == (0, 0)
    assert found.p_value == 1
    assert found.outcome == "level"


def test_the_cheaper_is_averaged_until_costs_are_equal(pairs):
    # datadam 200 + 160 s; random 160 s a draw: two draws cost 320, three 480
    found = pairs.compare("datadam", "random")
    assert (found.our_draws, found.their_draws) == (1, 2)
    assert found.cost_ratio == pytest.approx(320 / 360)
    assert found.is_equal_cost
    params = pairs.compare("datadam", "params")
    assert params.is_theirs_affordable
    assert not params.is_equal_cost
    dear = pairs.compare("params", "random")
    assert not dear.is_theirs_affordable


def test_no_difference_is_seldom_called_one(truth, make_comparison, make_contestant, make_noisy):
    """20 pairs of equal quality: about one comes out as different."""
    draws = make_noisy(truth, 0.01, 41, seed=9)
    equals = [make_contestant(str(i), "proxy", [draw]) for i, draw in enumerate(draws)]
    sample = take_sample(make_comparison(truth, equals))
    tables = {one.name: sample.scores_of(one, "accuracy") for one in equals}
    costs = [SimpleNamespace(name=one.name, cost=COST) for one in equals]
    pairs = Pairs(Bootstrap(sample, 300), tables, costs)
    found = [pairs.compare(str(2 * i), str(2 * i + 1)).outcome for i in range(20)]
    assert found.count("level") >= 17


def test_an_undefined_correlation_has_no_pair(field, make_contestant, make_comparison):
    constant = make_contestant("constant", "proxy", [np.full(40, 0.5)])
    pairs = pairs_of(make_comparison(field.truth, [field.contestants[1], constant]), 20)
    assert pairs.compare("datadam", "constant") is None


def test_holm_is_applied_to_the_verdicts_pairs(pairs):
    found = adjust([pairs.compare("datadam", "early"), pairs.compare("pad", "params")])
    assert found[0].holm_p == pytest.approx(2 * 2 / 301)
    assert found[1].holm_p == pytest.approx(found[1].p_value)
    assert adjust([]) == []


@pytest.mark.parametrize(
    ("name", "kind", "settings", "role"),
    [
        ("random", "proxy", {}, "random"),
        ("random-soft", "proxy", {"proxy": "random", "labels": "soft"}, "random"),
        ("mine", "proxy", {"proxy": "synthetic", "method": "pad"}, "synthetic"),
        ("pad, seed 3", "proxy", {}, "synthetic"),
        ("paddle", "proxy", {}, "other"),
        ("herding", "proxy", {"proxy": "herding"}, "other"),
        ("params", "score", {}, "params"),
        ("synflow", "score", {}, "other"),
        ("half an epoch", "early", {}, "early"),
        ("datadam + params", "sum", {}, "other"),
    ],
)
def test_roles(name, kind, settings, role, make_contestant):
    assert role_of(make_contestant(name, kind, [[1.0, 2.0]], settings=settings)) == role
