from __future__ import annotations

import pytest
import torch

from nasproxy.config import PADConfig
from nasproxy.distill.base import DistillState
from nasproxy.distill.update import MAX_STEP_CHANGE, clip_rows, move, num_skipped, skip


def test_clipping_by_hand():
    gradient = torch.tensor([[3.0, 4], [0, 1], [6, 8], [0, 0]])  # norms 5, 1, 10, 0: median 1
    clipped, scale = clip_rows(gradient, torch.tensor(0.0), 2.0)
    assert scale == 1
    expected = torch.tensor([[1.2, 1.6], [0, 1], [1.2, 1.6], [0, 0]])
    torch.testing.assert_close(clipped, expected)
    clipped, scale = clip_rows(gradient, torch.tensor(4.0), 1.0)
    assert scale.item() == pytest.approx(0.9 * 4 + 0.1 * 1)
    torch.testing.assert_close(clipped[0].norm(), scale)
    assert clip_rows(100 * gradient, torch.tensor(4.0), 1.0)[1].item() == pytest.approx(4.4)


@pytest.fixture
def state():
    extra = {
        "step_size": torch.tensor(0.1),
        "step_velocity": torch.tensor(0.0),
        "failures": torch.tensor(3),
        "label_logits": torch.zeros(2, 2),
        "label_velocity": torch.ones(2, 2),
    }
    images, labels = torch.zeros(2, 1, 1, 1), torch.tensor([0, 1])
    return DistillState(images, labels, torch.ones_like(images), extra=extra)


@pytest.mark.parametrize("gradient", [2.0, -2.0])
def test_a_step_by_hand(state, gradient):
    """v = m v + g and x = x - lr v, from velocities of 1 and 0."""
    config = PADConfig(
        image_lr=3.0, image_momentum=0.5, label_lr=2.0, label_momentum=0.9, step_lr=1e-3,
        schedule="constant", clip=None,
    )  # fmt: skip
    gradients = {
        "images": torch.full((2, 1, 1, 1), gradient),
        "label_logits": torch.full((2, 2), gradient),
        "step_size": torch.tensor(gradient),
    }
    moved = move(state, gradients, config)
    assert moved.images.flatten().tolist() == [-3 * (0.5 + gradient)] * 2
    expected = torch.full((2, 2), -2 * (0.9 + gradient))
    torch.testing.assert_close(moved.extra["label_logits"], expected)
    assert moved.extra["step_size"].item() == pytest.approx(0.1 - 1e-3 * gradient)
    assert moved.extra["failures"] == 0
    assert state.extra["failures"] == 3, "the state before is left as it was"


def test_the_step_size_changes_by_little_and_stays_positive(state):
    gradients = {"images": torch.zeros(2, 1, 1, 1), "step_size": torch.tensor(1e9)}
    config = PADConfig(soft_labels=False, step_lr=1.0, clip=None)
    for _ in range(3):
        before = state.extra["step_size"].item()
        state = move(state, gradients, config)
        after = state.extra["step_size"].item()
        assert after == pytest.approx((1 - MAX_STEP_CHANGE) * before)


def test_skipped_steps_add_up_also_from_a_state_of_an_older_version(state):
    assert num_skipped(state) == 0
    gradients = {"images": torch.zeros(2, 1, 1, 1), "step_size": torch.tensor(0.0)}
    config = PADConfig(soft_labels=False)
    for total in (1, 2, 3):
        state = move(skip(state), gradients, config)
        assert (state.extra["failures"], num_skipped(state)) == (0, total)
