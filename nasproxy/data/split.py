"""Stratified, seeded choice of images by their labels, and by the groups they come from."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nasproxy._random import named_generator, named_seed
from nasproxy.errors import DataError, DataWarning

_FOLDS = 20


def divide(
    labels: Tensor, groups: list[str] | None, fraction: float, *, seed: int, purpose: str
) -> tuple[Tensor, Tensor]:
    """Divide images by class, and whole groups at a time where there are groups.

    Args:
        labels: (N,) int64.
        groups: patient, slide or the like of each image; None: every image for itself.
        fraction: for the second part, in (0, 1).
        seed: root seed.
        purpose: name of this use of chance.

    Returns:
        Two ascending index tensors, int64, that share nothing.

    Raises:
        DataError: there is one group only.
    """
    if groups is None:
        return stratified_split(labels, fraction, named_generator(seed, purpose))
    return grouped_split(labels, groups, fraction, named_seed(seed, purpose, "groups"))


def grouped_split(
    labels: Tensor, groups: list[str], fraction: float, seed: int
) -> tuple[Tensor, Tensor]:
    """Divide indices so that no group is in both parts and classes keep about their shares.

    The data is cut into stratified folds of whole groups, 20 where there are enough, as many of
    which make the second part as come nearest to the fraction; of all such choices, one where
    both parts hold every class if any does, and of these the one nearest to the fraction.

    Args:
        labels: (N,) int64.
        groups: of each image.
        fraction: of the images for the second part, in (0, 1).
        seed: of the folds.

    Returns:
        Two ascending index tensors, int64.

    Raises:
        DataError: there is one group only.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    names, codes = np.unique(np.array(groups), return_inverse=True)
    if len(names) < 2:
        raise DataError(
            f"all images are of one group ({names[0]}): no split can keep groups apart; "
            "leave --group-column out or name another column"
        )
    # scikit-learn wants a class of at least as many images as folds
    num_folds = max(2, min(_FOLDS, len(names), int(labels.bincount().max())))
    splitter: Any = StratifiedGroupKFold
    folds = splitter(num_folds, shuffle=True, random_state=seed % 2**32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class of fewer images than folds
        parts = [test for _, test in folds.split(codes, labels.numpy(), codes)]
    wanted = min(max(1, round(fraction * num_folds)), num_folds - 1)
    best: tuple[tuple[int, float], Tensor] | None = None
    for start in range(num_folds):
        taken = [parts[(start + offset) % num_folds] for offset in range(wanted)]
        chosen = torch.zeros(len(labels), dtype=torch.bool)
        chosen[torch.from_numpy(np.concatenate(taken))] = True
        held = min(len(labels[chosen].unique()), len(labels[~chosen].unique()))
        merit = held, -abs(int(chosen.sum()) - fraction * len(labels))
        if best is None or merit > best[0]:
            best = merit, chosen
    assert best is not None
    (held, _), chosen = best
    if held < len(labels.unique()):
        warnings.warn(
            "the groups allow no split with every class on both sides: some class is missing "
            "from one of them; scores of that class mean little",
            DataWarning,
            stacklevel=3,
        )
    return (~chosen).nonzero().flatten(), chosen.nonzero().flatten()


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
