"""The other side of the ratios: training written the usual way, without any of our own loops.

Networks and their first weights are ours, so that both sides train the same thing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data import Dataset as TorchDataset
from torchvision import transforms
from torchvision.transforms import v2

from nasproxy._random import named_generator
from nasproxy.config import STUDY_PROTOCOL, Augmentation, Recipe
from nasproxy.data.dataset import LabelledImages
from nasproxy.data.pixels import Normalization
from nasproxy.models.family import Architecture, build_model
from nasproxy.models.pool import SIDE, AveragePool
from nasproxy.training.network import TrainingSet

Batches = DataLoader[tuple[Tensor, ...]]
CLASSIC: Any = transforms  # it has no types
MODERN: Any = v2
STUDY_BATCH = STUDY_PROTOCOL.batch_size
"""Of the study's way, in training and in scoring."""


class PictureDataset(TorchDataset[tuple[Tensor, ...]]):
    """Pictures that are decoded one at a time, as torchvision's MNIST class does it.

    Args:
        pixels: uint8 (N, H, W), or (N, H, W, 3).
        labels: int64 (N,).
        normalization: that follows ToTensor.
    """

    def __init__(
        self, pixels: npt.NDArray[np.uint8], labels: Tensor, normalization: Normalization
    ) -> None:
        self._pixels, self._labels = pixels, labels
        self._transform = CLASSIC.Compose(
            [CLASSIC.ToTensor(), CLASSIC.Normalize(normalization.mean, normalization.std)]
        )

    def __len__(self) -> int:
        """Return N."""
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return one image (C, H, W), normalised, and its label ()."""
        image: Tensor = self._transform(Image.fromarray(self._pixels[index]))
        return image, self._labels[index]


def to_pictures(images: Tensor, labels: Tensor, normalization: Normalization) -> PictureDataset:
    """Turn images (N, C, H, W), normalised, of one or three channels back into pictures."""
    pixels = (normalization.undo(images.cpu()) * 255).round().to(torch.uint8)
    array = pixels.permute(0, 2, 3, 1).contiguous().numpy()
    return PictureDataset(
        array.squeeze(3) if array.shape[3] == 1 else array, labels.cpu(), normalization
    )


def build_plain(architecture: Architecture, data: TrainingSet, seed: int) -> nn.Module:
    """Build a network for a training set of PyTorch's own modules, in its default layout."""
    channels, height, width = data.images.shape[1:]
    generator = named_generator(seed, "weights")
    model = build_model(architecture, (channels, height, width), data.num_classes, generator)
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, AveragePool):
                setattr(module, name, nn.AvgPool2d(SIDE))
    return model.to(data.images.device)


def batches_of(images: Tensor, targets: Tensor, batch_size: int, seed: int) -> Batches:
    """Return a loader that shuffles tensors, (N, C, H, W) and (N,) or (N, K), on the CPU."""
    tensors = TensorDataset(images.cpu().contiguous(), targets.cpu())
    return shuffled(tensors, batch_size, seed)


def shuffled(data: TorchDataset[tuple[Tensor, ...]], batch_size: int, seed: int) -> Batches:
    """Return a loader that shuffles, in this process."""
    generator = named_generator(seed, "plain-batches")
    return DataLoader(data, batch_size=batch_size, shuffle=True, generator=generator)


def in_order(data: TorchDataset[tuple[Tensor, ...]], batch_size: int) -> Batches:
    """Return a loader that does not shuffle, in this process."""
    return DataLoader(data, batch_size=batch_size)


def train_plain(
    model: nn.Module,
    batches: Batches,
    recipe: Recipe,
    *,
    epochs: int | None = None,
    change: Callable[[Tensor], Tensor] | None = None,
) -> None:
    """Train by SGD on cross-entropy with a cosine schedule, as in any tutorial.

    Args:
        model: on any device.
        batches: of images and targets.
        recipe: epochs, learning rate, momentum, weight decay.
        epochs: after which to stop; None: those of the recipe.
        change: augmentation of a batch (B, C, H, W); None: none.
    """
    device = next(model.parameters()).device
    optimizer = torch.optim.SGD(
        model.parameters(), recipe.lr, recipe.momentum, weight_decay=recipe.weight_decay
    )
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.epochs)
    model.train()
    for _ in range(recipe.epochs if epochs is None else epochs):
        for images, targets in batches:
            images, targets = images.to(device), targets.to(device)
            if change is not None:
                images = change(images)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images), targets)
            loss.backward()
            optimizer.step()
        scheduler.step()


def tensors_of(data: LabelledImages, batch_size: int = 256) -> Batches:
    """Return a loader of the tensors that score."""
    return in_order(TensorDataset(data.images.cpu(), data.labels.cpu()), batch_size)


@torch.no_grad()
def score_plain(model: nn.Module, batches: Batches) -> float:
    """Return the fraction of images that the network classifies correctly."""
    device = next(model.parameters()).device
    model.eval()
    correct = total = 0
    for images, labels in batches:
        correct += int((model(images.to(device)).argmax(1) == labels.to(device)).sum())
        total += len(labels)
    return correct / total


def random_affine(settings: Augmentation) -> Callable[[Tensor], Tensor]:
    """Return torchvision's change that is nearest to the settings, one draw for a whole batch."""
    shift, scale = settings.shift, settings.scale
    change: Callable[[Tensor], Tensor] = MODERN.RandomAffine(
        degrees=settings.rotate,
        translate=(shift, shift),
        scale=(1 - scale, 1 + scale),
        interpolation=MODERN.InterpolationMode.BILINEAR,
    )
    return change
