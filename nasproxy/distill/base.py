"""What a distillation method is: an algorithm that owns no loop over files, prints or stops."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from nasproxy.data.dataset import Dataset


@dataclass(frozen=True)
class DistillState:
    """Everything that the next step depends on, besides the data and the configuration.

    Attributes:
        images: (N, C, H, W) float32 synthetic images, normalised.
        labels: (N,) int64.
        velocity: (N, C, H, W) float32 momentum buffer of the images.
        iteration: steps done.
    """

    images: Tensor
    labels: Tensor
    velocity: Tensor
    iteration: int = 0

    def to(self, device: torch.device) -> DistillState:
        """Return the same state on another device."""
        return replace(
            self,
            images=self.images.to(device),
            labels=self.labels.to(device),
            velocity=self.velocity.to(device),
        )


class DistillStep(NamedTuple):
    """One update: the state after it, and the loss's terms before it."""

    state: DistillState
    losses: dict[str, float]


class Distiller(Protocol):
    """A method: hyper-parameters at construction, data at call."""

    config: Any

    def architecture(self) -> dict[str, Any]:
        """Return the network that the images are matched on."""
        ...

    def start(self, dataset: Dataset) -> DistillState:
        """Return the state before the first step."""
        ...

    def steps(self, dataset: Dataset, state: DistillState) -> Iterator[DistillStep]:
        """Go on from a state to the last iteration; the same from any state on the way."""
        ...
