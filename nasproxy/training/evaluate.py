"""Scores of a trained network."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nasproxy.data.dataset import LabelledImages
from nasproxy.errors import EvaluationError


class Score(NamedTuple):
    """Fractions in [0, 1]; `auc` is None unless there are exactly two classes."""

    accuracy: float
    balanced_accuracy: float
    auc: float | None


@torch.inference_mode()
def predict(model: nn.Module, images: Tensor, batch_size: int = 500) -> Tensor:
    """Return logits (N, K) of images (N, C, H, W), in evaluation mode."""
    model.eval()
    return torch.cat([model(batch) for batch in images.split(batch_size)])


def accuracy(model: nn.Module, data: LabelledImages) -> float:
    """Return the fraction of images whose label the network names.

    Raises:
        EvaluationError: an output is not finite.
    """
    logits = _finite(predict(model, data.images))
    return (logits.argmax(1) == data.labels).double().mean().item()


def score(model: nn.Module, data: LabelledImages) -> Score:
    """Return accuracy, balanced accuracy and, for two classes, the area under the ROC curve."""
    from sklearn.metrics import balanced_accuracy_score, roc_auc_score

    logits = _finite(predict(model, data.images)).cpu()
    labels, chosen = data.labels.cpu(), logits.argmax(1)
    two_classes = logits.shape[1] == 2 and len(labels.unique()) == 2
    auc = roc_auc_score(labels, logits[:, 1] - logits[:, 0]) if two_classes else None
    return Score(
        accuracy=(chosen == labels).double().mean().item(),
        balanced_accuracy=float(balanced_accuracy_score(labels, chosen)),
        auc=None if auc is None else float(auc),
    )


def _finite(logits: Tensor) -> Tensor:
    if not math.isfinite(logits.abs().max().item()):
        raise EvaluationError("diverged: the network's outputs are not finite")
    return logits
