"""Multi-layer perceptrons, given by the width of each hidden layer."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from nasproxy.config import Config
from nasproxy.models.base import FeatureNet, Features


class MLPConfig(Config):
    """A point of the MLP spaces."""

    hidden: tuple[Annotated[int, Field(ge=1, le=65536)], ...] = Field(
        (128, 128), min_length=1, max_length=32
    )

    def check(self, image_shape: tuple[int, int, int]) -> None:
        """Accept images of any size."""


class MLP(FeatureNet):
    """Linear layers with ReLU between.

    Args:
        config: the architecture.
        image_shape: (C, H, W).
        num_classes: K.
    """

    def __init__(
        self, config: MLPConfig, image_shape: tuple[int, int, int], num_classes: int
    ) -> None:
        super().__init__()
        sizes = [math.prod(image_shape), *config.hidden]
        self.hidden = nn.ModuleList(
            nn.Sequential(nn.Linear(before, after), nn.ReLU()) for before, after in pairwise(sizes)
        )
        self.classifier = nn.Linear(sizes[-1], num_classes)

    def features(self, images: Tensor) -> Features:
        """Return each hidden layer as one channel, (N, 1, 1, D_l), and the last as (N, D)."""
        layers = []
        values = images.flatten(1)
        for layer in self.hidden:
            values = layer(values)
            layers.append(values[:, None, None])
        return Features(layers, values)
