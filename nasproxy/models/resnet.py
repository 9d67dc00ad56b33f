"""ResNet-18, at the resolution of the images it is given.

Source: He, Zhang, Ren & Sun 2016, "Deep Residual Learning for Image Recognition" (arXiv
1512.03385), section 4.1 and table 1, as torchvision builds it. Deviations: images below 64 pixels
have a stem of 3x3 and stride 1 without pooling, as the paper's own networks for CIFAR-10
(section 4.2); on 8x8 images the last stage keeps its side, since normalization says nothing
about a single pixel; weights are drawn as everywhere here, see `models/base.py`.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from torch import Tensor, nn

from nasproxy.config import Config
from nasproxy.models.base import MIN_SIDE, FeatureNet, Features, check_side, is_small
from nasproxy.models.norm import build_norm


class ResNet18Config(Config):
    """What can be chosen of a ResNet-18."""

    norm: Literal["batch", "instance", "layer", "group"] = "batch"

    def check(self, image_shape: tuple[int, int, int]) -> None:
        """Refuse images (C, H, W) that this network cannot take.

        Raises:
            ConfigError: they are below 8 pixels.
        """
        check_side("resnet18", image_shape)


class ResNet18(FeatureNet):
    """A stem, four stages of two residual blocks of two 3x3 convolutions, one linear layer.

    Args:
        config: the architecture.
        image_shape: (C, H, W).
        num_classes: K.
    """

    def __init__(
        self, config: ResNet18Config, image_shape: tuple[int, int, int], num_classes: int
    ) -> None:
        # torchvision takes as long to import as torch: only who builds a ResNet waits for it
        from torchvision.models import resnet18

        super().__init__()
        config.check(image_shape)
        channels, small = image_shape[0], is_small(image_shape)
        whole = resnet18(num_classes=num_classes, norm_layer=partial(build_norm, config.norm))
        width = whole.conv1.out_channels
        stem = (3, 1, 1) if small else (7, 2, 3)
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, *stem, bias=False),
            whole.bn1,
            whole.relu,
            nn.Identity() if small else whole.maxpool,
        )
        self.stages = nn.ModuleList([whole.layer1, whole.layer2, whole.layer3, whole.layer4])
        if max(image_shape[1:]) <= MIN_SIDE:
            first = whole.layer4[0]
            first.conv1.stride = first.downsample[0].stride = (1, 1)
        self.classifier = whole.fc

    def features(self, images: Tensor) -> Features:
        """Return each stage's activations, and the mean of the last over its pixels."""
        layers = []
        images = self.stem(images)
        for stage in self.stages:
            images = stage(images)
            layers.append(images)
        return Features(layers, images.mean((2, 3)))
