"""A training set on the device: normalised, split, fingerprinted. It holds no test image."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nasproxy._random import named_generator
from nasproxy.config import AUGMENTATIONS, Augmentation, DataConfig
from nasproxy.data.pixels import Normalization, measure, to_images
from nasproxy.data.source import Part, RawPart, Source
from nasproxy.data.sources import open_source
from nasproxy.data.split import divide, stratified_subset
from nasproxy.errors import DataError
from nasproxy.progress import Watch, unwatched


@dataclass(frozen=True)
class LabelledImages:
    """Images float32 (N, C, H, W), normalised, and labels int64 (N,), on one device.

    Images that do not fit into memory are `StoredImages`, from which batches are taken alike.
    """

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
class Dataset:
    """The training images of a data set, divided into train and validation."""

    config: DataConfig
    train: LabelledImages
    validation: LabelledImages
    class_names: tuple[str, ...]
    normalization: Normalization
    augmentation: Augmentation
    fingerprint: str
    """sha256 of the training images and labels as they came, before resizing."""

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


def load_dataset(config: DataConfig | str, *, watch: Watch = unwatched) -> Dataset:
    """Read, resize, normalise and split a training set; its test split is not touched.

    Args:
        config: settings, or just the name of a data set.
        watch: told of the decoding of image files.

    Raises:
        DataError: the data set is unknown, missing or damaged.
    """
    if isinstance(config, str):
        config = DataConfig(dataset=config)
    source = open_source(config, watch)
    raw = source.read("train")
    normalization = measure(raw.images, config.image_size)

    def images_of(part: RawPart, rows: Tensor | None) -> LabelledImages:
        labels = torch.from_numpy(part.labels)
        images = to_images(part.images, rows, normalization, config.image_size)
        return LabelledImages(images, labels if rows is None else labels[rows])

    if "val" in source.parts:
        given = source.read("val")
        check_shape("val", given.images.shape[1:], raw.images.shape[1:])
        train, validation = images_of(raw, None), images_of(given, None)
    else:
        groups = None if raw.groups is None else list(raw.groups)
        labels = torch.from_numpy(raw.labels)
        first, second = divide(
            labels, groups, config.validation_fraction, seed=config.seed, purpose="validation-split"
        )
        train, validation = images_of(raw, first), images_of(raw, second)
    return Dataset(
        config=config,
        train=train,
        validation=validation,
        class_names=source.class_names,
        normalization=normalization,
        augmentation=_augmentation(config, source),
        fingerprint=source.fingerprint(),
    )


def _augmentation(config: DataConfig, source: Source) -> Augmentation:
    chosen = config.augmentation
    if chosen is None:
        return source.augmentation
    return AUGMENTATIONS[chosen] if isinstance(chosen, str) else chosen


def check_shape(part: Part, found: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    """Refuse a part whose images have another shape (C, H, W) than the training images.

    Raises:
        DataError: naming both.
    """
    if tuple(found) != tuple(wanted):
        raise DataError(
            f"{part} images are {tuple(found)}, training images {tuple(wanted)} (channels, height, "
            "width): bring them to one shape, or choose --image-size"
        )
