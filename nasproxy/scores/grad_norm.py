"""Gradient norm: how long the first step of training is.

Source: Abdelfattah et al. 2021, "Zero-Cost Proxies for Lightweight NAS" (arXiv 2101.08134),
section 3.2: the Euclidean norms of the gradients after one mini-batch, summed, one norm a layer.
"""

from __future__ import annotations

from torch import nn

from nasproxy.data.dataset import LabelledImages
from nasproxy.scores.base import training_copy, weight_gradients


def grad_norm(model: nn.Module, batch: LabelledImages) -> float:
    """Return sum_l || dL/dW_l ||_2 over convolutions and linear layers, L the cross-entropy."""
    gradients = weight_gradients(training_copy(model), batch)
    # float64 on the CPU: Apple's GPUs have none
    return sum(float(gradient.cpu().double().norm()) for gradient in gradients)
