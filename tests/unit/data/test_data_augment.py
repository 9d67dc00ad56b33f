from __future__ import annotations

import math

import pytest
import torch

from nasproxy._random import named_generator
from nasproxy.config import DIGITS, OBJECTS, Augmentation
from nasproxy.data.augment import SampledChange, sample_change

ALL = Augmentation(
    rotate=20, scale=0.2, shift=0.1, brightness=0.3, contrast=0.4, cutout=0.3, flip=True
)
EACH = [
    ALL,
    *(Augmentation(**{name: value}) for name, value in ALL.to_dict().items()),
]


def change(**parts) -> SampledChange:
    empty = {"theta": None, "gain": None, "offset": None, "hole": None, "hole_side": 0.0}
    return SampledChange(**{**empty, **parts})


def test_identity_settings_change_nothing():
    assert sample_change(Augmentation(), 4, named_generator(0)) is None


@pytest.mark.parametrize("settings", EACH, ids=lambda s: next(iter(s.to_dict().items()))[0])
def test_one_siamese_change_is_the_same_change_repeated(settings):
    images = torch.randn(3, 2, 6, 6)
    one = sample_change(settings, 1, named_generator(3))
    repeated = SampledChange(
        *(
            None if part is None else part.expand(3, *part.shape[1:])
            for part in (one.theta, one.gain, one.offset, one.hole)
        ),
        one.hole_side,
    )
    changed = one.apply(images)
    torch.testing.assert_close(changed, repeated.apply(images))
    for index in range(3):  # whatever else is in the batch
        torch.testing.assert_close(changed[index], one.apply(images[index : index + 1])[0])


def test_each_image_gets_its_own_change():
    images = torch.randn(1, 1, 6, 6).expand(4, 1, 6, 6)
    changed = sample_change(ALL, 4, named_generator(3)).apply(images)
    assert len({tuple(image.flatten().tolist()) for image in changed}) == 4


@pytest.mark.parametrize("settings", EACH, ids=lambda s: str(s.to_dict())[:40])
def test_gradients_flow(settings):
    drawn = sample_change(settings, 1, named_generator(1))
    images = torch.randn(2, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(drawn.apply, images)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_rotation_by_right_angles(k):
    angle = torch.tensor(k * math.pi / 2)
    theta = torch.tensor([[angle.cos(), -angle.sin(), 0], [angle.sin(), angle.cos(), 0]])[None]
    images = torch.randn(2, 3, 5, 5)
    expected = torch.rot90(images, k, dims=(2, 3))
    torch.testing.assert_close(change(theta=theta).apply(images), expected, atol=1e-5, rtol=0)


def test_shift_repeats_the_edge():
    image = torch.arange(16.0).view(1, 1, 4, 4)
    theta = torch.tensor([[[1, 0, 0.5], [0, 1, 0]]])  # a quarter of the side to the left
    expected = image[..., [1, 2, 3, 3]]
    torch.testing.assert_close(change(theta=theta).apply(image), expected)


def test_gain_and_offset_by_hand():
    image = torch.tensor([[[[0.0, 1], [2, 5]]]])
    drawn = change(gain=torch.full((1, 1, 1, 1), 2.0), offset=torch.full((1, 1, 1, 1), 10.0))
    assert drawn.apply(image).flatten().tolist() == [8, 10, 12, 18]  # mean 2 stays


@pytest.mark.parametrize(
    ("centre", "side", "blank"),
    [
        ((0.0, 0.0), 0.5, (slice(1, 3), slice(1, 3))),
        ((-1.0, -1.0), 0.5, (slice(0, 1), slice(0, 1))),
        ((1.0, 0.0), 0.5, (slice(3, 4), slice(1, 3))),
    ],
)
def test_cutout_blanks_its_square(centre, side, blank):
    expected = torch.ones(1, 2, 4, 4)
    expected[:, :, blank[0], blank[1]] = 0
    drawn = change(hole=torch.tensor([centre]), hole_side=side)
    assert torch.equal(drawn.apply(torch.ones(1, 2, 4, 4)), expected)


def test_cutout_has_about_the_size_asked_for():
    drawn = sample_change(Augmentation(cutout=0.5), 400, named_generator(0))
    blank = (drawn.apply(torch.ones(400, 1, 32, 32)) == 0).double().mean((1, 2, 3))
    assert blank.max() <= 0.26  # a square of half the side, less where it leaves the image
    assert blank.max() > 0.2


def test_no_flip_unless_asked():
    def mirrored(settings):
        theta = sample_change(settings, 500, named_generator(0)).theta
        return (theta[:, :, :2].det() < 0).double().mean()

    assert mirrored(DIGITS) == 0
    assert 0.4 < mirrored(OBJECTS) < 0.6


def test_drawn_sizes_stay_within_the_settings():
    drawn = sample_change(ALL.replace(flip=False), 1000, named_generator(0))
    angle = torch.atan2(drawn.theta[:, 1, 0], drawn.theta[:, 1, 1])
    zoom = drawn.theta[:, :, :2].det().sqrt()
    assert math.radians(19) < angle.abs().max() <= math.radians(20) + 1e-6
    assert 1 / 1.2 - 1e-6 <= zoom.min() < 0.84
    assert 1.24 < zoom.max() <= 1 / 0.8 + 1e-6
    assert 0.19 < drawn.theta[:, :, 2].abs().max() <= 0.2  # a tenth of the side is 0.2 of [-1, 1]
    assert 0.39 < (drawn.gain - 1).abs().max() <= 0.4
    assert 0.29 < drawn.offset.abs().max() <= 0.3


def test_zero_sizes_leave_their_part_out():
    drawn = sample_change(Augmentation(brightness=0.1), 2, named_generator(0))
    assert (drawn.theta, drawn.gain, drawn.hole) == (None, None, None)
    drawn = sample_change(Augmentation(rotate=5), 2, named_generator(0))
    assert (drawn.gain, drawn.offset, drawn.hole) == (None, None, None)
    drawn = sample_change(Augmentation(cutout=0.1), 2, named_generator(0))
    assert (drawn.theta, drawn.gain, drawn.offset) == (None, None, None)
