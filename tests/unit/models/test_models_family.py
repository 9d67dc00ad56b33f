from __future__ import annotations

import pytest
import torch

from nasproxy._random import named_generator
from nasproxy.errors import ConfigError
from nasproxy.models.family import build_model, check_architecture, named_architecture


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        (
            {"family": "convnets"},
            "'convnets': choose from alexnet, convnet, mlp, resnet18; did you mean 'convnet'",
        ),
        ({"family": "transformer"}, "unknown family of networks 'transformer'"),
        ({"widht": 3}, r"unknown setting 'convnet.widht'.*did you mean 'convnet.width'"),
        ({"depth": 0}, r"convnet.depth must be greater than or equal to 1, got 0"),
        ({"depth": 13}, r"convnet.depth must be less than or equal to 12, got 13"),
        ({"depth": "3"}, r"convnet.depth must be a valid integer, got '3'"),
        ({"depth": True}, r"convnet.depth"),
        ({"norm": "bach"}, r"convnet.norm must be 'none', 'batch'.*got 'bach'"),
    ],
)
def test_a_fault_names_the_value_and_the_choices(architecture, message):
    with pytest.raises(ConfigError, match=message):
        check_architecture(architecture, (1, 8, 8))
    with pytest.raises(ConfigError, match=message):
        build_model(architecture, (1, 8, 8), 10)


def test_named_architectures():
    assert named_architecture("convnet-3") == {"family": "convnet", "depth": 3, "width": 128}
    assert named_architecture("convnet-7", 16)["width"] == 16
    assert named_architecture("mlp", 32) == {"family": "mlp", "hidden": [32, 32]}
    assert named_architecture("alexnet") == {"family": "alexnet"}
    assert named_architecture("resnet18") == {"family": "resnet18"}


@pytest.mark.parametrize("name", ["convnet-3", "mlp"])
def test_no_width_is_another(name):
    with pytest.raises(ConfigError, match=r"got 0 \(--width\)"):
        named_architecture(name, 0)


def test_names_that_are_none():
    with pytest.raises(ConfigError, match=r"'convnet3'.*did you mean 'convnet-3'") as caught:
        named_architecture("convnet3")
    for name in ("alexnet", "resnet18", "convnet-N", "mlp"):
        assert name in str(caught.value)
    with pytest.raises(ConfigError, match="did you mean 'resnet18'"):
        named_architecture("resnet-18")


@pytest.mark.parametrize("name", ["alexnet", "resnet18"])
def test_fixed_widths(name):
    with pytest.raises(ConfigError, match=f"widths of {name} are fixed: leave out 32 .--width"):
        named_architecture(name, 32)


def test_the_architecture_is_not_changed():
    architecture = {"family": "mlp", "hidden": [4]}
    build_model(architecture, (1, 4, 4), 2)
    assert architecture == {"family": "mlp", "hidden": [4]}


def test_weights_depend_on_the_generator_alone():
    def weights(seed: int) -> list[torch.Tensor]:
        model = build_model({"depth": 2, "width": 4}, (1, 8, 8), 3, named_generator(seed))
        return list(model.parameters())

    torch.manual_seed(1)
    first = weights(0)
    torch.manual_seed(2)
    assert all(map(torch.equal, first, weights(0)))
    assert not torch.equal(first[0], weights(1)[0])
