from __future__ import annotations

import itertools

import pytest
import torch

from nasproxy._random import named_generator
from nasproxy.errors import ConfigError
from nasproxy.models.family import build_model
from nasproxy.search.space import load_space


def test_hidden_sizes_and_features():
    model = build_model({"family": "mlp", "hidden": [5, 7]}, (1, 4, 3), 2, named_generator(0))
    images = torch.randn(6, 1, 4, 3)
    features = model.features(images)
    assert [tuple(layer.shape) for layer in features.layers] == [(6, 1, 1, 5), (6, 1, 1, 7)]
    first = (images.flatten(1) @ model.hidden[0][0].weight.T + model.hidden[0][0].bias).relu()
    torch.testing.assert_close(features.layers[0][:, 0, 0], first)
    torch.testing.assert_close(features.embedding, features.layers[1][:, 0, 0])
    torch.testing.assert_close(model(images), model.classifier(features.embedding))


def test_parameters_of_the_20_mlps_of_the_study():
    space = load_space("mlp20")
    found = {}
    for point in space.points():
        architecture = space.architecture(point)
        model = build_model(architecture, (1, 28, 28), 10)
        found[tuple(architecture["hidden"])] = sum(p.numel() for p in model.parameters())
    expected = {}
    for length in (2, 4):
        for hidden in itertools.product((32, 64), repeat=length):
            sizes = [784, *hidden, 10]
            expected[hidden] = sum((a + 1) * b for a, b in itertools.pairwise(sizes))
    assert len(expected) == 20
    assert found == expected


@pytest.mark.parametrize("hidden", [[], [1] * 33, "64", [0.5], None])
def test_hidden_must_be_a_list_of_widths(hidden):
    with pytest.raises(ConfigError, match=r"^mlp\.hidden"):
        build_model({"family": "mlp", "hidden": hidden}, (1, 4, 4), 2)


@pytest.mark.parametrize("width", [0, -3])
def test_a_hidden_layer_has_at_least_one_unit(width):
    with pytest.raises(ConfigError, match=r"^mlp\.hidden"):
        build_model({"family": "mlp", "hidden": [8, width]}, (1, 4, 4), 2)
