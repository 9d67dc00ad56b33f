"""Normalization layers by name, and the re-estimation of BatchNorm's statistics."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nasproxy.errors import ConfigError, unknown_name

GROUPS = 4
NORMS = ("none", "batch", "instance", "layer", "group")


def build_norm(name: str, channels: int) -> nn.Module:
    """Build a normalization of (N, C, H, W) features.

    Instance, layer and group normalization are GroupNorm with C, 1 and 4 groups, as in the
    ConvNets of the distillation literature (Zhao et al. 2021, arXiv 2006.05929, section 4.1).

    Raises:
        ConfigError: the name is unknown, or 4 groups do not divide the channels.
    """
    if name == "none":
        return nn.Identity()
    if name == "batch":
        return nn.BatchNorm2d(channels)
    if name == "instance":
        return nn.GroupNorm(channels, channels)
    if name == "layer":
        return nn.GroupNorm(1, channels)
    if name == "group":
        if channels % GROUPS:
            raise ConfigError(
                f"width must be a multiple of {GROUPS} for norm group, got {channels}"
            )
        return nn.GroupNorm(GROUPS, channels)
    raise ConfigError(unknown_name("norm", name, NORMS))


@torch.no_grad()
def recalibrate_batch_norm(model: nn.Module, images: Tensor, batch_size: int = 250) -> None:
    """Re-estimate BatchNorm's running statistics on real images; other nets are left alone.

    Networks trained on synthetic images end with statistics of the wrong distribution.

    Args:
        model: any module; returned to evaluation mode.
        images: (N, C, H, W), normalised.
        batch_size: images per pass; the statistics are the mean over the passes.
    """
    layers = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if not layers or len(images) < 2:  # one image has no variance
        return
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # cumulative average
    model.train()
    for batch in images.split(batch_size):
        if len(batch) > 1:
            model(batch)
    model.eval()
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
