"""The real MNIST, where NASPROXY_DATA has it."""

from __future__ import annotations

import pytest
import torch

from nasproxy.config import DIGITS
from nasproxy.data.holdout import load_test_split

pytestmark = pytest.mark.mnist

# counts per digit of the published training and test files
TRAIN = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
TEST = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
FINGERPRINT = "7a2f4e223b4160926693eb2fb52519543007efadfb387149fe289952179b579a"


def test_shapes_counts_and_fingerprint(mnist):
    assert mnist.fingerprint == FINGERPRINT
    assert mnist.image_shape == (1, 28, 28)
    assert (len(mnist.train), len(mnist.validation)) == (54001, 5999)
    counts = mnist.class_counts() + torch.bincount(mnist.validation.labels)
    assert counts.tolist() == TRAIN
    assert (mnist.class_counts() / counts - 0.9).abs().max() < 1e-3
    assert mnist.augmentation == DIGITS
    # the figures that everyone quotes
    assert mnist.normalization.mean == pytest.approx((0.1307,), abs=5e-5)
    assert mnist.normalization.std == pytest.approx((0.3081,), abs=5e-5)


def test_test_split(mnist):
    test = load_test_split(mnist)
    assert test.images.shape == (10000, 1, 28, 28)
    assert torch.bincount(test.labels).tolist() == TEST
