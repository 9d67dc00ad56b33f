"""Small residual networks, made by a function that a search space names: see residual.toml.

Source: He, Zhang, Ren & Sun 2016, "Deep Residual Learning for Image Recognition" (arXiv
1512.03385), section 4.2, far smaller: each of `depth` stages is one block.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

NORMS = {"none": nn.Identity, "batch": nn.BatchNorm2d, "layer": partial(nn.GroupNorm, 1)}


class Block(nn.Module):
    """Two 3x3 convolutions, added to what came in.

    Args:
        before: channels that come in.
        width: channels that go out.
        stride: of the first convolution; 2 halves height and width.
        norm: a name from NORMS.
    """

    def __init__(self, before: int, width: int, stride: int, norm: str) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.Conv2d(before, width, 3, stride, padding=1, bias=norm == "none"),
            NORMS[norm](width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=norm == "none"),
            NORMS[norm](width),
        )
        same = before == width and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(before, width, 1, stride, bias=False)
        self.activation = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, width, H / stride, W / stride) of features (N, before, H, W)."""
        return self.activation(self.shortcut(features) + self.change(features))


def make(
    image_shape: tuple[int, int, int], num_classes: int, *, depth: int, width: int, norm: str
) -> nn.Module:
    """Make a network that gives logits (N, num_classes) for images (N, C, H, W).

    Args:
        image_shape: (C, H, W).
        num_classes: K.
        depth: stages; each but the first halves the images and doubles the channels.
        width: channels of the first stage.
        norm: none, batch or layer.

    Raises:
        ValueError: the last stage would see a single pixel: the search leaves the network out.
    """
    channels, *sides = image_shape
    if min(sides) >> (depth - 1) < 2:
        raise ValueError(f"{depth} stages leave nothing of {sides[0]}x{sides[1]} pixels")
    stages = [
        Block(width << max(stage - 1, 0), width << stage, 1 if stage == 0 else 2, norm)
        for stage in range(depth)
    ]
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1, bias=norm == "none"),
        NORMS[norm](width),
        nn.ReLU(),
        *stages,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width << (depth - 1), num_classes),
    )
