from __future__ import annotations

import itertools
import math
from typing import get_args

import pytest
import torch

from nasproxy._random import named_generator
from nasproxy.config import (
    AUGMENTATIONS,
    DIGITS,
    GENERIC,
    OBJECTS,
    TISSUE,
    Augmentation,
    AugmentationName,
)
from nasproxy.data.augment import SampledChange, sample_change

ALL = Augmentation(
    rotate=20, scale=0.2, shift=0.1, brightness=0.3, contrast=0.4, cutout=0.3, flip=True,
    flip_vertical=True, saturation=0.5,
)  # fmt: skip
EACH = [
    ALL,
    *(Augmentation(**{name: value}) for name, value in ALL.to_dict().items()),
]


def change(**parts) -> SampledChange:
    nothing = dict.fromkeys(("theta", "gain", "offset", "saturation", "hole"))
    return SampledChange(**{**nothing, "hole_side": 0.0, **parts})


def test_identity_settings_change_nothing():
    assert sample_change(Augmentation(), 4, named_generator(0)) is None


@pytest.mark.parametrize("settings", EACH, ids=lambda s: next(iter(s.to_dict().items()))[0])
def test_one_siamese_change_is_the_same_change_repeated(settings):
    images = torch.randn(3, 2, 6, 6)
    one = sample_change(settings, 1, named_generator(3))
    repeated = SampledChange(
        *(
            None if part is None else part.expand(3, *part.shape[1:])
            for part in (one.theta, one.gain, one.offset, one.saturation, one.hole)
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
    images = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
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
    settings = ALL.replace(flip=False, flip_vertical=False)
    drawn = sample_change(settings, 1000, named_generator(0))
    angle = torch.atan2(drawn.theta[:, 1, 0], drawn.theta[:, 1, 1])
    zoom = drawn.theta[:, :, :2].det().sqrt()
    assert math.radians(19) < angle.abs().max() <= math.radians(20) + 1e-6
    assert 1 / 1.2 - 1e-6 <= zoom.min() < 0.84
    assert 1.24 < zoom.max() <= 1 / 0.8 + 1e-6
    assert 0.19 < drawn.theta[:, :, 2].abs().max() <= 0.2  # a tenth of the side is 0.2 of [-1, 1]
    assert 0.39 < (drawn.gain - 1).abs().max() <= 0.4
    assert 0.29 < drawn.offset.abs().max() <= 0.3
    assert 0.49 < (drawn.saturation - 1).abs().max() <= 0.5


def test_zero_sizes_leave_their_part_out():
    drawn = sample_change(Augmentation(brightness=0.1), 2, named_generator(0))
    assert (drawn.theta, drawn.gain, drawn.saturation, drawn.hole) == (None,) * 4
    drawn = sample_change(Augmentation(rotate=5), 2, named_generator(0))
    assert (drawn.gain, drawn.offset, drawn.saturation, drawn.hole) == (None,) * 4
    drawn = sample_change(Augmentation(cutout=0.1), 2, named_generator(0))
    assert (drawn.theta, drawn.gain, drawn.offset, drawn.saturation) == (None,) * 4
    drawn = sample_change(Augmentation(saturation=0.1), 2, named_generator(0))
    assert (drawn.theta, drawn.gain, drawn.offset, drawn.hole) == (None,) * 4


def test_flips_alone_give_each_mirror_image_equally_often():
    image = torch.randn(1, 2, 5, 4)
    for settings, axes in [
        (Augmentation(flip=True), [(), (3,)]),
        (Augmentation(flip_vertical=True), [(), (2,)]),
        (Augmentation(flip=True, flip_vertical=True), [(), (3,), (2,), (2, 3)]),
    ]:
        drawn = sample_change(settings, 400, named_generator(0))
        changed = drawn.apply(image.expand(400, -1, -1, -1))
        shares = [
            ((changed - image.flip(axis)).abs().amax((1, 2, 3)) < 1e-5).double().mean().item()
            for axis in axes
        ]
        assert sum(shares) == 1
        assert shares == pytest.approx([1 / len(axes)] * len(axes), abs=0.08)


def test_the_order_of_flip_and_rotation():
    """As maps of coordinates: a rotation by 20 degrees of the image that is upside down."""
    cos, sin = math.cos(math.radians(20)), math.sin(math.radians(20))
    rotation = torch.tensor([[cos, -sin, 0], [sin, cos, 0]])[None]
    both = torch.tensor([[cos, sin, 0], [sin, -cos, 0]])[None]  # second column turned round
    image = torch.randn(1, 1, 7, 7)
    one = change(theta=both).apply(image)
    torch.testing.assert_close(one, change(theta=rotation).apply(image).flip(2))
    drawn = sample_change(Augmentation(rotate=20, flip_vertical=True), 200, named_generator(0))
    columns = drawn.theta[:, :, :2]
    torch.testing.assert_close(columns @ columns.mT, torch.eye(2).expand(200, 2, 2))
    assert 0.4 < (columns.det() < 0).double().mean() < 0.6


def test_saturation_by_hand():
    image = torch.tensor([0.0, 3.0, 6.0]).view(1, 3, 1, 1)  # grey is 3
    for factor, expected in [(0.0, [3, 3, 3]), (0.5, [1.5, 3, 4.5]), (2.0, [-3, 3, 9])]:
        drawn = change(saturation=torch.full((1, 1, 1, 1), factor))
        assert drawn.apply(image).flatten().tolist() == expected


def test_saturation_does_nothing_to_one_channel():
    images = torch.randn(4, 2, 3, 3)
    drawn = sample_change(Augmentation(saturation=1), 4, named_generator(0))
    assert torch.equal(drawn.apply(images[:, :1]), images[:, :1])
    assert not torch.allclose(drawn.apply(images), images)


@pytest.mark.parametrize(
    ("settings", "theta", "gain", "following"),
    [
        (DIGITS, [0.866612, -0.118671, -0.120782, 0.118671, 0.866612, 0.149], None, 0.0900463462),
        (
            OBJECTS.replace(contrast=0.5),
            [0.909071, -0.082704, -0.120782, 0.082704, 0.909071, 0.149],
            1.0944248438,
            0.7877939940,
        ),
    ],
    ids=["digits", "objects"],
)
def test_draws_are_those_of_the_first_version(settings, theta, gain, following):
    """Proxies and trainings of older versions can be made again, bit for bit."""
    generator = named_generator(0)
    drawn = sample_change(settings, 1, generator)
    assert drawn.theta.flatten().tolist() == pytest.approx(theta, abs=1e-6)
    assert (drawn.gain is None) == (gain is None)
    if gain is not None:
        assert drawn.gain.item() == pytest.approx(gain, abs=1e-7)
    assert torch.rand(1, generator=generator).item() == pytest.approx(following, abs=1e-7)


def test_later_kinds_leave_the_numbers_of_the_others():
    settings = ALL.replace(flip_vertical=False, saturation=0.0)
    before = sample_change(settings, 5, named_generator(2))
    after = sample_change(settings.replace(saturation=0.2), 5, named_generator(2))
    for name in ("theta", "gain", "offset", "hole"):
        assert torch.equal(getattr(before, name), getattr(after, name))
    upside_down = sample_change(ALL, 5, named_generator(2))
    assert torch.equal(upside_down.theta[:, :, [0, 2]], before.theta[:, :, [0, 2]])
    assert torch.equal(upside_down.theta[:, :, 1].abs(), before.theta[:, :, 1].abs())


def test_presets():
    assert set(AUGMENTATIONS) == set(get_args(AugmentationName))
    assert sample_change(AUGMENTATIONS["none"], 3, named_generator(0)) is None
    assert (TISSUE.flip, TISSUE.flip_vertical) == (True, True)
    for name in ("digits", "generic"):
        assert not AUGMENTATIONS[name].flip
    for name in ("digits", "objects", "generic"):
        assert not AUGMENTATIONS[name].flip_vertical
    assert GENERIC.rotate <= min(DIGITS.rotate, OBJECTS.rotate)
    for one, other in itertools.combinations(AUGMENTATIONS.values(), 2):
        assert one != other


def test_settings_that_came_later_are_written_only_where_they_are_on():
    """Manifests of older versions stay as they are, byte for byte."""
    assert list(DIGITS.to_dict()) == [
        "rotate", "scale", "shift", "brightness", "contrast", "cutout", "flip",
    ]  # fmt: skip
    assert {"flip_vertical", "saturation"} < set(TISSUE.to_dict())
    for settings in (*AUGMENTATIONS.values(), ALL):
        assert Augmentation.parse(settings.to_dict()) == settings
    assert TISSUE.replace(saturation=0, flip_vertical=False).saturation == 0


@pytest.mark.parametrize("channels", [1, 3])
def test_tissue_changes_stay_moderate(channels):
    images = torch.randn(6, channels, 12, 12)
    changed = sample_change(TISSUE, 6, named_generator(0)).apply(images)
    assert changed.shape == images.shape
    assert changed.isfinite().all()
    assert changed.abs().max() < 1.5 * images.abs().max() + 0.2
