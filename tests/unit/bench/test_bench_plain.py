"""The other side of the ratios."""

import pytest
import torch

from nasproxy.bench.plain import (
    batches_of,
    build_plain,
    random_affine,
    score_plain,
    shuffled,
    tensors_of,
    to_pictures,
    train_plain,
)
from nasproxy.config import DIGITS, Augmentation, Recipe
from nasproxy.training.evaluate import accuracy
from nasproxy.training.network import TrainingSet

NETWORK = {"family": "convnet", "depth": 2, "width": 8, "norm": "batch"}


@pytest.fixture(scope="module")
def data(digits):
    return TrainingSet(digits.train.images, digits.train.labels, 10, Augmentation())


def test_the_plain_loop_trains(digits, data):
    model = build_plain(NETWORK, data, 0)
    before = score_plain(model, tensors_of(digits.validation))
    loader = batches_of(data.images, data.targets, 64, 0)
    train_plain(model, loader, Recipe(epochs=3), change=random_affine(DIGITS))
    after = score_plain(model, tensors_of(digits.validation))
    assert after > max(before, 0.5)
    assert after == pytest.approx(accuracy(model, digits.validation))


def test_training_can_end_early(data):
    model = build_plain(NETWORK, data, 0)
    calls = []

    def count(images):
        calls.append(len(images))
        return images

    loader = batches_of(data.images[:100], data.targets[:100], 64, 0)
    train_plain(model, loader, Recipe(epochs=3), epochs=2, change=count)
    assert calls == [64, 36, 64, 36]


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_the_images(digits, channels):
    images = digits.train.images[:20].expand(-1, channels, -1, -1)
    pictures = to_pictures(images, digits.train.labels[:20], digits.normalization)
    found = torch.stack([pictures[index][0] for index in range(len(pictures))])
    tolerance = 0.51 / 255 / digits.normalization.std[0]
    torch.testing.assert_close(found, images, atol=tolerance, rtol=0)
    _, labels = next(iter(shuffled(pictures, 20, 0)))
    assert sorted(labels.tolist()) == sorted(digits.train.labels[:20].tolist())


def test_an_augmentation_of_nothing_changes_nothing(digits):
    images = digits.train.images[:3]
    torch.testing.assert_close(random_affine(Augmentation())(images), images)
