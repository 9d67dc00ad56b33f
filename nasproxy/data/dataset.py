"""A training set on the device: normalised, split, fingerprinted. It holds no test image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nasproxy._files import sha256_of
from nasproxy._random import named_generator
from nasproxy.config import Augmentation, DataConfig
from nasproxy.data.sources import RawPart, default_data_dir, get_source
from nasproxy.data.split import stratified_split, stratified_subset


@dataclass(frozen=True)
class LabelledImages:
    """Images float32 (N, C, H, W), normalised, and labels int64 (N,), on one device."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        """Return N."""
        return len(self.labels)

    def take(self, indices: Tensor) -> LabelledImages:
        """Return the images at int64 indices (M,)."""
        indices = indices.to(self.labels.device)
        return LabelledImages(self.images[indices], self.labels[indices])

    def to(self, device: torch.device) -> LabelledImages:
        """Return the same images on another device."""
        return LabelledImages(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Normalization:
    """Mean and standard deviation per channel of the training set's pixels in [0, 1]."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def apply(self, pixels: Tensor) -> Tensor:
        """Normalise (N, C, H, W) pixels in [0, 1]."""
        mean, std = self._as_columns(pixels)
        return (pixels - mean) / std

    def undo(self, images: Tensor) -> Tensor:
        """Return (N, C, H, W) pixels in [0, 1], clipped."""
        mean, std = self._as_columns(images)
        return (images * std + mean).clamp(0, 1)

    def _as_columns(self, like: Tensor) -> tuple[Tensor, Tensor]:
        shape = (1, -1, 1, 1)
        return like.new_tensor(self.mean).view(shape), like.new_tensor(self.std).view(shape)


@dataclass(frozen=True)
class Dataset:
    """The training images of a data set, divided into train and validation."""

    config: DataConfig
    train: LabelledImages
    validation: LabelledImages
    class_names: tuple[str, ...]
    normalization: Normalization
    augmentation: Augmentation
    fingerprint: str
    """sha256 of the training arrays as read, before resizing."""

    @property
    def num_classes(self) -> int:
        """Number of classes, K."""
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape (C, H, W) of one image."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    def class_counts(self) -> Tensor:
        """Return the number of training images per class, int64 (K,)."""
        return torch.bincount(self.train.labels.cpu(), minlength=self.num_classes)

    def validation_part(self, size: int | None) -> LabelledImages:
        """Return a stratified part of the validation split, the same for the same size."""
        if size is None or size >= len(self.validation):
            return self.validation
        generator = named_generator(self.config.seed, "validation-part", size)
        return self.validation.take(
            stratified_subset(self.validation.labels.cpu(), size, generator)
        )

    def calibration_part(self, size: int) -> Tensor:
        """Return a stratified choice of real training images, (M, C, H, W)."""
        if size == 0:
            return self.train.images[:0]
        generator = named_generator(self.config.seed, "calibration-part", size)
        return self.train.take(stratified_subset(self.train.labels.cpu(), size, generator)).images

    def to(self, device: torch.device) -> Dataset:
        """Return the same data set on another device."""
        return replace(self, train=self.train.to(device), validation=self.validation.to(device))


def load_dataset(config: DataConfig | str) -> Dataset:
    """Read, resize, normalise and split a training set; its test split is not touched.

    Args:
        config: settings, or just the name of a data set.

    Raises:
        DataError: the data set is unknown, missing or damaged.
    """
    if isinstance(config, str):
        config = DataConfig(dataset=config)
    source = get_source(config.dataset)
    raw = source.read(data_dir(config), "train")
    pixels = to_pixels(raw, config.image_size)
    normalization = _measure(pixels)
    images = normalization.apply(pixels)
    labels = torch.from_numpy(raw.labels)
    generator = named_generator(config.seed, "validation-split")
    train, validation = stratified_split(labels, config.validation_fraction, generator)
    return Dataset(
        config=config,
        train=LabelledImages(images[train], labels[train]),
        validation=LabelledImages(images[validation], labels[validation]),
        class_names=source.class_names,
        normalization=normalization,
        augmentation=source.augmentation,
        fingerprint=fingerprint(raw),
    )


def data_dir(config: DataConfig) -> Path:
    """Return the folder that this configuration reads data sets from."""
    return Path(config.data_dir) if config.data_dir else default_data_dir()


def fingerprint(raw: RawPart) -> str:
    """Return the sha256 of shapes, pixels and labels."""
    shape = str((raw.images.shape, raw.labels.shape)).encode()
    return sha256_of(
        [shape, np.ascontiguousarray(raw.images).data, np.ascontiguousarray(raw.labels).data]
    )


def to_pixels(raw: RawPart, image_size: int | None) -> Tensor:
    """Return float32 (N, C, H, W) pixels in [0, 1], resized with antialiasing where asked."""
    pixels = torch.from_numpy(raw.images.astype(np.float32)).div_(255)
    if image_size is None or tuple(pixels.shape[2:]) == (image_size, image_size):
        return pixels
    size = (image_size, image_size)
    return torch.nn.functional.interpolate(
        pixels, size=size, mode="bilinear", antialias=True, align_corners=False
    )


def _measure(pixels: Tensor) -> Normalization:
    # float64: the float32 sum over 47 million MNIST pixels is off in the fourth digit
    std, mean = torch.std_mean(pixels.double(), dim=(0, 2, 3), correction=0)
    return Normalization(tuple(mean.tolist()), tuple(std.clamp_min(1e-6).tolist()))
