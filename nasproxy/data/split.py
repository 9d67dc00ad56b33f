"""Stratified, seeded choice of images by their labels."""

from __future__ import annotations

import torch
from torch import Tensor


def stratified_split(
    labels: Tensor, fraction: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Divide indices so that each class gives the same fraction to the second part.

    A class of one image stays whole in the first part; otherwise both parts get at least one.

    Args:
        labels: (N,) int64.
        fraction: of each class for the second part, in (0, 1).
        generator: source of chance.

    Returns:
        Two ascending index tensors, int64 (N - M,) and (M,), that share nothing.
    """
    second = []
    for members in _members_by_class(labels, generator):
        wanted = max(1, round(len(members) * fraction))
        second.append(members[: min(wanted, len(members) - 1)])
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    chosen[torch.cat(second)] = True
    return (~chosen).nonzero().flatten(), chosen.nonzero().flatten()


def stratified_subset(labels: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Choose about `size` indices in the proportions of the classes, at least one of each.

    Returns:
        Ascending indices, int64 (M,); all of them where `size` is no less than N.
    """
    if size >= len(labels):
        return torch.arange(len(labels))
    parts = [
        members[: max(1, round(size * len(members) / len(labels)))]
        for members in _members_by_class(labels, generator)
    ]
    return torch.cat(parts).sort().values


def _members_by_class(labels: Tensor, generator: torch.Generator) -> list[Tensor]:
    """Return the shuffled indices of each class that occurs, in class order."""
    shuffled = torch.randperm(len(labels), generator=generator)
    classes = labels.unique().tolist()
    return [shuffled[labels[shuffled] == label] for label in classes]
