from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from nasproxy._random import named_generator
from nasproxy.errors import ConfigError
from nasproxy.models.alexnet import AlexNet, AlexNetConfig
from nasproxy.models.family import build_model, check_architecture

CHANNELS = [96, 256, 384, 384, 256]


@pytest.mark.parametrize(
    ("shape", "sides", "embedding"),
    [
        ((1, 8, 8), [8, 4, 2, 2, 2], 256),
        ((1, 28, 28), [28, 14, 7, 7, 7], 256 * 4 * 4),
        ((3, 32, 32), [32, 16, 8, 8, 8], 256 * 4 * 4),
        ((3, 63, 63), [63, 32, 16, 16, 16], 256 * 6 * 6),  # eight rows are pooled to six
        ((3, 64, 64), [15, 7, 3, 3, 3], 256),
        ((3, 224, 224), [55, 27, 13, 13, 13], 256 * 6 * 6),  # figure 2 of the paper
    ],
)
def test_feature_shapes(shape, sides, embedding):
    with torch.device("meta"):
        model = build_model({"family": "alexnet"}, shape, 10)
        features = model.features(torch.empty(2, *shape))
    assert [tuple(layer.shape) for layer in features.layers] == [
        (2, channels, side, side) for channels, side in zip(CHANNELS, sides, strict=True)
    ]
    assert features.embedding.shape == (2, embedding)


@pytest.mark.parametrize("shape", [(2, 10, 9), (1, 64, 70)])
def test_forward_step_by_step(shape):
    small = shape[1] < 64
    model = AlexNet(AlexNetConfig(), shape, 4)
    images = torch.randn(2, *shape)
    values, seen = images, []
    for index, block in enumerate(model.blocks):
        stride, padding = (4, 2) if index == 0 and not small else (1, [2, 2, 1, 1, 1][index])
        values = F.conv2d(values, block[0].weight, block[0].bias, stride, padding).relu()
        seen.append(values)
        if index in {0, 1, 4}:
            values = F.max_pool2d(values, 3, 2, padding=1 if small else 0)
    assert [block[0].kernel_size[0] for block in model.blocks] == [5 if small else 11, 5, 3, 3, 3]
    features = model.features(images)
    for one, other in zip(features.layers, seen, strict=True):
        torch.testing.assert_close(one, other)
    torch.testing.assert_close(features.embedding, values.flatten(1))


def test_number_of_parameters_by_hand():
    convolutions = [(1, 96, 5), (96, 256, 5), (256, 384, 3), (384, 384, 3), (384, 256, 3)]
    weights = sum(before * after * k * k for before, after, k in convolutions)
    last = 256 * 16 * 10 + 10
    for norm, more in [("none", sum(CHANNELS)), ("batch", 2 * sum(CHANNELS))]:
        model = build_model({"family": "alexnet", "norm": norm}, (1, 28, 28), 10)
        assert sum(p.numel() for p in model.parameters()) == weights + more + last


@pytest.mark.parametrize("norm", ["batch", "instance", "layer", "group"])
def test_norms(norm):
    model = build_model({"family": "alexnet", "norm": norm}, (1, 8, 8), 3, named_generator(0))
    images = torch.randn(3, 1, 8, 8)
    normed = model.blocks[0][1](model.blocks[0][0](images))
    axes = {"batch": (0, 2, 3), "instance": (2, 3), "layer": (1, 2, 3), "group": (0, 1, 2, 3)}
    assert normed.mean(axes[norm]).abs().max() < 1e-5
    assert normed.std().item() == pytest.approx(1, abs=0.01)
    torch.testing.assert_close(model.features(images).layers[0], normed.relu())


def test_an_unknown_norm():
    with pytest.raises(ConfigError, match=r"alexnet.norm must be 'none', 'batch'.*got 'local'"):
        check_architecture({"family": "alexnet", "norm": "local"}, (1, 8, 8))
