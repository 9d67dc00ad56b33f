"""A look at a whole data set, its test part included: nothing is chosen by it."""

from __future__ import annotations

from typing import Any

from nasproxy.config import DataConfig
from nasproxy.data.dataset import load_dataset
from nasproxy.data.holdout import read_raw_test_part
from nasproxy.data.inspection import inspect
from nasproxy.data.source import Part, RawPart
from nasproxy.data.sources import open_source
from nasproxy.progress import Watch, unwatched


def inspect_dataset(config: DataConfig, *, watch: Watch = unwatched) -> dict[str, Any]:
    """Gather shape, counts a class and part, fingerprint, duplicates and what looks wrong.

    Raises:
        DataError: the data set is missing or damaged.
    """
    dataset = load_dataset(config, watch=watch)
    source = open_source(config, watch)
    parts: dict[Part, RawPart] = {
        part: read_raw_test_part(source) if part == "test" else source.read(part)
        for part in source.parts
    }
    return {
        "name": config.dataset,
        "image_shape": list(dataset.image_shape),
        "num_classes": dataset.num_classes,
        "num_train": len(dataset.train),
        "num_validation": len(dataset.validation),
        "mean": list(dataset.normalization.mean),
        "std": list(dataset.normalization.std),
        "augmentation": dataset.augmentation.to_dict(),
        "fingerprint": dataset.fingerprint,
        **inspect(parts, source.class_names),
    }
