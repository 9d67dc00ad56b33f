from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from nasproxy._random import named_generator
from nasproxy.errors import ConfigError
from nasproxy.models.family import build_model, check_architecture

OURS = {"stem.0": "conv1", "stem.1": "bn1", "classifier": "fc"} | {
    f"stages.{index}": f"layer{index + 1}" for index in range(4)
}


def num_parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("shape", "sides"),
    [
        ((1, 8, 8), [8, 4, 2, 2]),  # 1x1 would leave nothing to normalise
        ((1, 8, 9), [(8, 9), (4, 5), (2, 3), (1, 2)]),
        ((1, 9, 9), [9, 5, 3, 2]),
        ((1, 28, 28), [28, 14, 7, 4]),
        ((3, 32, 32), [32, 16, 8, 4]),  # as on CIFAR-10
        ((3, 63, 63), [63, 32, 16, 8]),
        ((3, 64, 64), [16, 8, 4, 2]),
        ((3, 224, 224), [56, 28, 14, 7]),  # table 1 of the paper
    ],
)
def test_feature_shapes(shape, sides):
    with torch.device("meta"):
        model = build_model({"family": "resnet18"}, shape, 10)
        features = model.features(torch.empty(2, *shape))
    pairs = [(side, side) if isinstance(side, int) else side for side in sides]
    assert [tuple(layer.shape) for layer in features.layers] == [
        (2, channels, *pair) for channels, pair in zip([64, 128, 256, 512], pairs, strict=True)
    ]
    assert features.embedding.shape == (2, 512)


def test_as_many_parameters_as_torchvisions():
    with torch.device("meta"):
        theirs = num_parameters(resnet18(num_classes=10))
        assert num_parameters(build_model({"family": "resnet18"}, (3, 224, 224), 10)) == theirs
        # one channel: two thirds of the 7x7 stem are gone
        model = build_model({"family": "resnet18"}, (1, 64, 64), 10)
        assert num_parameters(model) == theirs - 2 * 49 * 64
        # the stem for small images: 3x3 instead of 7x7
        model = build_model({"family": "resnet18"}, (3, 32, 32), 10)
        assert num_parameters(model) == theirs - 3 * (49 - 9) * 64


@pytest.mark.parametrize("training", [True, False])
def test_with_the_same_weights_it_says_what_torchvisions_says(training):
    model = build_model({"family": "resnet18"}, (3, 64, 72), 7, named_generator(0))
    theirs = resnet18(num_classes=7).train(training)
    state = {}
    for name, value in model.state_dict().items():
        prefix = next(ours for ours in OURS if name.startswith(ours + "."))
        state[OURS[prefix] + name.removeprefix(prefix)] = value
    theirs.load_state_dict(state)
    images = torch.randn(3, 3, 64, 72)
    torch.testing.assert_close(model.train(training)(images), theirs(images))


def test_layers_are_after_the_activation_and_stay_as_they_were():
    """torchvision's ReLUs work in place."""
    model = build_model({"family": "resnet18"}, (1, 12, 12), 3, named_generator(0)).eval()
    images = torch.randn(2, 1, 12, 12)
    features = model.features(images)
    values = model.stem(images)
    for stage, layer in zip(model.stages, features.layers, strict=True):
        values = stage(values)
        torch.testing.assert_close(layer, values)
        assert layer.min() == 0
    torch.testing.assert_close(features.embedding, features.layers[-1].mean((2, 3)))


@pytest.mark.parametrize(
    ("norm", "groups"), [("instance", lambda c: c), ("layer", lambda c: 1), ("group", lambda c: 4)]
)
def test_norms(norm, groups):
    model = build_model({"family": "resnet18", "norm": norm}, (1, 8, 8), 3, named_generator(0))
    norms = [m for m in model.modules() if isinstance(m, nn.GroupNorm)]
    assert len(norms) == 20
    assert all(m.num_groups == groups(m.num_channels) for m in norms)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    images = torch.randn(3, 1, 8, 8)
    together = model(images)
    assert not torch.allclose(together[0], together[1])
    torch.testing.assert_close(together[:1], model(images[:1]), atol=1e-5, rtol=1e-4)


def test_an_unknown_norm():
    with pytest.raises(ConfigError, match=r"resnet18.norm must be 'batch'.*got 'none'"):
        check_architecture({"family": "resnet18", "norm": "none"}, (1, 8, 8))
