from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from nasproxy.compare.cost import break_even, measure_cost, total_of
from nasproxy.compare.judgement import judge
from nasproxy.compare.noise import measure_noise
from nasproxy.compare.resample import Bootstrap, Estimate
from nasproxy.compare.sample import take_sample
from nasproxy.compare.standing import measure_standing
from nasproxy.report.statistic import partial_spearman

nan = float("nan")


def stand(comparison, name, measure=None, num_resamples=100):
    bootstrap = Bootstrap(take_sample(comparison), num_resamples)
    one = next(c for c in comparison.contestants if c.name == name)
    return measure_standing(
        bootstrap, measure_noise(bootstrap), comparison, one, measure=measure, num_candidates=40
    )


def test_correlations_agree_with_scipy(field):
    truth = [np.mean(one.full) for one in field.truth]
    draws = [draw.measures["accuracy"] for draw in field.contestants[0].replicates]
    mean = np.round(np.mean(draws, axis=0), 12)
    found = stand(field, "random")
    assert found.spearman.value == pytest.approx(stats.spearmanr(mean, truth).statistic)
    assert found.kendall.value == pytest.approx(stats.kendalltau(mean, truth).statistic)
    assert found.rho == pytest.approx(
        np.mean([stats.spearmanr(draw, truth).statistic for draw in draws])
    )
    top = np.argsort([-value for value in truth])[:10]
    inside = stats.spearmanr(mean[top], np.array(truth)[top]).statistic
    assert [within.k for within in found.within] == [10, 20]
    assert found.within[0].spearman.value == pytest.approx(inside)
    log_params = np.log([one.num_params for one in field.truth])
    assert found.given_params.value == pytest.approx(partial_spearman(mean, truth, log_params))


def test_ties_are_counted_in_single_draws(field):
    draws = [draw.measures["accuracy"] for draw in field.contestants[0].replicates]
    shares = [np.mean([draw.count(value) > 1 for value in draw]) for draw in draws]
    assert stand(field, "random").tie_share == pytest.approx(np.mean(shares))
    assert stand(field, "random", "loss").tie_share == 0


def test_noise_by_hand(field):
    first, second = zip(*(one.full for one in field.truth), strict=True)
    ceiling = stats.spearmanr(first, second).statistic
    noise = measure_noise(Bootstrap(take_sample(field), 100))
    assert noise.ceiling.value == pytest.approx(ceiling)
    assert noise.ceiling.interval[0] < ceiling < noise.ceiling.interval[1] + 1e-9
    full = 2 * ceiling / (1 + ceiling)
    assert noise.attainable == pytest.approx(math.sqrt(full))
    # three draws that agree by 0.8: 3 * 0.8 / (1 + 2 * 0.8)
    assert noise.attainable_by(0.8, 3) == pytest.approx(math.sqrt(full * 2.4 / 2.6))
    found = stand(field, "datadam")
    assert found.share_of_ceiling.value == pytest.approx(found.spearman.value / ceiling)
    assert found.attainable == pytest.approx(math.sqrt(full))  # one draw: taken as noiseless
    assert stand(field, "random").attainable < found.attainable


def test_one_seed_has_no_ceiling(make_truth, make_comparison, make_contestant, make_noisy):
    truth = make_truth(10, num_seeds=1)
    one = make_contestant("a", "proxy", make_noisy(truth, 0.01, 1, seed=0))
    found = stand(make_comparison(truth, [one]), "a")
    assert found.share_of_ceiling == Estimate()
    assert found.attainable is None
    assert found.within == ()  # ten are no top ten


def test_a_ragged_truth_is_judged(make_truth, make_comparison, make_contestant, make_noisy):
    truth = list(make_truth(15))
    truth[3] = truth[3].replace(full=[0.95], seconds=[60.0])
    one = make_contestant("a", "proxy", make_noisy(truth, 0.01, 2, seed=0))
    found = stand(make_comparison(truth, [one]), "a")
    assert found.share_of_ceiling.value is not None


