from __future__ import annotations

import pytest
import torch

from nasproxy.distill.matching import kept_by_depth, kept_by_loss, normalized_distance
from nasproxy.models.family import build_model

ALL = torch.ones(3, dtype=torch.bool)


def test_distance_by_hand():
    start, target = torch.tensor([0.0, 0, 0]), torch.tensor([1.0, 2, 3])
    end = torch.tensor([1.0, 1, 5])  # left: 0, 1, 4; way: 1, 4, 9
    assert normalized_distance(end, start, target, ALL).item() == pytest.approx(5 / 14)
    kept = torch.tensor([False, True, True])
    assert normalized_distance(end, start, target, kept).item() == pytest.approx(5 / 13)
    kept = torch.tensor([True, True, False])
    assert normalized_distance(end, start, target, kept).item() == pytest.approx(1 / 5)


def test_distance_at_both_ends_of_the_way():
    start, target = torch.randn(2, 3)
    assert normalized_distance(start, start, target, ALL).item() == 1
    assert normalized_distance(target, start, target, ALL).item() == 0
    assert not normalized_distance(target, start, start, ALL).isfinite()  # no way at all


def test_left_out_parameters_get_no_gradient():
    end = torch.randn(4, requires_grad=True)
    kept = kept_by_depth(4, 0.5)
    normalized_distance(end, torch.zeros(4), torch.ones(4), kept).backward()
    assert end.grad is not None
    assert not end.grad[:2].any()
    assert end.grad[2:].all()


def test_depth_against_a_net_counted_by_hand():
    """Conv 1->2 (18 weights), norm (2 + 2), conv 2->2 (36), norm (2 + 2), linear 8->3 (24 + 3)."""
    architecture = {"depth": 2, "width": 2}
    model = build_model(architecture, (1, 8, 8), 3)
    sizes = [parameter.numel() for parameter in model.parameters()]
    assert sizes == [18, 2, 2, 36, 2, 2, 24, 3]
    assert [name.split(".")[0] for name, _ in model.named_parameters()] == (
        ["blocks"] * 6 + ["classifier"] * 2
    )
    for alpha, left_out in [(0.0, 0), (0.01, 0), (0.25, 22), (0.5, 44), (0.75, 66), (0.999, 88)]:
        kept = kept_by_depth(89, alpha)
        assert kept.dtype == torch.bool
        assert kept.tolist() == [False] * left_out + [True] * (89 - left_out)
    assert kept_by_depth(89, 0.25).split(sizes)[0].logical_not().all()  # the first convolution
    assert kept_by_depth(89, 0.25).split(sizes)[3].all()  # and none of the second one


def test_loss_leaves_out_what_matches_best():
    end, target = torch.tensor([0.0, 3, -1, 2]), torch.tensor([0.0, 1, 1, 2.5])  # 0, 4, 4, 0.25
    expected = {0.0: [1, 1, 1, 1], 0.25: [0, 1, 1, 1], 0.5: [0, 1, 1, 0], 0.75: [0, 0, 1, 0]}
    for alpha, kept in expected.items():
        assert kept_by_loss(end, target, alpha).int().tolist() == kept
