from __future__ import annotations

import pytest
import torch

from nasproxy.config import DIGITS, FULL_RECIPE, Recipe
from nasproxy.errors import ConfigError
from nasproxy.training.network import TrainingSet, train_network
from nasproxy.training.precision import forward_dtype, in_dtype

CPU, CUDA, MPS = (torch.device(name) for name in ("cpu", "cuda", "mps"))
HALF, SINGLE = torch.bfloat16, torch.float32


@pytest.mark.parametrize(
    ("precision", "device", "has_it", "expected"),
    [
        ("auto", CPU, False, SINGLE),
        ("auto", CPU, True, SINGLE),  # that of the GPU beside it
        ("auto", CUDA, True, HALF),
        ("auto", CUDA, False, SINGLE),
        ("auto", MPS, False, SINGLE),
        ("float32", CUDA, True, SINGLE),
        ("bfloat16", CPU, False, HALF),
        ("bfloat16", CUDA, True, HALF),
    ],
)
def test_what_is_computed_in(monkeypatch, precision, device, has_it, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_it or device == CUDA)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: has_it)
    assert forward_dtype(Recipe(precision=precision), device) == expected


def test_a_gpu_without_it_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "GeForce GTX 1080")
    with pytest.raises(ConfigError, match=r"precision bfloat16.*GTX 1080.*auto or float32"):
        forward_dtype(Recipe(precision="bfloat16"), CUDA)


def test_the_context_is_that_of_the_forward_pass_alone():
    layer, images = torch.nn.Linear(3, 2), torch.randn(4, 3)
    with in_dtype(HALF, CPU):
        assert layer(images).dtype == HALF
    with in_dtype(SINGLE, CPU):
        assert layer(images).dtype == SINGLE
    assert layer(images).dtype == SINGLE


@pytest.mark.parametrize("norm", ["none", "batch", "instance"])
def test_a_training_in_bfloat16(make_dataset, norm):
    """It takes place, its weights stay float32, and it ends near the other."""
    train = make_dataset().train
    data = TrainingSet(train.images, train.labels, 3, DIGITS)
    recipe = Recipe(epochs=3, batch_size=16, lr=0.01)
    architecture = {"depth": 2, "width": 4, "norm": norm}
    exact = train_network(architecture, data, recipe, 0)
    rough = train_network(architecture, data, recipe.replace(precision="bfloat16"), 0)
    named = train_network(architecture, data, recipe.replace(precision="float32"), 0)
    for name, value in exact.state_dict().items():
        other = rough.state_dict()[name]
        assert other.dtype == value.dtype
        assert torch.equal(named.state_dict()[name], value)
        torch.testing.assert_close(other, value, atol=0.05, rtol=0.05)
    assert not torch.equal(exact.classifier.weight, rough.classifier.weight)
    assert exact(train.images).dtype == rough(train.images).dtype == SINGLE


def test_records_of_before_keep_their_hash():
    """A record's key is the recipe's plain values: a default that came later is not among them."""
    assert "precision" not in FULL_RECIPE.to_dict()
    assert Recipe(precision="float32").to_dict()["precision"] == "float32"
    assert Recipe.parse(FULL_RECIPE.to_dict()) == FULL_RECIPE
    assert Recipe.parse(Recipe(precision="bfloat16").to_dict()).precision == "bfloat16"
    with pytest.raises(ConfigError, match=r"precision.*'auto', 'float32' or 'bfloat16'.*'half'"):
        Recipe(epochs=1).replace(precision="half")
