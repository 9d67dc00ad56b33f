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
    """Build DataDAM's settings: a preset, then what was given.

    Raises:
        ConfigError: the preset is unknown or a value is out of range.
    """
    from nasproxy.config import DATADAM_PRESETS, DataDAMConfig
    from nasproxy.errors import ConfigError, unknown_name

    name = preset or ("cpu" if device.type == "cpu" else "paper")
    if name not in DATADAM_PRESETS:
        raise ConfigError(unknown_name("preset", name, DATADAM_PRESETS))
    return DataDAMConfig.parse({**DATADAM_PRESETS[name], **given(**options)}, "distill")
