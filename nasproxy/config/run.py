"""The settings of the whole pipeline."""

from __future__ import annotations

from typing import Any

from pydantic import field_validator

from nasproxy.config.base import Config
from nasproxy.config.data import DataConfig
from nasproxy.config.datadam import DataDAMConfig
from nasproxy.config.distill import DistillConfig, distill_config
from nasproxy.config.search import SearchConfig
from nasproxy.config.trust import TrustConfig
from nasproxy.config.verify import VerifyConfig
from nasproxy.errors import ConfigError

DEFAULT_PROXY = "early"
"""What ranked best where it was compared: the full data, stopped early (docs/judging.md)."""


class RunConfig(Config):
    """The whole pipeline: what `nasproxy run --config FILE` reads."""

    data: DataConfig
    proxy: str = DEFAULT_PROXY
    distill: DistillConfig = DataDAMConfig.preset("cpu")
    trust: TrustConfig = TrustConfig()
    search: SearchConfig = SearchConfig()
    verify: VerifyConfig = VerifyConfig()

    @field_validator("distill", mode="before")
    @classmethod
    def _by_method(cls, values: Any) -> Any:
        """Read a table as the settings of its method, DataDAM's where it names none."""
        if isinstance(values, Config):
            return values
        if not isinstance(values, dict):
            raise ConfigError(f"distill must be a table of settings, got {values!r}")
        return distill_config(values.get("method", "datadam")).parse(values, "distill")
