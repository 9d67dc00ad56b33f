from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from image_files import encode, folder_config, noise, write_classes

from nasproxy.config import AUGMENTATIONS, DIGITS, GENERIC, TISSUE, Augmentation, DataConfig
from nasproxy.data.dataset import load_dataset
from nasproxy.data.holdout import load_test_split
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


SPLITS_OF_VERSION_0_1 = {
    0: ("6f9040b4a5c18754", "622ed1454b864245"),
    3: ("222d7b32c07992c7", "2bfef083929b47d9"),
}


@pytest.mark.parametrize("seed", SPLITS_OF_VERSION_0_1)
def test_splits_stay_as_they_were(seed):
    """Records and proxies of older versions belong to these very images."""
    data = load_dataset(DataConfig(dataset="digits", seed=seed))
    found = []
    for part in (data.train, data.validation):
        pixels = (data.normalization.undo(part.images) * 255).round().byte()
        found.append(hashlib.sha256(pixels.numpy().tobytes()).hexdigest()[:16])
    assert tuple(found) == SPLITS_OF_VERSION_0_1[seed]
    assert data.fingerprint.startswith("e7ea3f70d9d65f7b")
    assert data.normalization.mean == pytest.approx((0.30543369383139,), abs=1e-12)
    assert data.normalization.std == pytest.approx((0.37595716816130,), abs=1e-12)


def test_a_given_validation_part_is_taken_whatever_seed_and_fraction(tmp_path):
    for part, count in (("train", 6), ("val", 3), ("test", 2)):
        write_classes(tmp_path / "d" / part, count, seed=count)
    one = load_dataset(folder_config(tmp_path / "d"))
    other = load_dataset(folder_config(tmp_path / "d", seed=9, validation_fraction=0.8))
    assert (len(one.train), len(one.validation), len(load_test_split(one))) == (12, 6, 4)
    assert torch.equal(one.train.images, other.train.images)
    assert torch.equal(one.validation.images, other.validation.images)


def test_statistics_are_those_of_the_training_part_alone(tmp_path):
    write_classes(tmp_path / "d" / "train", 4, channels=1)
    for part in ("val", "test"):
        for name in ("ant", "bee"):
            (tmp_path / "d" / part / name).mkdir(parents=True)
            (tmp_path / "d" / part / name / "0.png").write_bytes(encode(noise(0, channels=1)))
    data = load_dataset(folder_config(tmp_path / "d"))
    assert abs(data.train.images.double().mean()) < 1e-6
    assert abs(data.train.images.double().std(correction=0) - 1) < 1e-6


def test_augmentation_fits_the_data_set_and_can_be_overridden(tmp_path, mhist):
    write_classes(tmp_path / "d", 5)
    kinds = {
        "digits": DIGITS,
        f"folder:{tmp_path / 'd'}": GENERIC,
        f"mhist:{mhist()}": TISSUE,
    }
    own = Augmentation(shift=0.3)
    for dataset, fitting in kinds.items():
        assert load_dataset(DataConfig(dataset=dataset)).augmentation == fitting
        for name, values in AUGMENTATIONS.items():
            config = DataConfig(dataset=dataset, augmentation=name)
            assert load_dataset(config).augmentation == values
        assert load_dataset(DataConfig(dataset=dataset, augmentation=own)).augmentation == own


def test_parts_of_different_shapes_are_refused(npz):
    path, _ = npz(val_images=np.zeros((6, 9, 5), np.uint8))
    with pytest.raises(DataError, match=r"val images are \(1, 9, 5\), training images .1, 6, 5"):
        load_dataset(DataConfig(dataset=f"npz:{path}"))
    assert load_dataset(DataConfig(dataset=f"npz:{path}", image_size=8)).image_shape == (1, 8, 8)


@pytest.mark.parametrize("shape", [(6, 9, 5), (6, 6, 5, 3)])
def test_a_test_part_of_another_shape_is_refused(npz, shape):
    path, _ = npz(test_images=np.zeros(shape, np.uint8))
    data = load_dataset(DataConfig(dataset=f"npz:{path}"))
    with pytest.raises(DataError, match=r"test images are .* training images"):
        load_test_split(data)


def test_unknown_data_set():
    with pytest.raises(DataError, match=r"unknown data set 'digit'.*did you mean 'digits'"):
        load_dataset(DataConfig(dataset="digit"))
