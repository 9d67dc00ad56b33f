from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from nasproxy._random import named_generator
from nasproxy.config import DIGITS, Recipe
from nasproxy.errors import ConfigError
from nasproxy.models.family import build_model
from nasproxy.training.network import TrainingSet, train_network

RECIPE = Recipe(epochs=3, batch_size=16)


@pytest.fixture
def data(make_dataset):
    train = make_dataset().train
    return TrainingSet(train.images, train.labels, 3, DIGITS)


@pytest.mark.parametrize("norm", ["none", "batch", "instance", "layer", "group"])
def test_same_arguments_same_weights(data, norm):
    architecture = {"depth": 2, "width": 4, "norm": norm}
    one, two, other = (train_network(architecture, data, RECIPE, seed) for seed in (0, 0, 1))
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name])
    assert not torch.equal(one.classifier.weight, other.classifier.weight)


def test_after_epoch_sees_every_epoch_and_may_end_the_training(data):
    seen = []

    def watch(model, log):
        seen.append((log.epoch, model.training))
        if log.epoch == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train_network({"depth": 1, "width": 4}, data, RECIPE, 0, after_epoch=watch)
    assert seen == [(1, True), (2, True)]


def test_calibration_changes_batch_norm_alone(data):
    real = torch.randn(40, 1, 8, 8) * 3 + 2
    architecture = {"depth": 1, "width": 4, "norm": "batch"}
    plain = train_network(architecture, data, RECIPE, 0)
    calibrated = train_network(architecture, data, RECIPE, 0, calibration=real)
    assert torch.equal(plain.classifier.weight, calibrated.classifier.weight)
    seen = calibrated.blocks[0][0](real)
    torch.testing.assert_close(calibrated.blocks[0][1].running_mean, seen.mean((0, 2, 3)))
    assert not torch.equal(plain.blocks[0][1].running_mean, calibrated.blocks[0][1].running_mean)


def weights(data, recipe):
    model = train_network({"depth": 1, "width": 4}, data, recipe, 0)
    return torch.cat([value.flatten() for value in model.state_dict().values()])


def test_a_learned_step_size_is_used_where_recipe_and_images_say_so(data):
    stepped = replace(data, step_size=0.2)
    wanting = RECIPE.replace(learned_step_size=True)
    changed = {"lr": 0.2, "momentum": 0.0, "weight_decay": 0.0, "schedule": "constant"}
    expected = weights(data, RECIPE.replace(**changed))
    assert torch.equal(weights(stepped, wanting), expected)
    plain = weights(data, RECIPE)
    assert not torch.equal(plain, expected)
    assert torch.equal(weights(stepped, RECIPE), plain)  # not by default
    assert torch.equal(weights(data, wanting), plain)  # there is none


def test_a_learned_step_size_is_that_of_plain_sgd(data):
    """As students take their steps: no momentum, no decay of weights or of the step."""
    recipe = RECIPE.replace(
        epochs=4, batch_size=len(data.images), augmentation="none", learned_step_size=True
    )
    found = train_network({"depth": 1, "width": 4}, replace(data, step_size=0.2), recipe, 0)
    model = build_model({"depth": 1, "width": 4}, (1, 8, 8), 3, named_generator(0, "weights"))
    for _ in range(4):
        loss = torch.nn.functional.cross_entropy(model(data.images), data.targets)
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                parameter -= 0.2 * gradient
    for name, value in model.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], value)


def test_misfits_are_config_errors(data):
    with pytest.raises(ConfigError, match="depth 4"):
        train_network({"depth": 4}, data, RECIPE, 0)