def test_failures_rank_last_and_are_counted(make_truth, make_comparison, make_contestant):
    truth = make_truth(6)
    perfect = [np.mean(one.full) for one in truth]
    worst = int(np.argmin(perfect))
    holed = [None if i == worst else value for i, value in enumerate(perfect)]
    one = make_contestant("a", "proxy", [[nan if v is None else v for v in holed]])
    found = stand(make_comparison(truth, [one]), "a")
    assert found.num_failed == 1
    assert found.rho == pytest.approx(1)
    again = [value + 0.1 for value in perfect]  # another draw did not fail, at another level
    two = make_contestant("b", "proxy", [[nan if v is None else v for v in holed], again])
    found = stand(make_comparison(truth, [two]), "b")
    assert found.num_failed == 0
    assert found.spearman.value == pytest.approx(1)


@pytest.mark.parametrize("scores", [[0.5, 0.5, 0.5], [nan, nan, nan]], ids=["constant", "failed"])
def test_a_contestant_that_tells_nothing_apart(
    scores, make_truth, make_comparison, make_contestant
):
    found = stand(make_comparison(make_truth(3), [make_contestant("a", "proxy", [scores])]), "a")
    assert (found.rho, found.spearman, found.kendall) == (None, Estimate(), Estimate())
    assert found.averaged[0].rho is None
    assert found.tie_share == 1


def test_three_architectures(make_truth, make_comparison, make_contestant, make_noisy):
    truth = make_truth(3)
    one = make_contestant("a", "proxy", make_noisy(truth, 0.0, 1, seed=0))
    judgement = judge(make_comparison(truth, [one]), num_resamples=50)
    assert judgement.standings[0].rho == pytest.approx(1)
    assert judgement.predictions == ()
    assert judgement.worth_it is None
    assert judgement.verdict.startswith("Cannot tell: the ground truth holds 3 architectures")


def test_cost_by_hand(field):
    # 40 candidates of 4 s after 200 s of setup; full training 60 s; a space of 140
    cost = measure_cost(field, field.contestants[1], 40)
    assert (cost.seconds_per_candidate, cost.setup_seconds) == (4, 200)
    assert (cost.total_seconds, cost.total_seconds_without_setup) == (360, 160)
    assert (cost.space_seconds, cost.space_seconds_without_setup) == (760, 560)
    assert cost.speedup == pytest.approx(2400 / 360)
    assert cost.speedup_without_setup == pytest.approx(15)
    assert cost.space_speedup == pytest.approx(8400 / 760)
    # and 5 x 60 s for the favourites
    assert cost.speedup_end_to_end == pytest.approx(2400 / 660)
    assert cost.space_speedup_end_to_end == pytest.approx(8400 / 1060)
    assert cost.break_even_full == 4  # 200 / (60 - 4) = 3.6


def test_draws_of_the_same_images_share_their_setup(field, make_contestant):
    one = make_contestant("a", "proxy", [[1.0] * 40] * 2, setup=100.0)
    names = ("draw 0, seed 0", "draw 0, seed 1")
    shared = one.model_copy(
        update={
            "replicates": tuple(
                draw.model_copy(update={"name": name})
                for draw, name in zip(one.replicates, names, strict=True)
            )
        }
    )
    assert total_of(measure_cost(field, shared, 40), 2) == 100 + 2 * 160
    assert total_of(measure_cost(field, one, 40), 2) == 2 * (100 + 160)


@pytest.mark.parametrize(
    ("outlay", "gain", "expected"),
    [(100, 10, 10), (101, 10, 11), (100, 0, None), (100, -1, None), (0, 1, 0), (0, -1, None)],
)
def test_break_even_by_hand(outlay, gain, expected):
    assert break_even(outlay, gain) == expected


def test_break_even_against_the_best_cheaper_contestant(judgement):
    # datadam: 200 s + 4 s each; random costs the same a candidate and never loses
    assert judgement.best_cheaper(judgement.standing("datadam")) == ("random", None)
    # early: 6 s each against random's 4 s
    assert judgement.best_cheaper(judgement.standing("early")) == ("random", None)
    assert judgement.best_cheaper(judgement.standing("params")) is None
