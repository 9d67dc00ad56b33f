"""How hard an image is to learn, and which images an expert sees when: pure functions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from nasproxy.config import PADConfig


def el2n(logits: Tensor, labels: Tensor) -> Tensor:
    """Return || softmax(logits) - one-hot label ||_2 of each image, (N,) in [0, sqrt(2)].

    Source: Paul et al. 2021 (arXiv 2107.07075), definition 2.1 and the approximation after it.

    Args:
        logits: (N, K) of a network early in training.
        labels: (N,) int64.
    """
    error = logits.softmax(1) - F.one_hot(labels, logits.shape[1])
    scores: Tensor = torch.linalg.vector_norm(error, dim=1)
    return scores


def gradient_norm(logits: Tensor, embedding: Tensor, labels: Tensor) -> Tensor:
    """Return the norm of each image's gradient with respect to the last linear layer, (N,).

    That gradient is the outer product of softmax(logits) - one-hot label and (embedding, 1), so
    its norm is the product of theirs.

    Source: GraNd, Paul et al. 2021, definition 2.1. Deviation: the last layer's gradient stands in
    for that of all parameters (docs/adr/0005-pad.md).

    Args:
        logits: (N, K).
        embedding: (N, D), what the last layer reads.
        labels: (N,) int64.
    """
    return el2n(logits, labels) * (embedding.square().sum(1) + 1).sqrt()


def forgetting(correct: Tensor) -> Tensor:
    """Return how often each image was forgotten: right after one epoch, wrong after the next.

    Images that never were right are the hardest: they count E.

    Source: Toneva et al. 2019 (arXiv 1812.05159), algorithm 1. Deviation: looked at after every
    epoch instead of whenever the image is in a batch.

    Args:
        correct: (E, N) bool, one row an epoch.

    Returns:
        (N,) float32 in 0..E.
    """
    forgotten = (correct[:-1] & ~correct[1:]).sum(0).float()
    return torch.where(correct.any(0), forgotten, float(len(correct)))


def rank_in_class(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return each image's rank among those of its class, 0 the easiest, and that class's size.

    Equal scores are ranked in the order of the images.

    Args:
        scores: (N,), greater is harder.
        labels: (N,) int64.

    Returns:
        Two int64 (N,).
    """
    ranks, sizes = torch.empty_like(labels), torch.empty_like(labels)
    for label in labels.unique().tolist():
        members = (labels == label).nonzero().flatten()
        order = members[scores[members].argsort(stable=True)]
        ranks[order] = torch.arange(len(members), device=labels.device)
        sizes[members] = len(members)
    return ranks, sizes


@dataclass(frozen=True)
class Curriculum:
    """Names the images that an expert learns from, period by period.

    Source: PAD (arXiv 2408.03360), section 3.2: begin with the easiest `easy_fraction` of each
    class, add the harder ones linearly until `add_until`, and later drop the easiest.

    Attributes:
        ranks: (N,) int64, each image's rank in its class, 0 the easiest.
        sizes: (N,) int64, the size of its class.
        easy_fraction: of each class, in use in period 0.
        add_until: period from which on none is missing.
        drop: pairs (s, f): from period s on, the easiest fraction f is left out.
    """

    ranks: Tensor
    sizes: Tensor
    easy_fraction: float
    add_until: int
    drop: tuple[tuple[int, float], ...]

    def __call__(self, period: int) -> Tensor:
        """Return the images in use, ascending int64 (M,), at least one of each class."""
        dropped, added = self.bounds(period)
        # 0.75 + 0.25 * 0.2 is no round number in binary: whole images come with a little room
        easy_enough = self.ranks < added * self.sizes.double() - 1e-9
        hard_enough = self.ranks + 1 > dropped * self.sizes.double() + 1e-9
        return (easy_enough & hard_enough).nonzero().flatten()

    def bounds(self, period: int) -> tuple[float, float]:
        """Return the fractions of a class below which and from which on images are left out."""
        dropped = max((fraction for first, fraction in self.drop if period >= first), default=0.0)
        share = min(1.0, period / self.add_until) if self.add_until else 1.0
        return dropped, self.easy_fraction + (1 - self.easy_fraction) * share


def build_curriculum(scores: Tensor, labels: Tensor, config: PADConfig) -> Curriculum:
    """Rank images by their scores (N,) within their classes (N,), and schedule them."""
    ranks, sizes = rank_in_class(scores.cpu(), labels.cpu())
    return Curriculum(ranks, sizes, config.easy_fraction, config.add_until, config.drop)
