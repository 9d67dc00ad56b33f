"""Scores of a trained network."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasproxy.data.dataset import LabelledImages
from nasproxy.errors import EvaluationError
from nasproxy.training.metric import Score

_CPU_BATCH = 100
"""Images whose activations stay in a processor's caches: docs/performance.md."""
_GPU_PIXELS = 1_000_000
"""Of a batch on a GPU, whose layers then take some 0.5 GB at a width of 128."""


@torch.inference_mode()
def predict(model: nn.Module, images: Tensor, batch_size: int | None = None) -> Tensor:
    """Return logits (N, K) of images (N, C, H, W), in evaluation mode and float32.

    Args:
        model: on the images' device.
        images: normalised.
        batch_size: images at a time; None: what suits the device.
    """
    model.eval()
    batches = images.split(batch_size or fitting_batch(images))
    return torch.cat([model(batch) for batch in batches])


def fitting_batch(images: Tensor) -> int:
    """Return how many of the images (N, C, H, W) suit their device at a time, without gradients."""
    if images.device.type == "cpu":
        return _CPU_BATCH
    height, width = images.shape[-2:]
    return max(_CPU_BATCH, _GPU_PIXELS // (height * width))


def accuracy(model: nn.Module, data: LabelledImages) -> float:
    """Return the fraction of images whose label the network names.

    Raises:
        EvaluationError: an output is not finite.
    """
    logits = _finite(predict(model, data.images))
    # float64 on the CPU: Apple's GPUs have none
    return (logits.argmax(1) == data.labels).cpu().double().mean().item()


def score(model: nn.Module, data: LabelledImages) -> Score:
    """Return accuracy, balanced accuracy and, for two classes, the area under the ROC curve.

    Balanced accuracy is the mean recall of the classes that occur among the images.

    Raises:
        EvaluationError: an output is not finite.
    """
    logits, labels = _finite(predict(model, data.images)).cpu(), data.labels.cpu()
    return _score(logits, labels)


def measure(model: nn.Module, data: LabelledImages) -> dict[str, float | None]:
    """Return all that one pass over the images tells; higher is better in each.

    The scores; `loss`, minus the mean cross-entropy in nats; `margin` in [-1, 1], the mean
    probability of the true class minus the largest of another.

    Raises:
        EvaluationError: an output is not finite.
    """
    logits, labels = _finite(predict(model, data.images)).cpu(), data.labels.cpu()
    true = labels[:, None]
    probabilities = logits.double().softmax(1)
    others = probabilities.scatter(1, true, -1.0).max(1).values
    return {
        **_score(logits, labels)._asdict(),
        "loss": -F.cross_entropy(logits.double(), labels).item(),
        "margin": (probabilities.gather(1, true).squeeze(1) - others).mean().item(),
    }


def _score(logits: Tensor, labels: Tensor) -> Score:
    """Return the scores of logits (N, K) for labels (N,)."""
    right = logits.argmax(1) == labels
    counts = labels.bincount()
    recalls = labels[right].bincount(minlength=len(counts)).double() / counts
    return Score(
        accuracy=right.double().mean().item(),
        balanced_accuracy=recalls[counts > 0].mean().item(),
        auc=_auc(logits, labels),
    )


def count_classes(data: LabelledImages, num_classes: int) -> list[int]:
    """Return the number of images of each class, K of them."""
    counts: list[int] = torch.bincount(data.labels.cpu(), minlength=num_classes).tolist()
    return counts


def _auc(logits: Tensor, labels: Tensor) -> float | None:
    """Return the area for logits (N, 2) and labels (N,) in which both classes occur, else None."""
    if logits.shape[1] != 2 or len(labels.unique()) != 2:
        return None
    from sklearn.metrics import roc_auc_score  # seconds to import, needed for two classes alone

    logits = logits.double()  # the difference of float32 would round some into ties
    return float(roc_auc_score(labels.numpy(), (logits[:, 1] - logits[:, 0]).numpy()))


def _finite(logits: Tensor) -> Tensor:
    if not math.isfinite(logits.abs().max().item()):
        raise EvaluationError("diverged: the network's outputs are not finite")
    return logits
