"""Trainings on CUDA against those of the CPU, and recorded ones against plain ones."""

from __future__ import annotations

import logging

import pytest
import torch

from nasproxy._environment import hardware, has_bfloat16
from nasproxy._random import named_generator
from nasproxy.config import DIGITS, Recipe
from nasproxy.data.dataset import Dataset
from nasproxy.models.family import build_model
from nasproxy.training import graph
from nasproxy.training.evaluate import accuracy, measure
from nasproxy.training.fit import fit
from nasproxy.training.network import TrainingSet, train_network

EXACT = Recipe(epochs=4, batch_size=50, lr=0.01, precision="float32")
LONG = EXACT.replace(epochs=40)
"""Of 130 images: 120 steps, a third of them on the rest of an epoch."""
NETWORKS = [
    {"depth": 2, "width": 8, "norm": "none"},
    {"depth": 2, "width": 8, "norm": "batch"},
    {"depth": 2, "width": 8, "norm": "instance", "pooling": "max"},
    {"depth": 1, "width": 8, "norm": "group", "activation": "sigmoid"},
    {"family": "mlp", "hidden": [16, 16]},
]


def part(digits: Dataset, device: torch.device, *, soft: bool = False) -> TrainingSet:
    few = digits.train.take(torch.arange(130)).to(device)
    targets = torch.nn.functional.one_hot(few.labels, 10).float() * 0.9 + 0.01
    return TrainingSet(few.images, targets if soft else few.labels, 10, DIGITS)


def weights(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([value.double().flatten().cpu() for value in model.state_dict().values()])


@pytest.mark.parametrize("architecture", NETWORKS, ids=str)
def test_a_short_training_ends_as_on_the_cpu(digits, cuda, architecture):
    soft = architecture.get("norm") == "batch"
    trained = [
        weights(train_network(architecture, part(digits, device, soft=soft), EXACT, 0))
        for device in (torch.device("cpu"), cuda)
    ]
    torch.testing.assert_close(trained[1], trained[0], atol=5e-3, rtol=5e-3)


@pytest.mark.parametrize("architecture", [*NETWORKS, {"family": "resnet18"}], ids=str)
def test_a_recorded_training_is_the_plain_one(digits, cuda, architecture, monkeypatch, caplog):
    replays = []
    replay = torch.cuda.CUDAGraph.replay
    monkeypatch.setattr(
        torch.cuda.CUDAGraph, "replay", lambda self: (replays.append(None), replay(self))[1]
    )
    data = part(digits, cuda)
    with caplog.at_level(logging.WARNING):
        found = weights(train_network(architecture, data, LONG, 0))
    assert not caplog.records  # it could be recorded
    assert len(replays) == 80 - graph.WARM_UP_STEPS
    monkeypatch.setenv("NASPROXY_CUDA_GRAPHS", "0")
    plain = weights(train_network(architecture, data, LONG, 0))
    torch.testing.assert_close(found, plain, atol=1e-2, rtol=1e-2)


def test_the_same_seed_gives_the_same_weights(digits, cuda):
    data = part(digits, cuda)
    one, two, other = (weights(train_network(NETWORKS[1], data, LONG, s)) for s in (0, 0, 1))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_what_cannot_be_recorded_is_trained_as_it_is(digits, cuda, monkeypatch, caplog):
    """A step that reads a number back cannot be: the failed attempt leaves no trace."""

    class Reading(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = build_model(NETWORKS[0], (1, 8, 8), 10, named_generator(0))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.net(images)
            assert logits.abs().max().item() < 1e9
            return logits

    def train() -> torch.Tensor:
        model, data = Reading().to(cuda), part(digits, cuda)
        chance = named_generator(0, "batches")
        for _ in fit(model, data.images, data.targets, LONG, augmentation=DIGITS, generator=chance):
            pass
        return weights(model)

    found = train()
    assert "without a CUDA graph" in caplog.text
    monkeypatch.setenv("NASPROXY_CUDA_GRAPHS", "0")
    torch.testing.assert_close(found, train(), atol=1e-3, rtol=1e-3)


def test_bfloat16_by_default_where_there_is_any(digits, cuda):
    if not has_bfloat16():
        pytest.skip("this GPU has no bfloat16")
    assert "bfloat16" in hardware()
    seen = []

    def look(model, log):
        if not seen:
            model.classifier.register_forward_hook(lambda m, i, out: seen.append(out.dtype))

    data, validation = part(digits, cuda), digits.validation.to(cuda)
    recipe = Recipe(epochs=20, batch_size=50)  # 60 steps, of which some are recorded
    model = train_network(NETWORKS[1], data, recipe, 0, after_epoch=look)
    assert set(seen) == {torch.bfloat16}
    assert {value.dtype for value in model.parameters()} == {torch.float32}
    exact = train_network(NETWORKS[1], data, recipe.replace(precision="float32"), 0)
    assert accuracy(model, validation) == pytest.approx(accuracy(exact, validation), abs=0.1)


def test_measures_are_those_of_the_cpu(digits, cuda):
    model = train_network(NETWORKS[1], part(digits, torch.device("cpu")), EXACT, 0)
    expected = measure(model, digits.validation)
    assert measure(model.to(cuda), digits.validation.to(cuda)) == pytest.approx(expected, abs=1e-2)
