from __future__ import annotations

import pytest
import torch
from torch import nn

from nasproxy._random import named_generator
from nasproxy.errors import ConfigError
from nasproxy.models.base import initialize
from nasproxy.models.family import build_model
from nasproxy.models.norm import NORMS, build_norm, recalibrate_batch_norm


@pytest.mark.parametrize(("name", "group"), [("instance", 1), ("layer", 8), ("group", 2)], ids=str)
def test_group_norms_by_hand(name, group):
    """`group` channels share a mean and a variance."""
    x = torch.randn(3, 8, 4, 5) * 3 + 1
    parts = x.view(3, 8 // group, group, 4, 5)
    mean = parts.mean((2, 3, 4), keepdim=True)
    variance = (parts - mean).square().mean((2, 3, 4), keepdim=True)
    expected = ((parts - mean) / (variance + 1e-5).sqrt()).view_as(x)
    torch.testing.assert_close(build_norm(name, 8)(x), expected)


def test_batch_and_none():
    x = torch.randn(6, 8, 4, 5) * 3 + 1
    mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
    expected = (x - mean.view(1, -1, 1, 1)) / (variance + 1e-5).sqrt().view(1, -1, 1, 1)
    torch.testing.assert_close(build_norm("batch", 8)(x), expected)
    assert build_norm("none", 8)(x) is x


def test_errors():
    with pytest.raises(ConfigError, match="multiple of 4 for norm group, got 6"):
        build_norm("group", 6)
    with pytest.raises(ConfigError, match=r"unknown norm 'bach'.*did you mean 'batch'"):
        build_norm("bach", 8)


@pytest.mark.parametrize("batch_size", [250, 20, 33])
def test_recalibration_is_the_mean_over_passes_of_real_images(digits, batch_size):
    images = digits.calibration_part(100)[:100]
    architecture = {"depth": 2, "width": 4, "norm": "batch"}
    model = build_model(architecture, (1, 8, 8), 10, named_generator(0))
    model(torch.randn(50, 1, 8, 8) * 9)  # statistics of something else
    norms = [block[1] for block in model.blocks]
    for norm, momentum in zip(norms, (0.1, 0.37), strict=True):
        norm.momentum = momentum
    expected: list[list] = [[], []]
    with torch.no_grad():
        for start in range(0, 100, batch_size):
            batch = images[start : start + batch_size]
            if len(batch) == 1:
                continue
            for index, (block, pool) in enumerate(zip(model.blocks, model.pools, strict=True)):
                seen = block[0](batch)
                mean, variance = seen.mean((0, 2, 3)), seen.var((0, 2, 3), correction=0)
                size = seen.numel() / 4
                expected[index].append((mean, variance * size / (size - 1)))
                shape = (1, -1, 1, 1)
                seen = (seen - mean.view(shape)) / (variance.view(shape) + 1e-5).sqrt()
                batch = pool(seen.relu())
    recalibrate_batch_norm(model, images, batch_size)
    for norm, passes in zip(norms, expected, strict=True):
        means, variances = zip(*passes, strict=True)
        torch.testing.assert_close(norm.running_mean, torch.stack(means).mean(0))
        torch.testing.assert_close(norm.running_var, torch.stack(variances).mean(0))
    assert [norm.momentum for norm in norms] == [0.1, 0.37]
    assert not model.training


@pytest.mark.parametrize("norm", [name for name in NORMS if name != "batch"])
def test_recalibration_leaves_other_networks_alone(norm):
    model = build_model({"depth": 1, "width": 4, "norm": norm}, (1, 8, 8), 3, named_generator(0))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    recalibrate_batch_norm(model, torch.randn(10, 1, 8, 8))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("num_images", [0, 1])
def test_too_few_images_to_recalibrate_on_change_nothing(num_images):
    norm = nn.BatchNorm2d(2)
    norm(torch.randn(10, 2, 4, 4) + 5)
    before = norm.running_mean.clone()
    recalibrate_batch_norm(norm, torch.randn(num_images, 2, 4, 4))
    assert torch.equal(norm.running_mean, before)


def test_initialize_makes_norms_the_identity():
    norm = nn.BatchNorm2d(3)
    norm(torch.randn(8, 3, 2, 2) + 4)
    nn.init.constant_(norm.weight, 7)
    initialize(norm, named_generator(0))
    assert norm.weight.tolist() == [1, 1, 1]
    assert norm.running_mean.tolist() == [0, 0, 0]
