"""Jacobian covariance: how little the network's slopes at different images have in common.

Source: Mellor et al. 2020, "Neural Architecture Search without Training", first version (arXiv
2006.04647v1), section 3: the correlations Sigma_J of the Jacobians of the images of a batch, with
eigenvalues sigma_i, and the score S = -sum_i [log(sigma_i + k) + 1 / (sigma_i + k)], k = 1e-5. As
in the works after it (Abdelfattah et al. 2021, arXiv 2101.08134), the Jacobian is that of the sum
of the outputs, and BatchNorm normalises by the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nasproxy.data.dataset import LabelledImages
from nasproxy.scores.base import check_size, training_copy

K = 1e-5


def jacov(model: nn.Module, batch: LabelledImages) -> float:
    """Return S; an image without slopes adds an eigenvalue of 0, as a repeated image does.

    The correlation of such a Jacobian, which dead rectifiers leave, is not defined; here it is 0,
    with itself, too.

    Raises:
        EvaluationError: the batch is one image.
    """
    check_size("jacov", batch, 2)
    deviations = jacobians(model, batch.images).cpu().double()
    deviations = deviations - deviations.mean(1, keepdim=True)
    lengths = deviations.norm(dim=1, keepdim=True)
    deviations = (deviations / lengths).nan_to_num(0)
    sigma = torch.linalg.eigvalsh(deviations @ deviations.T)
    # rounding may leave less than zero, and less than -k would have no logarithm
    sigma = sigma.clamp_min(0)
    return -float(((sigma + K).log() + 1 / (sigma + K)).sum())


def jacobians(model: nn.Module, images: Tensor) -> Tensor:
    """Return the slopes of the summed outputs for each image's values, (N, C*H*W)."""
    images = images.detach().clone().requires_grad_(True)
    outputs = training_copy(model)(images)
    return torch.autograd.grad(outputs.sum(), images)[0].flatten(1)
