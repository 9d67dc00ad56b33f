"""The test split. Only `nasproxy.verify` may import this module (import-linter enforces it)."""

from __future__ import annotations

import torch

from nasproxy.data.dataset import Dataset, LabelledImages, check_shape
from nasproxy.data.pixels import to_images
from nasproxy.data.source import RawPart, Source
from nasproxy.data.sources import open_source


def load_test_split(dataset: Dataset) -> LabelledImages:
    """Read the test images, normalised with the training set's statistics, on its device.

    Raises:
        DataError: the test files are missing or damaged, or of another shape.
    """
    raw = open_source(dataset.config).read("test")
    images = to_images(raw.images, None, dataset.normalization, dataset.config.image_size)
    check_shape("test", images.shape[1:], dataset.image_shape)
    return LabelledImages(images, torch.from_numpy(raw.labels)).to(dataset.train.labels.device)


def read_raw_test_part(source: Source) -> RawPart:
    """Read the test part as it is, to count and compare."""
    return source.read("test")
