"""From options that were given to validated settings; what was not given keeps its default."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from nasproxy.config import DataConfig, DataDAMConfig


def given(**options: Any) -> dict[str, Any]:
    """Keep the options that the user gave."""
    return {name: value for name, value in options.items() if value is not None}


def data_settings(
    dataset: str, data_dir: str | None, image_size: int | None, seed: int | None
) -> DataConfig:
    """Build the settings of a data set."""
    from nasproxy.config import DataConfig

    return DataConfig.parse(
        {"dataset": dataset, **given(data_dir=data_dir, image_size=image_size, seed=seed)}, "data"
    )


def datadam_settings(preset: str | None, device: torch.device, **options: Any) -> DataDAMConfig:
    """Build DataDAM's settings: a preset, by default the device's, then what was given."""
    from nasproxy.config import DataDAMConfig

    fitting = "cpu" if device.type == "cpu" else "paper"
    return DataDAMConfig.preset(preset or fitting, **given(**options))
