from __future__ import annotations

import pickle
from dataclasses import replace

import pytest
import torch

from nasproxy.config import Recipe, SearchConfig
from nasproxy.errors import ConfigError
from nasproxy.executors.base import Stopped
from nasproxy.proxy.coreset import make_baseline
from nasproxy.search import objective as module
from nasproxy.search.objective import CandidateResult, build_objective, check_metric
from nasproxy.training.metric import METRICS, Score

BATCH = {"family": "convnet", "depth": 1, "width": 4, "norm": "batch"}


def build(
    dataset, proxy, *, pruner="none", metric="accuracy", seeds=1, seed=0, objectives=None, **recipe
):
    config = SearchConfig(
        recipe=Recipe(**{"epochs": 8, **recipe}), metric=metric, seeds=seeds, seed=seed,
        pruner=pruner, objectives=objectives or ("accuracy",),
    )  # fmt: skip
    return build_objective(dataset, proxy, config)


def ignore(step: int, value: float) -> None:
    pass


def silent(step: int, value: float) -> None:
    raise AssertionError("nothing is to be reported")


def test_parts_of_the_real_data(digits, random_proxy):
    objective = build(digits, random_proxy, validation_images=50, recalibrate_images=100)
    assert 45 <= len(objective.validation) <= 55
    assert 95 <= len(objective.calibration) <= 105
    assert len(build(digits, random_proxy, validation_images=None).validation) == 142


def test_no_recalibration_where_the_recipe_says_zero(digits, random_proxy):
    """As good as training alone; ten images would make BatchNorm's statistics worse."""
    assert len(build(digits, random_proxy, recalibrate_images=0).calibration) == 0


def test_result(digits, random_proxy):
    result = build(digits, random_proxy, seeds=2)(BATCH, ignore)
    assert len(set(result.scores)) == 2
    assert all(0.1 < one.accuracy <= 1 for one in result.scores)
    assert result.seconds > 0
    again = build(digits, random_proxy, seeds=1)(BATCH, ignore)
    assert again.scores == result.scores[:1]
    assert build(digits, random_proxy, seed=1)(BATCH, ignore).scores != again.scores


def test_the_mean_over_seeds_of_a_metric():
    result = CandidateResult((Score(0.25, 0.5, None), Score(0.5, 1.0, None)), 1.0)
    assert result.mean("accuracy") == 0.375
    assert result.mean("balanced_accuracy") == 0.75
    assert result.mean("auc") is None


@pytest.mark.parametrize("pruner", ["none", "median"])
def test_a_training_curve_of_the_first_seed_only(digits, random_proxy, pruner):
    seen = []
    objective = build(digits, random_proxy, seeds=2, pruner=pruner)
    watched = objective(BATCH, lambda step, value: seen.append((step, value)))
    assert [step for step, _ in seen] == [2, 4, 6]
    assert all(0 <= value <= 1 for _, value in seen)
    # looking on changes nothing
    unwatched = replace(objective, watched=None)
    assert watched.scores == unwatched(BATCH, silent).scores


def test_a_curve_is_over_few_images_unless_a_pruner_goes_by_it(digits, random_proxy, monkeypatch):
    monkeypatch.setattr(module, "WATCHED_IMAGES", 30)
    assert len(build(digits, random_proxy).watched) == 30
    assert len(build(digits, random_proxy, validation_images=20).watched) == 20
    everything = len(digits.validation)
    assert len(build(digits, random_proxy, pruner="halving", validation_images=None).watched) == (
        everything
    )
    assert build(digits, random_proxy, objectives=("accuracy", "params")).watched is None


def test_a_training_by_steps_has_a_curve_too(digits, random_proxy):
    seen = []
    objective = build(digits, random_proxy, epochs=1, steps=20)
    objective(BATCH, lambda step, value: seen.append(step))
    assert seen == [2, 4, 6, 8]  # tenths of the steps


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "auc"])
def test_a_pruner_is_told_the_metric(lopsided, metric):
    """At a constant learning rate two epochs begin as one epoch ends."""
    proxy = make_baseline(lopsided, "random", 5, 0)
    recipe = {"schedule": "constant", "recalibrate_images": 0}
    seen = []
    longer = build(lopsided, proxy, pruner="median", metric=metric, epochs=2, **recipe)
    longer(BATCH, lambda step, value: seen.append(value))
    result = build(lopsided, proxy, epochs=1, **recipe)(BATCH, ignore)
    assert len(set(result.scores[0])) == 3
    assert seen == [result.mean(metric)]


def test_where_auc_is_not_defined(digits, lopsided):
    one_class = replace(lopsided, validation=lopsided.validation.take(torch.arange(20)))
    for metric in METRICS:
        check_metric(metric, lopsided)
    for metric in METRICS[:2]:
        check_metric(metric, digits)
    with pytest.raises(ConfigError, match=r"'auc' .*digits has 10: use --metric balanced_accuracy"):
        check_metric("auc", digits)
    with pytest.raises(ConfigError, match=r"'auc' takes validation images of both classes"):
        check_metric("auc", one_class)


def test_a_pruner_may_stop_it(digits, random_proxy):
    def stop(step: int, value: float) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        build(digits, random_proxy, pruner="median")(BATCH, stop)


def test_it_can_be_sent_to_another_process(digits, random_proxy):
    objective = pickle.loads(pickle.dumps(build(digits, random_proxy)))
    assert torch.equal(objective.data.images, random_proxy.images)
