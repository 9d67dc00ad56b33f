from __future__ import annotations

import pickle
from dataclasses import replace

import pytest
import torch
from scipy import special

from nasproxy.compare.scoring import Scoring
from nasproxy.compare.training import ProxyTraining
from nasproxy.config import Recipe, SearchConfig
from nasproxy.data.dataset import LabelledImages
from nasproxy.errors import EvaluationError
from nasproxy.proxy.coreset import make_baseline
from nasproxy.scores.cost import measure_cost
from nasproxy.search.objective import build_objective
from nasproxy.training.evaluate import measure, score

NET = {"family": "convnet", "depth": 2, "width": 4, "norm": "batch"}


def silent(step, value):
    raise AssertionError("nothing is to be reported")


def ignored(step, value):
    pass


def training(dataset, *proxies, seed=0, **recipe):
    recipe = Recipe(**{"epochs": 6, **recipe})
    return ProxyTraining(
        draws=tuple(proxy.training_set() for proxy in proxies),
        validation=dataset.validation_part(recipe.validation_images),
        calibration=dataset.calibration_part(recipe.recalibrate_images),
        recipe=recipe,
        seed=seed,
    )


def test_a_candidate_is_trained_as_a_search_trains_it(digits):
    """The second draw is what a search with the next seed finds."""
    proxies = [make_baseline(digits, "random", 2, seed) for seed in (5, 6)]
    work = training(digits, *proxies, seed=5)
    for draw in (0, 1):
        config = SearchConfig(recipe=Recipe(epochs=6), seeds=2, seed=5 + draw)
        expected = build_objective(digits, proxies[draw], config)(NET, ignored).scores
        for index in (0, 1):
            result = work((NET, draw, index), silent)
            assert result["accuracy"] == expected[index].accuracy
            assert result["balanced_accuracy"] == expected[index].balanced_accuracy
            assert result["seconds"] > 0
            assert result["cpu_seconds"] > 0
    assert pickle.loads(pickle.dumps(work)).recipe == work.recipe


def test_divergence_is_a_result(digits, random_proxy):
    result = training(digits, random_proxy, lr=1e30)((NET, 0, 0), silent)
    assert result["error"].startswith("diverged")
    assert "accuracy" not in result


def test_measures_by_scipy():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(300, 4, generator=generator) * 3
    labels = torch.randint(4, (300,), generator=generator)
    data = LabelledImages(logits[:, :, None, None], labels)
    found = measure(torch.nn.Flatten(), data)
    own = score(torch.nn.Flatten(), data)
    assert {name: found[name] for name in own._fields} == own._asdict()
    values, truth = logits.double().numpy(), labels.numpy()
    chosen = special.log_softmax(values, axis=1)[range(300), truth]
    assert found["loss"] == pytest.approx(chosen.mean())
    probabilities = special.softmax(values, axis=1)
    margins = []
    for row, label in zip(probabilities, truth, strict=True):
        others = [p for place, p in enumerate(row) if place != label]
        margins.append(row[label] - max(others))
    assert found["margin"] == pytest.approx(sum(margins) / 300)


def test_outputs_that_are_not_finite():
    data = LabelledImages(torch.full((2, 3, 1, 1), torch.inf), torch.tensor([0, 1]))
    with pytest.raises(EvaluationError, match="not finite"):
        measure(torch.nn.Flatten(), data)


def test_scores_of_an_architecture(digits):
    def scored(name, index=0):
        return Scoring(name, digits.train, 16, 10, 0)((NET, 0, index), silent)

    cost = measure_cost(NET, digits.image_shape, 10)
    assert scored("params")["score"] == cost.num_params
    assert scored("flops")["score"] == cost.num_flops
    first = scored("grad_norm")
    assert first["score"] == scored("grad_norm")["score"] != scored("grad_norm", 1)["score"]
    assert first["cpu_seconds"] > 0


def test_a_score_without_a_finite_value_is_a_failure(digits):
    """Images that are all alike have slopes that are all alike: jacov has no value."""
    blank = replace(digits.train, images=torch.zeros_like(digits.train.images))
    linear = {"family": "mlp", "hidden": [1]}
    result = Scoring("naswot", blank, 16, 10, 0)((linear, 0, 0), silent)
    assert result["error"].startswith("-inf: ")
    alone = Scoring("jacov", digits.train.take(torch.arange(1)), 1, 10, 0)((linear, 0, 0), silent)
    assert "give it 2 or more, got 1" in alone["error"]
