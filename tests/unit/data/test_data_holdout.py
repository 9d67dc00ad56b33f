from __future__ import annotations

from collections import Counter

import numpy as np
import torch
from sklearn.datasets import load_digits

from nasproxy.config import DataConfig
from nasproxy.data.dataset import load_dataset
from nasproxy.data.holdout import load_test_split


def _rows(images: torch.Tensor, normalization) -> list[bytes]:
    return [row.tobytes() for row in (normalization.undo(images) * 255).round().byte().numpy()]


def test_train_validation_and_test_divide_the_digits(digits):
    test = load_test_split(digits)
    assert (len(digits.train) + len(digits.validation), len(test)) == (1437, 360)
    parts = (digits.train, digits.validation, test)
    found = Counter(row for part in parts for row in _rows(part.images, digits.normalization))
    pixels = np.round(load_digits().images * (255 / 16)).astype(np.uint8)[:, None]
    assert found == Counter(row.tobytes() for row in pixels)
    # stratified: 36 of each digit, give or take one
    assert torch.bincount(test.labels).min() >= 34


def test_it_is_the_same_whatever_the_seed_and_uses_the_training_statistics(digits):
    test = load_test_split(digits)
    other = load_test_split(load_dataset(DataConfig(dataset="digits", seed=5)))
    assert torch.equal(test.images, other.images)
    mean, std = digits.normalization.mean[0], digits.normalization.std[0]
    pixels = digits.normalization.undo(test.images)
    torch.testing.assert_close(test.images, (pixels - mean) / std)
    assert abs(test.images.mean()) > 1e-4  # standardised by others, not by itself


def test_it_is_resized_as_the_training_images_are():
    data = load_dataset(DataConfig(dataset="digits", image_size=16))
    assert load_test_split(data).images.shape == (360, 1, 16, 16)
