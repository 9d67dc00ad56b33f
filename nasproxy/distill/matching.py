"""How far a student ended from its expert, and which parameters count: pure tensor functions."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def normalized_distance(end: Tensor, start: Tensor, target: Tensor, kept: Tensor) -> Tensor:
    """Return how much of the expert's way is left between student and expert, ().

    ||m * (theta_student - theta_target)||^2 / ||m * (theta_start - theta_target)||^2

    Source: MTT (arXiv 2203.11932), eq. 2, with the mask m of PAD (arXiv 2408.03360), section 3.3,
    in both terms.

    Args:
        end: (P,) the student's parameters after its last step.
        start: (P,) the snapshot that it started from.
        target: (P,) the expert's parameters that it was to reach.
        kept: (P,) bool, the mask m.
    """
    left = (end - target)[kept].square().sum()
    way = (start - target)[kept].square().sum()
    return left / way


def kept_by_depth(num_parameters: int, alpha: float) -> Tensor:
    """Return a mask, bool (P,), without the first floor(alpha * P) parameters: the shallowest.

    Source: PAD, section 3.3.
    """
    kept = torch.ones(num_parameters, dtype=torch.bool)
    kept[: math.floor(alpha * num_parameters)] = False
    return kept


def kept_by_loss(end: Tensor, target: Tensor, alpha: float) -> Tensor:
    """Return a mask, bool (P,), without the floor(alpha * P) parameters that match best.

    Source: PAD, section 4.3, the ordering that depth is compared with; which end of it is left out
    is a choice of ours (docs/adr/0005-pad.md).

    Args:
        end: (P,) the student's parameters after its last step.
        target: (P,) the expert's parameters.
        alpha: fraction left out, in [0, 1).
    """
    order = (end - target).detach().square().argsort(stable=True)
    kept = torch.ones(len(end), dtype=torch.bool, device=end.device)
    kept[order[: math.floor(alpha * len(end))]] = False
    return kept
