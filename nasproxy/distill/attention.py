"""Spatial attention and means per class: pure functions of tensors."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def spatial_attention(features: Tensor, p: float) -> Tensor:
    """Return normalised attention maps.

    A(F) = sum over channels of |F_c|^p, flattened and divided by its L2 norm.

    Source: DataDAM (arXiv 2310.00093), section 3.2, the map A and its vectorised, normalised z.

    Args:
        features: (N, C, H, W).
        p: power; greater values favour the most active places.

    Returns:
        (N, H * W), each row of unit length (or zero where the features are).
    """
    powers = features.abs() if p == 1 else features.abs().pow(p)
    return F.normalize(powers.sum(dim=1).flatten(1), dim=1)


def class_means(values: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Return the mean of each class's rows, zero for a class without any.

    Args:
        values: (N, D).
        labels: (N,) int64.
        num_classes: K.

    Returns:
        (K, D).
    """
    sums = values.new_zeros(num_classes, values.shape[1]).index_add(0, labels, values)
    # torch.bincount would wait for a GPU
    counts = values.new_zeros(num_classes).index_add(0, labels, values.new_ones(len(labels)))
    return sums / counts.clamp_min(1).unsqueeze(1)
