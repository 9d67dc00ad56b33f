"""What chance decides of a step: its images, and how each is changed; drawn ahead on a GPU."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter

import torch
from torch import Tensor

from nasproxy.config import Augmentation
from nasproxy.data.augment import SampledChange, build_change, draw_numbers

AHEAD_STEPS = 64
"""Steps whose draws go to a GPU together: a transfer of its own for each would be waited for."""


@dataclass(frozen=True)
class Draw:
    """The draw of one step.

    Attributes:
        chosen: indices int64 (B,) of the images.
        change: one for each of them, or None.
    """

    chosen: Tensor
    change: SampledChange | None

    def tensors(self) -> list[Tensor]:
        """Return the tensors that there are, in the same order for the same settings."""
        return [self.chosen, *(self.change.tensors().values() if self.change else ())]

    def clone(self) -> Draw:
        """Return a copy with memory of its own."""
        return Draw(self.chosen.clone(), self.change and self.change.map(torch.clone))


def draw_steps(
    batches: Iterable[Tensor],
    augmentation: Augmentation,
    generator: torch.Generator,
    device: torch.device,
) -> Iterator[Draw]:
    """Yield the draws of steps on a device.

    Numbers are drawn on the CPU, step after step, so that they are the same on every device and
    however far ahead of the step they are drawn.

    Args:
        batches: indices int64 (B,) on the CPU, asked for one at a time.
        augmentation: of every image.
        generator: CPU source of the augmentation, which `batches` may draw from, too.
        device: of the images.
    """
    steps = ((chosen, draw_numbers(augmentation, len(chosen), generator)) for chosen in batches)
    ahead = 1 if device.type == "cpu" else AHEAD_STEPS
    while block := list(islice(steps, ahead)):
        yield from _moved(block, augmentation, device)


def _moved(
    block: list[tuple[Tensor, Tensor | None]], augmentation: Augmentation, device: torch.device
) -> Iterator[Draw]:
    """Put the indices (B,) and numbers (R, B) of some steps on the device, all at once."""
    sizes = [len(chosen) for chosen, _ in block]
    everything = torch.cat([chosen for chosen, _ in block]).to(device)
    numbers = [drawn for _, drawn in block if drawn is not None]
    change = build_change(augmentation, torch.cat(numbers, dim=1).to(device)) if numbers else None
    first = 0
    for size in sizes:
        rows = slice(first, first + size)
        part = None if change is None else change.map(itemgetter(rows))
        yield Draw(everything[rows], part)
        first += size
