"""Fixtures that unit tests of several stages share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from nasproxy.data.dataset import Dataset, LabelledImages


@pytest.fixture(scope="session")
def lopsided(make_dataset: Callable[..., Dataset]) -> Dataset:
    """Two classes that are hard to tell apart, four to one in training and in validation."""
    dataset = make_dataset((40, 10), validation=20)
    generator = torch.Generator().manual_seed(1)

    def blur(part: LabelledImages) -> LabelledImages:
        noise = torch.randn(part.images.shape, generator=generator)
        return LabelledImages(part.images + 4 * noise, part.labels)

    validation = dataset.validation.take(torch.arange(25))
    return replace(dataset, train=blur(dataset.train), validation=blur(validation))
