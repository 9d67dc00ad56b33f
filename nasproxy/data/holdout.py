"""The test split. Only `nasproxy.verify` may import this module (import-linter enforces it)."""

from __future__ import annotations

import torch

from nasproxy.data.dataset import Dataset, LabelledImages, data_dir, to_pixels
from nasproxy.data.sources import get_source


def load_test_split(dataset: Dataset) -> LabelledImages:
    """Read the test images, normalised with the training set's statistics, on its device.

    Raises:
        DataError: the test files are missing or damaged.
    """
    raw = get_source(dataset.config.dataset).read(data_dir(dataset.config), "test")
    images = dataset.normalization.apply(to_pixels(raw, dataset.config.image_size))
    test = LabelledImages(images, torch.from_numpy(raw.labels))
    return test.to(dataset.train.labels.device)
