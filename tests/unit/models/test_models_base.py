from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from torch import nn

from nasproxy._random import named_generator
from nasproxy.errors import ConfigError
from nasproxy.models.base import FeatureNet, check_side, initialize, is_small
from nasproxy.models.family import build_model

LAYERS = {
    "conv": (lambda: nn.Conv2d(16, 40, 3), 16 * 9),
    "conv without bias": (lambda: nn.Conv2d(16, 40, 3, bias=False), 16 * 9),
    "linear": (lambda: nn.Linear(100, 60), 100),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_weights_and_biases_are_uniform_as_in_pytorch(kind):
    build, fan_in = LAYERS[kind]
    layer = build()
    initialize(layer, named_generator(0))
    bound = 1 / math.sqrt(fan_in)
    for parameter in layer.parameters():
        values = parameter.detach().double().flatten()
        assert values.abs().max() <= bound
        assert stats.kstest(values, stats.uniform(-bound, 2 * bound).cdf).pvalue > 1e-3
        reference = build().state_dict()["weight" if parameter.ndim > 1 else "bias"].flatten()
        assert stats.ks_2samp(values, reference).pvalue > 1e-3


def test_the_same_generator_seed_gives_identical_networks():
    models = [build_model({"depth": 2, "width": 8}, (1, 8, 8), 5) for _ in range(2)]
    for model in models:
        initialize(model, named_generator(7))
    for one, other in zip(*(model.parameters() for model in models), strict=True):
        assert torch.equal(one, other)
    initialize(models[1], named_generator(8))
    assert not torch.equal(models[0].classifier.weight, models[1].classifier.weight)


def test_frozen_and_double_networks_are_initialized_too():
    model = build_model({"depth": 1, "width": 4}, (1, 8, 8), 3, named_generator(0))
    other = build_model({"depth": 1, "width": 4}, (1, 8, 8), 3).requires_grad_(False).double()
    initialize(other, named_generator(0))
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one.detach().double(), two)
        assert not two.requires_grad


def test_sides_that_are_too_small_are_named():
    check_side("anynet", (3, 8, 8))
    with pytest.raises(ConfigError, match=r"^anynet needs .* at least 8x8 pixels, got 28x7: use"):
        check_side("anynet", (3, 28, 7))


@pytest.mark.parametrize(("shape", "small"), [((1, 63, 99), True), ((9, 64, 64), False)])
def test_small_images(shape, small):
    assert is_small(shape) == small


def test_features_are_a_subclass_matter():
    with pytest.raises(NotImplementedError):
        FeatureNet().features(torch.zeros(1, 1, 2, 2))
