"""Average pooling against torch's own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nasproxy.models.pool import AveragePool, _is_slow_case

SHAPES = [(2, 3, 4, 6), (1, 1, 4, 4), (2, 3, 7, 7), (2, 3, 7, 4), (0, 3, 4, 4), (2, 5, 2, 2)]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shape", SHAPES)
def test_pools_and_differentiates_as_torch_does(shape, layout):
    torch.manual_seed(0)
    images = torch.randn(shape).contiguous(memory_format=layout).requires_grad_()
    pooled, expected = AveragePool()(images), F.avg_pool2d(images, 2)
    torch.testing.assert_close(pooled, expected)
    weights = torch.randn_like(pooled)
    (grad,) = torch.autograd.grad(pooled, images, weights)
    (expected_grad,) = torch.autograd.grad(expected, images, weights)
    torch.testing.assert_close(grad, expected_grad)


def test_derivatives_of_both_orders_are_right():
    images = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    assert _is_slow_case(images)
    assert torch.autograd.gradcheck(AveragePool(), images)
    assert torch.autograd.gradgradcheck(lambda x: AveragePool()(x) ** 2, images)


def test_works_under_vmap_and_grad():
    images = torch.randn(3, 2, 2, 4, 4)
    mapped = torch.vmap(torch.func.grad(lambda x: (AveragePool()(x) ** 2).sum()))(images)
    gradient = torch.func.grad(lambda x: (F.avg_pool2d(x, 2) ** 2).sum())
    torch.testing.assert_close(mapped, gradient(images.flatten(0, 1)).view_as(mapped))


def test_leaves_the_graph_to_a_compiler():
    program = torch.export.export(nn.Sequential(AveragePool()), (torch.randn(2, 3, 4, 4),))
    assert any("avg_pool2d" in str(node.target) for node in program.graph.nodes)
