from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nasproxy.report.permutation import permutation_p_value
from nasproxy.search.halving import MARGIN, Agreement, agreement, better_half, choose, in_order


@pytest.mark.parametrize("seed", range(5))
def test_rho_is_scipys_ties_included(seed):
    generator = np.random.default_rng(seed)
    proxy, full = generator.integers(5, size=8) / 10, generator.random(8)
    found = agreement(proxy.tolist(), full.tolist())
    assert found.rho == pytest.approx(stats.spearmanr(proxy, full).statistic)
    expected = permutation_p_value(proxy, full)
    assert found.p_value == pytest.approx(expected, abs=0.03)


def test_by_hand():
    """Ranks 1 2 3 4 against 1 2 4 3: rho is 1 - 6 * 2 / 60, two of four are one place off."""
    found = agreement([0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.8, 0.7])
    assert found[:2] == pytest.approx((0.8, 0.5))
    failed = agreement([0.9, None, 0.2, None], [0.9, 0.1, 0.8, 0.2])
    assert failed.rho == pytest.approx(stats.spearmanr([3, 0, 2, 0], [3, 0, 2, 1]).statistic)


@pytest.mark.parametrize("proxy", [[0.5] * 4, [None] * 4])
def test_no_order_is_no_association(proxy):
    assert agreement(proxy, [0.1, 0.2, 0.3, 0.4]).rho == 0
    assert agreement([0.1, 0.2, 0.3, 0.4], [0.5] * 4).rho == 0
    assert agreement([], []) == (0, 0, 1)


FOUND = {
    0: Agreement(0.5, 2.0, 0.01),
    1: Agreement(0.8, 1.5, 0.01),
    2: Agreement(0.8, 1.0, 0.01),
    3: Agreement(0.6, 1.0, 0.01),
}


def test_equal_rhos_are_told_apart_by_distance_and_then_by_place():
    assert in_order(FOUND) == [2, 1, 3, 0]
    assert in_order({1: Agreement(0.8, 1.0, 0.01), 0: Agreement(0.8 - 1e-12, 1.0, 0.01)}) == [0, 1]


def test_the_searchs_own_and_the_better_half_of_the_others():
    assert better_half(FOUND) == [0, 1, 2]
    assert better_half({**FOUND, 0: Agreement(0.9, 1.0, 0.01)}) == [0, 1, 2]
    assert better_half({0: Agreement(0.1, 1.0, 0.01), 1: Agreement(0.2, 1.0, 0.01)}) == [0, 1]
    assert better_half({0: Agreement(0.9, 0.0, 0.01)}) == [0]


@pytest.mark.parametrize(
    ("gain", "chosen"), [(0.0, 0), (MARGIN - 0.01, 0), (MARGIN, 1), (MARGIN + 0.1, 1)]
)
def test_the_searchs_own_has_to_be_beaten_clearly(gain, chosen):
    assert choose({0: Agreement(0.5, 1.0, 0.01), 1: Agreement(0.5 + gain, 1.0, 0.01)}) == chosen


def test_a_ranking_like_chance_is_no_choice():
    assert choose({0: Agreement(-0.5, 3.0, 0.9), 1: Agreement(0.5, 1.5, 0.1)}) == 0


@pytest.mark.parametrize(("seed", "size"), [(0, 8), (1, 8), (2, 12)])
def test_the_p_value_is_near_that_of_all_orders(seed, size):
    generator = np.random.default_rng(seed)
    full = generator.random(size)
    proxy = full + 0.3 * generator.random(size)
    exact = permutation_p_value(proxy, full)
    assert agreement(proxy.tolist(), full.tolist()).p_value == pytest.approx(exact, abs=0.01)


def test_a_better_distance_alone_is_not_enough():
    assert choose({0: Agreement(0.5, 1.0, 0.01), 1: Agreement(0.5, 0.5, 0.01)}) == 0
