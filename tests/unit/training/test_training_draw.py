from __future__ import annotations

import pytest
import torch

from nasproxy._random import named_generator
from nasproxy.config import DIGITS, TISSUE, Augmentation
from nasproxy.data.augment import sample_change
from nasproxy.training import draw
from nasproxy.training.draw import Draw, draw_steps

CPU = torch.device("cpu")
ALL = TISSUE.replace(cutout=0.3)


def epochs(generator, count=7):
    """Batches of 3, 3 and 1, which draw from the generator of the changes, too."""
    for _ in range(4):
        yield from torch.randperm(count, generator=generator).split(3)


@pytest.mark.parametrize("settings", [Augmentation(), DIGITS, ALL])
@pytest.mark.parametrize("ahead", [1, 2, 5, 100])
def test_draws_are_the_same_however_far_ahead(monkeypatch, settings, ahead):
    """And those that one step after another would draw for itself."""
    monkeypatch.setattr(draw, "AHEAD_STEPS", ahead)
    device = torch.device("meta")  # anything but a CPU draws ahead; here it goes nowhere
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, to: tensor)
    generator, other = named_generator(0), named_generator(0)
    found = list(draw_steps(epochs(generator), settings, generator, device))
    assert [len(one.chosen) for one in found] == [3, 3, 1] * 4
    for one, chosen in zip(found, epochs(other), strict=True):
        assert torch.equal(one.chosen, chosen)
        change = sample_change(settings, len(chosen), other)
        if change is None:
            assert one.change is None
            continue
        expected = change.tensors()
        assert one.change.hole_side == change.hole_side
        assert one.change.tensors().keys() == expected.keys()
        for name, value in one.change.tensors().items():
            torch.testing.assert_close(value, expected[name], atol=1e-6, rtol=1e-6)
    assert torch.equal(torch.rand(1, generator=generator), torch.rand(1, generator=other))


def test_on_a_cpu_nothing_is_drawn_before_it_is_wanted():
    generator = named_generator(0)
    steps = draw_steps(epochs(generator), DIGITS, generator, CPU)
    next(steps)
    other = named_generator(0)
    next(epochs(other))
    sample_change(DIGITS, 3, other)
    assert torch.equal(generator.get_state(), other.get_state())


def test_a_clone_has_memory_of_its_own():
    (one, *_) = draw_steps(epochs(named_generator(0)), ALL, named_generator(1), CPU)
    clone = one.clone()
    assert len(clone.tensors()) == len(one.tensors()) == 6
    for mine, theirs in zip(clone.tensors(), one.tensors(), strict=True):
        assert torch.equal(mine, theirs)
        assert mine.data_ptr() != theirs.data_ptr()
    assert len(Draw(one.chosen, None).clone().tensors()) == 1
