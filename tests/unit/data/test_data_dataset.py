from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from nasproxy.config import DIGITS, DataConfig
from nasproxy.data.dataset import Normalization, fingerprint, load_dataset, to_pixels
from nasproxy.data.sources import RawPart
from nasproxy.errors import DataError


def test_digits(digits):
    assert (len(digits.train), len(digits.validation)) == (1295, 142)
    assert (digits.num_classes, digits.image_shape) == (10, (1, 8, 8))
    assert digits.augmentation == DIGITS
    assert digits.class_counts().sum() == 1295
    assert digits.train.images.dtype == torch.float32
    assert digits.train.labels.dtype == torch.int64


def test_train_and_validation_together_are_standardised(digits):
    pixels = torch.cat([digits.train.images, digits.validation.images]).double()
    assert abs(pixels.mean()) < 1e-5
    assert abs(pixels.std(correction=0) - 1) < 1e-5


def test_image_size_resizes_and_keeps_the_fingerprint(digits):
    other = load_dataset(DataConfig(dataset="digits", image_size=12, seed=3))
    assert other.image_shape == (1, 12, 12)
    assert other.fingerprint == digits.fingerprint
    pixels = torch.cat([other.train.images, other.validation.images]).double()
    assert abs(pixels.mean()) < 1e-5
    assert abs(pixels.std(correction=0) - 1) < 1e-5
    assert not torch.equal(other.validation.labels, digits.validation.labels)  # another seed


@pytest.mark.parametrize("size", [4, 12])
def test_resizing_is_pillows(size):
    image = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    found = to_pixels(RawPart(image[None, None], np.zeros(1, np.int64)), size)[0, 0] * 255
    resized = Image.fromarray(image.astype(np.float32)).resize((size, size), 2)  # 2: bilinear
    torch.testing.assert_close(found, torch.from_numpy(np.array(resized)), atol=0.01, rtol=0)


def test_normalization_undoes_itself_and_clips():
    normalization = Normalization((0.1, 0.5), (0.2, 0.4))
    pixels = torch.rand(3, 2, 4, 4)
    images = normalization.apply(pixels)
    torch.testing.assert_close(images[:, 1], (pixels[:, 1] - 0.5) / 0.4)
    torch.testing.assert_close(normalization.undo(images), pixels)
    assert normalization.undo(images * 100).max() == 1


def test_fingerprint_changes_with_any_byte_label_or_shape():
    images = np.arange(16, dtype=np.uint8).reshape(2, 1, 2, 4)
    labels = np.array([0, 1])
    prints = {fingerprint(RawPart(images, labels))}
    for index in range(16):
        changed = images.copy()
        changed.flat[index] ^= 1
        prints.add(fingerprint(RawPart(changed, labels)))
    prints.add(fingerprint(RawPart(images, labels[::-1])))
    prints.add(fingerprint(RawPart(images.reshape(2, 1, 4, 2), labels)))
    assert len(prints) == 19
    strided = np.repeat(images, 2, axis=3)[..., ::2]
    assert fingerprint(RawPart(strided, labels)) in prints


def test_parts_are_stratified_and_stable(digits):
    part = digits.validation_part(50)
    assert 45 <= len(part) <= 55
    assert len(part.labels.unique()) == 10
    assert torch.equal(part.images, digits.validation_part(50).images)
    assert digits.validation_part(None) is digits.validation
    assert digits.validation_part(1000) is digits.validation
    assert 95 <= len(digits.calibration_part(100)) <= 105


def test_no_calibration_images_where_none_are_asked_for(digits):
    """`recalibrate_images = 0` leaves BatchNorm as it was trained."""
    assert len(digits.calibration_part(0)) == 0


def test_unknown_data_set():
    with pytest.raises(DataError, match=r"unknown data set 'digit'.*did you mean 'digits'"):
        load_dataset(DataConfig(dataset="digit"))
