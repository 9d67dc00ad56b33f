from __future__ import annotations

import itertools

import pytest
import torch

from nasproxy._random import named_generator
from nasproxy.errors import ConfigError
from nasproxy.models.family import build_model, check_architecture


@pytest.mark.parametrize(
    ("pooling", "sides", "embedding"),
    [("avg", [28, 14, 7], 8 * 9), ("max", [28, 14, 7], 8 * 9), ("none", [28] * 3, 8 * 784)],
)
def test_feature_shapes(pooling, sides, embedding):
    model = build_model({"depth": 3, "width": 8, "pooling": pooling}, (1, 28, 28), 10)
    features = model.features(torch.randn(2, 1, 28, 28))
    assert [tuple(layer.shape) for layer in features.layers] == [(2, 8, s, s) for s in sides]
    assert features.embedding.shape == (2, embedding)


def test_images_need_not_be_square():
    features = build_model({"depth": 2, "width": 4}, (3, 12, 8), 5).features(
        torch.randn(2, 3, 12, 8)
    )
    assert [layer.shape[2:] for layer in features.layers] == [(12, 8), (6, 4)]
    assert features.embedding.shape == (2, 4 * 3 * 2)


@pytest.mark.parametrize(
    ("norm", "activation", "pooling"),
    list(
        itertools.product(
            ["none", "batch", "instance", "layer", "group"],
            ["relu", "leakyrelu", "sigmoid"],
            ["none", "max", "avg"],
        )
    ),
)
def test_forward_is_the_classifier_on_the_embedding(norm, activation, pooling):
    settings = {"depth": 2, "width": 4, "norm": norm, "activation": activation, "pooling": pooling}
    model = build_model(settings, (1, 8, 8), 3, named_generator(0))
    images = torch.randn(4, 1, 8, 8)
    features = model.features(images)
    torch.testing.assert_close(model(images), model.classifier(features.embedding))
    last = features.layers[-1]
    if pooling == "none":
        pooled = last
    else:
        tiles = last.reshape(4, 4, 2, 2, 2, 2)
        pooled = tiles.amax((3, 5)) if pooling == "max" else tiles.mean((3, 5))
    torch.testing.assert_close(features.embedding, pooled.flatten(1))
    if activation != "leakyrelu":
        assert all((layer >= 0).all() for layer in features.layers)  # after the activation


@pytest.mark.parametrize(
    ("settings", "shape", "count"),
    [
        # convolution: in x 9 x out (+ out); norm: 2 x out; linear: in x classes + classes
        ({"depth": 1, "width": 4, "norm": "none"}, (1, 8, 8), (9 * 4 + 4) + (4 * 16 * 10 + 10)),
        ({"depth": 1, "width": 4, "norm": "batch"}, (3, 8, 8), (27 * 4 + 8) + (4 * 16 * 10 + 10)),
        (
            {"depth": 3, "width": 128, "norm": "instance"},
            (1, 28, 28),
            (9 * 128 + 256) + 2 * (128 * 9 * 128 + 256) + (128 * 9 * 10 + 10),
        ),
        (
            {"depth": 2, "width": 8, "norm": "group", "pooling": "none"},
            (1, 8, 8),
            (72 + 16) + (8 * 9 * 8 + 16) + (8 * 64 * 10 + 10),
        ),
    ],
)
def test_number_of_parameters_by_hand(settings, shape, count):
    model = build_model(settings, shape, 10)
    assert sum(p.numel() for p in model.parameters()) == count


def test_too_deep_for_the_images():
    with pytest.raises(
        ConfigError, match="depth 4 with pooling halves 8x8 images to nothing: use depth <= 3"
    ):
        check_architecture({"depth": 4}, (1, 8, 8))
    check_architecture({"depth": 3}, (1, 8, 8))
    check_architecture({"depth": 4, "pooling": "none"}, (1, 8, 8))
    with pytest.raises(ConfigError, match="use depth <= 2"):
        check_architecture({"depth": 3}, (1, 28, 7))


def test_seven_blocks_on_224_pixels():
    architecture = {"depth": 7, "width": 2}
    features = build_model(architecture, (3, 224, 224), 2, named_generator(0)).features(
        torch.randn(1, 3, 224, 224)
    )
    assert [layer.shape[2] for layer in features.layers] == [224, 112, 56, 28, 14, 7, 3]
    assert features.embedding.shape == (1, 2)
    assert features.embedding.std() > 0
    with pytest.raises(ConfigError, match=r"depth 8 .*224x224 images.*use depth <= 7"):
        check_architecture({"depth": 8}, (3, 224, 224))
    with pytest.raises(ConfigError, match=r"depth 7 .*64x64 images.*use depth <= 6"):
        check_architecture({"depth": 7}, (3, 64, 64))


def test_groups_must_divide_the_width():
    with pytest.raises(ConfigError, match="multiple of 4 for norm group: 6"):
        check_architecture({"width": 6, "norm": "group"}, (1, 8, 8))
