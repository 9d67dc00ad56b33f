"""What every family of networks does with images of every size."""

from __future__ import annotations

import pytest
import torch

from nasproxy._random import named_generator
from nasproxy.config import DIGITS, Recipe
from nasproxy.errors import ConfigError
from nasproxy.models.base import initialize
from nasproxy.models.family import FAMILIES, build_model, check_architecture
from nasproxy.training.network import TrainingSet, train_network

SMALL = {
    "convnet": {"depth": 3, "width": 8},
    "mlp": {"hidden": [8, 6]},
    "alexnet": {},
    "resnet18": {},
}
"""A small network of each family that takes 8x8 images; a new family is one new row."""
TOO_SMALL = {
    "convnet": (7, "depth 3 .* 7x9 images .* depth <= 2"),
    "alexnet": (7, "alexnet needs images of at least 8x8 pixels, got 7x9: use larger"),
    "resnet18": (7, "resnet18 needs images of at least 8x8 pixels, got 7x9: use larger"),
}
SHAPES = [(1, 8, 8), (3, 8, 8), (3, 9, 30), (2, 33, 12), (3, 64, 65), (3, 224, 224)]


@pytest.fixture(params=FAMILIES)
def architecture(request):
    return {"family": request.param, **SMALL[request.param]}


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=named_generator(seed, "images"))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_logits_are_the_classifier_on_the_features(architecture, shape):
    model = build_model(architecture, shape, 5, named_generator(0)).eval()
    images = draw(2, *shape)
    with torch.no_grad():
        logits, features = model(images), model.features(images)
        expected = model.classifier(features.embedding)
    assert type(model.classifier) is torch.nn.Linear
    torch.testing.assert_close(logits, expected)
    assert logits.shape == (2, 5)
    assert logits.isfinite().all()
    assert not torch.equal(*logits)  # two images are told apart
    assert features.embedding.shape == (2, model.classifier.in_features)
    assert all(layer.ndim == 4 and len(layer) == 2 for layer in features.layers)


def test_every_size_from_8_to_224(architecture):
    """On the meta device: shapes are worked out, numbers are not."""
    sides = [*range(8, 18), *range(18, 60, 9), *range(62, 68), *range(70, 224, 31), 223, 224]
    with torch.device("meta"):
        for side in sides:
            model = build_model(architecture, (1, side, side), 2)
            assert model(torch.empty(1, 1, side, side)).shape == (1, 2)


def test_the_generator_alone_decides_the_weights(architecture):
    def weights(seed: int) -> list[torch.Tensor]:
        model = build_model(architecture, (1, 8, 8), 3, named_generator(seed))
        return [*model.parameters(), *model.buffers()]

    torch.manual_seed(1)
    first = weights(0)
    torch.manual_seed(2)
    assert all(map(torch.equal, first, weights(0)))
    assert not torch.equal(first[0], weights(1)[0])


def test_initializing_again_starts_anew(architecture):
    model = build_model(architecture, (1, 8, 8), 3, named_generator(0))
    first = [value.clone() for value in model.state_dict().values()]
    model.train()(draw(4, 1, 8, 8))  # BatchNorm keeps statistics
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    initialize(model, named_generator(0))
    assert all(map(torch.equal, first, model.state_dict().values()))


def test_training_draws_nothing_from_the_global_generator(architecture):
    images, labels = draw(9, 1, 8, 8), torch.arange(9) % 3
    recipe = Recipe(epochs=1, batch_size=4)  # the last batch is one image

    def train() -> list[torch.Tensor]:
        model = train_network(architecture, TrainingSet(images, labels, 3, DIGITS), recipe, 0)
        return [value.clone() for value in model.state_dict().values()]

    torch.manual_seed(1)
    first = train()
    torch.manual_seed(2)
    assert all(map(torch.equal, first, train()))
    model = build_model(architecture, (1, 8, 8), 3, named_generator(0)).train()
    before = torch.get_rng_state()
    model(images)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("training", [True, False])
def test_gradients_reach_every_image_and_every_weight(architecture, training):
    model = build_model(architecture, (3, 9, 10), 4, named_generator(0)).train(training)
    images = draw(3, 3, 9, 10).requires_grad_(True)
    (model(images) * draw(3, 4, seed=1)).sum().backward()
    assert images.grad.isfinite().all()
    assert (images.grad.flatten(1).abs().sum(1) > 0).all()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("family", TOO_SMALL)
def test_too_small_images_are_named(family):
    side, message = TOO_SMALL[family]
    architecture = {"family": family, **SMALL[family]}
    for act in (check_architecture, lambda *args: build_model(*args, 10)):
        with pytest.raises(ConfigError, match=message):
            act(architecture, (3, side, 9))
        with pytest.raises(ConfigError, match=f"9x{side}"):
            act(architecture, (3, 9, side))
    check_architecture(architecture, (3, side + 1, 9))


def test_unknown_settings_are_named(architecture):
    family = architecture["family"]
    with pytest.raises(ConfigError, match=f"unknown setting '{family}.colour'"):
        check_architecture({**architecture, "colour": 1}, (1, 8, 8))
