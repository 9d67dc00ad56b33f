from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nasproxy.errors import ConfigError
from nasproxy.models.family import build_model
from nasproxy.models.norm import NORMS
from nasproxy.scores.cost import cost_of, measure_cost

# a multiply-add is two operations: convolution 2 x in x 9 x out x H x W, linear 2 x in x out
CASES = [
    (
        {"depth": 1, "width": 4, "norm": "none"}, (1, 8, 8),
        9 * 4 + 4 + 64 * 10 + 10,
        2 * (9 * 4 * 64 + 64 * 10),
    ),
    (
        {"depth": 2, "width": 8, "norm": "batch", "pooling": "max"}, (3, 8, 12),
        27 * 8 + 16 + 72 * 8 + 16 + 48 * 10 + 10,
        2 * (27 * 8 * 96 + 72 * 8 * 24 + 48 * 10),
    ),
    (
        {"family": "mlp", "hidden": [32, 64]}, (1, 28, 28),
        785 * 32 + 33 * 64 + 65 * 10,
        2 * (784 * 32 + 32 * 64 + 64 * 10),
    ),
    (
        {"family": "alexnet"}, (1, 8, 8),
        26 * 96 + (25 * 96 + 1) * 256 + (9 * 256 + 1) * 384 + (9 * 384 + 1) * (384 + 256) + 2570,
        2 * (
            25 * 96 * 64 + 25 * 96 * 256 * 16  # 8x8, pooled to 4x4, then to 2x2
            + 9 * (256 * 384 + 384 * 384 + 384 * 256) * 4 + 256 * 10
        ),
    ),
    (
        {"family": "resnet18"}, (1, 9, 9),  # stages of 9x9, 5x5, 3x3 and 2x2
        9 * 64 + 128 + 4 * (9 * 64 * 64 + 128)
        + sum(9 * n // 2 * n + 3 * 9 * n * n + n // 2 * n + 5 * 2 * n for n in (128, 256, 512))
        + 5130,
        2 * (
            9 * 64 * 81 + 4 * 9 * 64 * 64 * 81 + 512 * 10
            + sum(
                (9 * n // 2 * n + 3 * 9 * n * n + n // 2 * n) * pixels  # the last is the 1x1
                for n, pixels in ((128, 25), (256, 9), (512, 4))
            )
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("architecture", "shape", "params", "flops"), CASES)
def test_cost_by_hand(architecture, shape, params, flops):
    assert measure_cost(architecture, shape, 10) == (params, flops)


def test_the_literatures_convnet_3():
    """48.4 M multiply-adds on MNIST padded to 32x32."""
    cost = measure_cost({"depth": 3, "width": 128}, (1, 32, 32), 10)
    assert cost.num_flops / 2 == pytest.approx(48.4e6, rel=0.002)


def test_the_published_resnet18():
    """torchvision publishes 11,689,512 parameters and 1.814 G multiply-adds for ImageNet."""
    cost = measure_cost({"family": "resnet18"}, (3, 224, 224), 1000)
    assert cost.num_params == 11_689_512
    assert cost.num_flops / 2 == pytest.approx(1.814e9, rel=0.0005)


class Scaled(nn.LayerNorm):
    """A norm of somebody's own: another signature, a layer of its own, another shape."""

    def __init__(self) -> None:
        super().__init__(6)
        self.mix = nn.Linear(6, 5)

    def forward(self, input, scale):
        return self.mix(super().forward(input)) * scale


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 6, 3, padding=1)
        self.norms = nn.ModuleList([nn.BatchNorm2d(6), nn.GroupNorm(2, 6), nn.InstanceNorm2d(6)])
        self.scaled = Scaled()

    def forward(self, images):
        images = self.conv(images)
        for norm in self.norms:
            images = norm(input=images)
        return self.scaled(images.mean((2, 3)), scale=2.0)


def test_norms_of_ones_own_count_with_what_they_hold():
    with torch.device("meta"):
        own = Own()
    assert cost_of(own, (1, 4, 4)).num_flops == 2 * (9 * 6 * 16 + 6 * 5)


@pytest.mark.parametrize(
    "architecture",
    [*({"depth": 2, "width": 8, "norm": norm} for norm in NORMS), {"family": "resnet18"}],
)
def test_what_is_left_out_to_be_fast_counts_nothing(architecture):
    network = build_model(architecture, (3, 16, 16), 4).eval()
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, 16, 16))
    assert measure_cost(architecture, (3, 16, 16), 4).num_flops == counter.get_total_flops()


def test_misfits():
    with pytest.raises(ConfigError, match="depth 5"):
        measure_cost({"depth": 5}, (1, 8, 8), 10)
