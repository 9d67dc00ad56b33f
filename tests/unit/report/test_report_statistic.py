from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nasproxy.report.statistic import (
    attainable_rho,
    bootstrap_interval,
    kendall,
    noise_ceiling,
    partial_spearman,
    precision_at_k,
    reliability,
    spearman,
    top_k_regret,
)

levels = st.integers(0, 5).map(lambda level: level / 10)
pairs = st.lists(st.tuples(levels, levels), min_size=3, max_size=30).filter(
    lambda rows: all(len(set(column)) > 1 for column in zip(*rows, strict=True))
)


@settings(deadline=None, max_examples=60)
@given(pairs)
def test_correlations_agree_with_scipy_ties_included(rows):
    x, y = zip(*rows, strict=True)
    assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert kendall(x, y) == pytest.approx(stats.kendalltau(x, y, variant="b").statistic, abs=1e-12)


def test_three_architectures_by_hand():
    # ranks 1 2 3 against 1 3 2: rho = 1 - 6 (0 + 1 + 1) / (3 * 8) = 0.5, tau = (2 - 1) / 3
    assert spearman([1, 2, 3], [10, 30, 20]) == pytest.approx(0.5)
    assert kendall([1, 2, 3], [10, 30, 20]) == pytest.approx(1 / 3)


def test_perfect_and_inverse_orders():
    x = [0.1, 0.5, 0.2, 0.9]
    assert spearman(x, np.exp(x)) == pytest.approx(1)
    assert spearman(x, [-value for value in x]) == pytest.approx(-1)
    assert kendall(x, [-value for value in x]) == pytest.approx(-1)


@pytest.mark.parametrize(
    ("x", "y"), [([], []), ([1, 2], [1, 2]), ([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [0.1, 0.1, 0.1])]
)
def test_undefined_is_none(x, y):
    assert spearman(x, y) is None
    assert kendall(x, y) is None
    assert bootstrap_interval(x, y) is None


def test_partial_correlation_is_that_of_the_residuals():
    generator = np.random.default_rng(1)
    size = generator.normal(size=40)
    x, y = size + generator.normal(size=40), size + generator.normal(size=40)
    rx, ry, rz = (stats.rankdata(v) for v in (x, y, size))
    left = [r - np.polyval(np.polyfit(rz, r, 1), rz) for r in (rx, ry)]
    assert partial_spearman(x, y, size) == pytest.approx(np.corrcoef(*left)[0, 1])


def test_partial_correlation_is_undefined_where_size_says_all():
    assert partial_spearman([1, 2, 3, 4], [2, 1, 3, 4], [1, 2, 3, 4]) is None
    assert partial_spearman([1, 2, 3, 4], [2, 1, 3, 4], [5, 5, 5, 5]) is None


def test_bootstrap_matches_scipy_where_no_resample_degenerates():
    generator = np.random.default_rng(2)
    x = generator.normal(size=25)
    y = x + generator.normal(size=25)
    theirs = stats.bootstrap(
        (x, y), lambda a, b: stats.spearmanr(a, b).statistic, paired=True, vectorized=False,
        method="percentile", n_resamples=1000, rng=np.random.default_rng(3),
    ).confidence_interval  # fmt: skip
    ours = bootstrap_interval(x, y, num_resamples=1000)
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.06)


def test_bootstrap_covers_about_as_often_as_it_says():
    generator = np.random.default_rng(4)
    r = 0.7
    truth = 6 / math.pi * math.asin(r / 2)  # Spearman of a bivariate normal
    covered = 0
    for _ in range(300):
        x, noise = generator.normal(size=(2, 20))
        interval = bootstrap_interval(x, r * x + math.sqrt(1 - r**2) * noise, num_resamples=400)
        covered += interval[0] <= truth <= interval[1]
    assert 0.88 <= covered / 300 <= 0.99


def test_bootstrap_is_reproducible_and_counts_degenerate_resamples_as_zero():
    x, y = [1, 2, 3], [1, 2, 3]
    low, high = bootstrap_interval(x, y)
    # 3 of 27 resamples hold one architecture only: their zeros reach below the 2.5% quantile
    assert (low, high) == (0, pytest.approx(1))
    assert bootstrap_interval(x, y) == (low, high)


def test_resampled_seeds_widen_the_interval():
    generator = np.random.default_rng(5)
    x = np.linspace(0, 1, 15)
    per_seed = x[:, None] + generator.normal(scale=0.5, size=(15, 3))
    fixed = bootstrap_interval(x, per_seed.mean(axis=1))
    both = bootstrap_interval(x, per_seed)
    assert both[1] - both[0] > fixed[1] - fixed[0]
    ragged = [list(row[: 2 + index % 2]) for index, row in enumerate(per_seed)]
    assert bootstrap_interval(x, ragged) is not None


def test_noise_ceiling_is_the_mean_over_pairs_of_seeds():
    table = np.random.default_rng(6).normal(size=(12, 3))
    expected = np.mean(
        [stats.spearmanr(table[:, i], table[:, j]).statistic for i, j in ((0, 1), (0, 2), (1, 2))]
    )
    assert noise_ceiling(table.tolist()) == pytest.approx(expected)


def test_noise_ceiling_leaves_out_the_incomplete():
    rows = [[0.1, 0.2], [0.2, 0.3], [0.3, 0.4]]
    assert noise_ceiling([*rows, [0.9]]) == pytest.approx(1)
    assert noise_ceiling([[0.1], [0.2], [0.3]]) is None
    assert noise_ceiling(rows[:2]) is None
    assert noise_ceiling([]) is None


def test_spearman_brown_by_hand():
    assert reliability(0.5, 2) == pytest.approx(2 / 3)  # 2 * 0.5 / (1 + 0.5)
    assert attainable_rho(0.5, 2) == pytest.approx(math.sqrt(2 / 3))
    assert attainable_rho(-0.2, 2) == 0
    assert reliability(0.5, 1) == pytest.approx(0.5)


def test_regret_and_precision_by_hand():
    proxy, full = [0.9, 0.8, 0.7, 0.6], [0.50, 0.60, 0.90, 0.70]
    assert top_k_regret(proxy, full, 2) == pytest.approx(0.30)
    assert top_k_regret(proxy, full, 3) == 0
    assert precision_at_k(proxy, full, 2) == 0
    assert precision_at_k(proxy, full, 3) == pytest.approx(2 / 3)


def test_equals_on_the_proxy_are_taken_as_given():
    assert top_k_regret([0.5, 0.5, 0.5], [0.1, 0.9, 0.2], 1) == pytest.approx(0.8)
    assert precision_at_k([3, 2, 1], [0.9, 0.9, 0.9], 1) == 1


@pytest.mark.parametrize("k", [0, 3, 4])
def test_regret_of_none_or_all_is_undefined(k):
    assert top_k_regret([1, 2, 3], [1, 2, 3], k) is None
    assert precision_at_k([1, 2, 3], [1, 2, 3], k) is None
