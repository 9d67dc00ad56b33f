"""AlexNet, at the resolution of the images it is given.

Source: Krizhevsky, Sutskever & Hinton 2012, "ImageNet Classification with Deep Convolutional
Neural Networks" (NIPS 25), section 3.5: five convolutions, overlapping 3x3 pooling after the
first, second and fifth. Deviations: images below 64 pixels have a stem of 5x5 and stride 1, and
padded pooling, as their few pixels would not outlive a stride of 4; no dropout, since it would
draw from the global generator and the same seed would no longer give the same weights, and so
none of the two hidden linear layers that it keeps from overfitting (the AlexNets of the
distillation literature have none either); no local response normalization, but any norm of ours;
convolutions are not split over two devices.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from nasproxy.config import Config
from nasproxy.models.base import FeatureNet, Features, check_side, is_small
from nasproxy.models.norm import build_norm

CONVOLUTIONS = ((256, 5, True), (384, 3, False), (384, 3, False), (256, 3, True))
"""Channels, kernel size and whether pooling follows, of each convolution after the stem."""
STEM_CHANNELS = 96
GRID = 6
"""Rows and columns, at most, that the classifier reads: those of 224x224 images."""


class AlexNetConfig(Config):
    """What can be chosen of an AlexNet."""

    norm: Literal["none", "batch", "instance", "layer", "group"] = "none"

    def check(self, image_shape: tuple[int, int, int]) -> None:
        """Refuse images (C, H, W) that this network cannot take.

        Raises:
            ConfigError: they are below 8 pixels.
        """
        check_side("alexnet", image_shape)


class AlexNet(FeatureNet):
    """Five convolutions with norm and ReLU, three poolings, one linear layer.

    Args:
        config: the architecture.
        image_shape: (C, H, W).
        num_classes: K.
    """

    def __init__(
        self, config: AlexNetConfig, image_shape: tuple[int, int, int], num_classes: int
    ) -> None:
        super().__init__()
        config.check(image_shape)
        small = is_small(image_shape)
        before, bias = image_shape[0], config.norm == "none"
        stem = (5, 1, 2) if small else (11, 4, 2)
        convolutions = [nn.Conv2d(before, STEM_CHANNELS, *stem, bias=bias)]
        pools: list[nn.Module] = [_build_pool(small)]
        for channels, kernel, pooled in CONVOLUTIONS:
            before = convolutions[-1].out_channels
            convolutions.append(nn.Conv2d(before, channels, kernel, padding="same", bias=bias))
            pools.append(_build_pool(small) if pooled else nn.Identity())
        self.blocks = nn.ModuleList(
            nn.Sequential(layer, build_norm(config.norm, layer.out_channels), nn.ReLU())
            for layer in convolutions
        )
        self.pools = nn.ModuleList(pools)
        rows, columns = (min(GRID, _side_left(side, small)) for side in image_shape[1:])
        self.pool = nn.AdaptiveAvgPool2d((rows, columns))
        self.classifier = nn.Linear(convolutions[-1].out_channels * rows * columns, num_classes)

    def features(self, images: Tensor) -> Features:
        """Return each convolution's activations before pooling, and the last, pooled and flat."""
        layers = []
        for block, pool in zip(self.blocks, self.pools, strict=True):
            images = block(images)
            layers.append(images)
            images = pool(images)
        return Features(layers, self.pool(images).flatten(1))


def _build_pool(small: bool) -> nn.MaxPool2d:
    return nn.MaxPool2d(3, 2, padding=int(small))


def _side_left(side: int, small: bool) -> int:
    """Return what stem and poolings leave of a side, in pixels: 224 -> 55 -> 27 -> 13 -> 6."""
    if not small:
        side = (side + 2 * 2 - 11) // 4 + 1
    for _ in range(3):
        side = (side + 2 * int(small) - 3) // 2 + 1
    return side
