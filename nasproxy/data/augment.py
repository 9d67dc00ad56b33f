"""Differentiable augmentation, sampled once and applied as often as wanted.

Source: Zhao & Bilen 2021, "Dataset Condensation with Differentiable Siamese Augmentation"
(arXiv 2102.08259), section 3.2: the same sampled change goes to the real and to the synthetic
batch. Deviations: all chosen kinds of change are applied together; empty borders repeat the edge
instead of turning black, since normalised images have no black; images are flipped up and down,
too, where the settings say so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nasproxy.config import Augmentation


@dataclass(frozen=True)
class SampledChange:
    """One drawn change for each of B images, or for all images where B is 1.

    Shapes: `theta` (B, 2, 3) affine map in grid coordinates, or None; `gain`, `offset`
    (B, 1, 1, 1); `saturation` (B, 1, 1, 1) factor on the distance from grey, or None;
    `hole` (B, 2) centre of the blanked square in [-1, 1], or None.
    """

    theta: Tensor | None
    gain: Tensor | None
    offset: Tensor | None
    saturation: Tensor | None
    hole: Tensor | None
    hole_side: float

    def apply(self, images: Tensor) -> Tensor:
        """Change images (N, C, H, W), N = B or B = 1; gradients flow through to them."""
        if self.theta is not None:
            theta = self.theta.to(images).expand(len(images), 2, 3)
            grid = F.affine_grid(theta, list(images.shape), align_corners=False)
            images = F.grid_sample(
                images, grid, mode="bilinear", padding_mode="border", align_corners=False
            )
        if self.gain is not None:
            centre = images.mean(dim=(1, 2, 3), keepdim=True)
            images = (images - centre) * self.gain.to(images) + centre
        if self.offset is not None:
            images = images + self.offset.to(images)
        if self.saturation is not None and images.shape[1] > 1:
            grey = images.mean(dim=1, keepdim=True)
            images = (images - grey) * self.saturation.to(images) + grey
        if self.hole is not None:
            images = images * _outside(self.hole.to(images), self.hole_side, images.shape[-2:])
        return images

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that there are, by name, each (B, ...)."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in found.items() if isinstance(value, Tensor)}

    def map(self, function: Callable[[Tensor], Tensor]) -> SampledChange:
        """Return the change with every tensor put through a function."""
        changed: dict[str, Any] = {n: function(value) for n, value in self.tensors().items()}
        return replace(self, **changed)


def sample_change(
    settings: Augmentation,
    count: int,
    generator: torch.Generator,
    device: torch.device | None = None,
) -> SampledChange | None:
    """Draw `count` changes, or return None where the settings change nothing.

    Args:
        settings: how much of each kind of change.
        count: B; 1 for a siamese change shared by whole batches.
        generator: CPU generator.
        device: that the change is put on, in one transfer; None: the CPU.
    """
    numbers = draw_numbers(settings, count, generator)
    if numbers is None:
        return None
    return build_change(settings, numbers if device is None else numbers.to(device))


def draw_numbers(settings: Augmentation, count: int, generator: torch.Generator) -> Tensor | None:
    """Draw what `count` changes are made of, (R, count) in [0, 1), one row a kind of change.

    Args:
        settings: that decide how many rows there are; None is returned where they change nothing.
        count: of images.
        generator: CPU generator.
    """
    if settings == Augmentation():
        return None
    # kinds that came later draw last, and only if asked for: older settings keep their numbers
    rows = 8 + settings.flip + settings.flip_vertical + bool(settings.saturation)
    return torch.rand(rows, count, generator=generator)


def build_change(settings: Augmentation, numbers: Tensor) -> SampledChange:
    """Make the changes (B) of numbers (R, B) that were drawn for the same settings.

    Each image's change comes of its own column, whichever stand beside it.
    """
    rows = iter(numbers.unbind())

    def uniform(bound: float) -> Tensor:
        return (next(rows) * 2 - 1) * bound

    angle = uniform(math.radians(settings.rotate))
    zoom = 1 / (1 + uniform(settings.scale))
    shift_x, shift_y = uniform(2 * settings.shift), uniform(2 * settings.shift)
    mirror = torch.where(uniform(1) < 0, -1.0, 1.0) if settings.flip else torch.ones_like(angle)
    gain, offset = uniform(settings.contrast) + 1, uniform(settings.brightness)
    hole = torch.stack([uniform(1), uniform(1)], dim=1)
    vertical = settings.flip_vertical
    tumble = torch.where(uniform(1) < 0, -1.0, 1.0) if vertical else torch.ones_like(angle)
    saturation = uniform(settings.saturation) + 1 if settings.saturation else None
    cos, sin = angle.cos() * zoom, angle.sin() * zoom
    theta = torch.stack(
        [cos * mirror, -sin * tumble, shift_x, sin * mirror, cos * tumble, shift_y], dim=1
    ).view(-1, 2, 3)
    moves = settings.rotate or settings.scale or settings.shift or settings.flip or vertical
    return SampledChange(
        theta=theta if moves else None,
        gain=gain.view(-1, 1, 1, 1) if settings.contrast else None,
        offset=offset.view(-1, 1, 1, 1) if settings.brightness else None,
        saturation=saturation.view(-1, 1, 1, 1) if saturation is not None else None,
        hole=hole if settings.cutout else None,
        hole_side=settings.cutout,
    )


def _outside(centre: Tensor, side: float, size: torch.Size) -> Tensor:
    """Return (B, 1, H, W): 0 within the square of relative side `side`, 1 elsewhere."""
    height, width = size
    rows = torch.linspace(-1, 1, height, device=centre.device).view(1, -1, 1)
    columns = torch.linspace(-1, 1, width, device=centre.device).view(1, 1, -1)
    inside = ((rows - centre[:, :1, None]).abs() < side) & (
        (columns - centre[:, 1:, None]).abs() < side
    )
    return (~inside).to(centre.dtype).unsqueeze(1)
