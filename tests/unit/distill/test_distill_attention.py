from __future__ import annotations

import pytest
import torch

from nasproxy.distill.attention import class_means, spatial_attention


@pytest.mark.parametrize(
    ("p", "sums"),
    # channels [[1, -2], [0, 1]] and [[2, 0], [0, -1]]: sums over channels of |f|^p
    [(1, [3, 2, 0, 2]), (2, [5, 4, 0, 2]), (4, [17, 16, 0, 2])],
)
def test_attention_by_hand(p, sums):
    features = torch.tensor([[[[1.0, -2], [0, 1]], [[2, 0], [0, -1]]]])
    expected = torch.tensor([sums]).float()
    expected = expected / expected.square().sum().sqrt()
    torch.testing.assert_close(spatial_attention(features, p), expected)


@pytest.mark.parametrize("p", [0.5, 1, 2, 4])
@pytest.mark.parametrize("scale", [1e-3, 1, 1e3])
def test_maps_have_unit_length_whatever_the_scale(p, scale):
    features = torch.randn(5, 3, 4, 4) * scale
    maps = spatial_attention(features, p)
    torch.testing.assert_close(maps.norm(dim=1), torch.ones(5))
    torch.testing.assert_close(maps, spatial_attention(features * 2, p))


def test_features_of_zero_give_zero_and_a_finite_gradient():
    features = torch.zeros(1, 2, 2, 2, requires_grad=True)
    maps = spatial_attention(features, 4)
    assert not maps.any()
    maps.sum().backward()
    assert features.grad.isfinite().all()


def test_a_greater_p_favours_the_most_active_place():
    features = torch.tensor([[[[1.0, 2, 3, 4]]]])
    shares = [spatial_attention(features, p)[0, 3].item() for p in (1, 2, 4)]
    assert shares == sorted(shares)


def test_class_means_by_hand():
    values = torch.tensor([[1.0, 2], [3, 4], [10, 20], [5, 6]])
    labels = torch.tensor([0, 0, 3, 0])
    expected = torch.tensor([[3.0, 4], [0, 0], [0, 0], [10, 20]])  # classes 1 and 2 are missing
    torch.testing.assert_close(class_means(values, labels, 4), expected)


def test_class_means_differentiate():
    values = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 2, 2, 0, 2])
    assert torch.autograd.gradcheck(lambda v: class_means(v, labels, 4), values)
