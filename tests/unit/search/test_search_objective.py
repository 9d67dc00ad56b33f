from __future__ import annotations

import pickle

import pytest
import torch

from nasproxy.config import Recipe
from nasproxy.executors.base import Stopped
from nasproxy.search.objective import CandidateResult, build_objective

BATCH = {"family": "convnet", "depth": 1, "width": 4, "norm": "batch"}


def build(digits, proxy, *, epochs=8, seeds=1, seed=0, reports=False, **recipe):
    return build_objective(
        digits, proxy, Recipe(epochs=epochs, **recipe), seeds=seeds, seed=seed, reports=reports
    )


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
    result = build(digits, random_proxy, seeds=2)(BATCH, silent)
    assert len(set(result.accuracies)) == 2
    assert all(0.1 < accuracy <= 1 for accuracy in result.accuracies)
    assert result.seconds > 0
    again = build(digits, random_proxy, seeds=1)(BATCH, silent)
    assert again.accuracies == result.accuracies[:1]
    assert build(digits, random_proxy, seed=1)(BATCH, silent).accuracies != again.accuracies
    assert CandidateResult((0.25, 0.5), 1.0).proxy_accuracy == 0.375


def test_reports_for_a_pruner_on_the_first_seed_only(digits, random_proxy):
    seen = []
    objective = build(digits, random_proxy, seeds=2, reports=True)
    with_reports = objective(BATCH, lambda step, value: seen.append((step, value)))
    assert [step for step, _ in seen] == [2, 4, 6]
    assert all(0 <= value <= 1 for _, value in seen)
    # looking on changes nothing
    assert with_reports.accuracies == build(digits, random_proxy, seeds=2)(BATCH, silent).accuracies


def test_a_pruner_may_stop_it(digits, random_proxy):
    def stop(step: int, value: float) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        build(digits, random_proxy, reports=True)(BATCH, stop)


def test_it_can_be_sent_to_another_process(digits, random_proxy):
    objective = pickle.loads(pickle.dumps(build(digits, random_proxy)))
    assert torch.equal(objective.data.images, random_proxy.images)
