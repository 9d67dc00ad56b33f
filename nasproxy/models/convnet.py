"""The ConvNet of the distillation literature: blocks of convolution, norm, activation, pooling.

Source: Gidaris & Komodakis 2018 (arXiv 1804.09458), as used by Zhao et al. 2021
(arXiv 2006.05929), section 4.1.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from nasproxy.config import Config
from nasproxy.errors import ConfigError
from nasproxy.models.base import ACTIVATIONS, FeatureNet, Features
from nasproxy.models.norm import GROUPS, build_norm
from nasproxy.models.pool import AveragePool


class ConvNetConfig(Config):
    """A point of the ConvNet spaces."""

    depth: int = Field(3, ge=1, le=12)
    width: int = Field(128, ge=1, le=4096)
    norm: Literal["none", "batch", "instance", "layer", "group"] = "instance"
    activation: Literal["relu", "leakyrelu", "sigmoid"] = "relu"
    pooling: Literal["none", "max", "avg"] = "avg"

    def check(self, image_shape: tuple[int, int, int]) -> None:
        """Refuse images (C, H, W) that this network cannot take.

        Raises:
            ConfigError: pooling would leave nothing, or the groups do not divide the width.
        """
        side = min(image_shape[1:])
        if self.pooling != "none" and side >> self.depth < 1:
            raise ConfigError(
                f"depth {self.depth} with pooling halves {image_shape[1]}x{image_shape[2]} images "
                f"to nothing: use depth <= {side.bit_length() - 1}, pooling none, or larger images"
            )
        if self.norm == "group" and self.width % GROUPS:
            raise ConfigError(f"width must be a multiple of {GROUPS} for norm group: {self.width}")


class ConvNet(FeatureNet):
    """`depth` blocks of 3x3 convolution, norm, activation and 2x2 pooling; one linear layer.

    Args:
        config: the architecture.
        image_shape: (C, H, W).
        num_classes: K.
    """

    def __init__(
        self, config: ConvNetConfig, image_shape: tuple[int, int, int], num_classes: int
    ) -> None:
        super().__init__()
        config.check(image_shape)
        channels, height, width = image_shape
        blocks, pools = [], []
        for _ in range(config.depth):
            blocks.append(
                nn.Sequential(
                    # a bias before a norm that subtracts it again would only cost time
                    nn.Conv2d(channels, config.width, 3, padding=1, bias=config.norm == "none"),
                    build_norm(config.norm, config.width),
                    ACTIVATIONS[config.activation](),
                )
            )
            pools.append(_build_pool(config.pooling))
            channels = config.width
            if config.pooling != "none":
                height, width = height // 2, width // 2
        self.blocks = nn.ModuleList(blocks)
        self.pools = nn.ModuleList(pools)
        self.classifier = nn.Linear(channels * height * width, num_classes)

    def features(self, images: Tensor) -> Features:
        """Return each block's activations before pooling, and the flattened last pooling."""
        layers = []
        for block, pool in zip(self.blocks, self.pools, strict=True):
            images = block(images)
            layers.append(images)
            images = pool(images)
        return Features(layers, images.flatten(1))


def _build_pool(name: str) -> nn.Module:
    if name == "max":
        return nn.MaxPool2d(2)
    return AveragePool() if name == "avg" else nn.Identity()
