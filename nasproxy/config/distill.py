"""The settings of any distillation, by its method."""

from __future__ import annotations

from typing import Any

from nasproxy.config.datadam import DATADAM_PRESETS, DataDAMConfig
from nasproxy.config.pad import PAD_PRESETS, PADConfig
from nasproxy.errors import ConfigError, nearest

DistillConfig = DataDAMConfig | PADConfig
DISTILL_CONFIGS: dict[str, type[DistillConfig]] = {"datadam": DataDAMConfig, "pad": PADConfig}
DISTILL_PRESETS = {"datadam": DATADAM_PRESETS, "pad": PAD_PRESETS}


def distill_config(method: Any) -> type[DistillConfig]:
    """Return the class of a method's settings.

    Raises:
        ConfigError: the method is unknown.
    """
    if not isinstance(method, str) or method not in DISTILL_CONFIGS:
        known = " or ".join(repr(name) for name in DISTILL_CONFIGS)
        hint = nearest(method, DISTILL_CONFIGS) if isinstance(method, str) else ""
        raise ConfigError(f"distill.method must be {known}, got {method!r} (--method){hint}")
    return DISTILL_CONFIGS[method]
