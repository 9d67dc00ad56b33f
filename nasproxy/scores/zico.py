"""ZiCo: how large the gradients are, and how steady from batch to batch.

Source: Li et al. 2023, "ZiCo: Zero-shot NAS via Inverse Coefficient of Variation on Gradients"
(arXiv 2301.11300), the definition of ZiCo:
sum_l log( sum_{w in theta_l} E[ |dL/dw| ] / sqrt(Var( |dL/dw| )) ), over mini-batches.

Here the batch is dealt out into two, the fewest that have a variance. As in the experiments of
the paper, the parameters are the weights of convolutions and linear layers, and the variance is
that of the population.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from nasproxy.data.dataset import LabelledImages
from nasproxy.scores.base import check_size, training_copy, weight_gradients

NUM_BATCHES = 2


def zico(model: nn.Module, batch: LabelledImages) -> float:
    """Return ZiCo; weights whose gradient does not vary, such as dead ones, are left out.

    So are layers of nothing else; `-inf` where no layer is left.

    Raises:
        EvaluationError: the batch is less than four images, two for each BatchNorm.
    """
    check_size("zico", batch, 2 * NUM_BATCHES)
    model = training_copy(model)
    # every other image, as a batch may be ordered by class
    indices = torch.arange(len(batch))
    parts = [batch.take(indices[first::NUM_BATCHES]) for first in range(NUM_BATCHES)]
    gradients = [weight_gradients(model, part) for part in parts]
    layers = [_steadiness(torch.stack(layer)) for layer in zip(*gradients, strict=True)]
    alive = [value for value in layers if value > 0]
    return sum(map(math.log, alive)) if alive else -math.inf


def _steadiness(gradients: Tensor) -> float:
    """Return the sum over a layer's weights of mean / deviation, of gradients (B, ...)."""
    # float64, as squares of small gradients would be zero in float32; Apple's GPUs have none
    sizes = gradients.cpu().double().abs()
    mean = sizes.mean(0)
    # Tensor.std takes at least three times as long along a dimension of two
    deviation = (sizes - mean).square().mean(0).sqrt()
    return float(torch.where(deviation > 0, mean / deviation, 0).sum())
