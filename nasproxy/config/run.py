"""The settings of the whole pipeline."""

from __future__ import annotations

from typing import Any, Self

from pydantic import field_validator, model_validator

from nasproxy.config.base import Config
from nasproxy.config.data import DataConfig
from nasproxy.config.datadam import DataDAMConfig
from nasproxy.config.distill import DistillConfig, distill_config
from nasproxy.config.recipe import SEARCH_RECIPE, changed_recipe
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
    recipe: dict[str, Any] = {}
    """Settings in which candidates are trained otherwise than the proxy's own recipe has it, which
    holds where that of `search` is left at its default."""
    verify: VerifyConfig = VerifyConfig()

    @model_validator(mode="after")
    def _has_a_recipe(self) -> Self:
        self.searching(None)
        return self

    def searching(self, num_images: int | None) -> SearchConfig:
        """Return the settings of the search on so many training images; None: not known yet.

        Raises:
            ConfigError: the recipe is not one.
        """
        if self.search.recipe != SEARCH_RECIPE:
            if self.recipe:
                raise ConfigError(f"recipe and search.recipe are both given, got {self.recipe}")
            return self.search
        recipe = changed_recipe(self.proxy, num_images, self.recipe)
        return self.search.replace(recipe=recipe.to_dict())

    @field_validator("distill", mode="before")
    @classmethod
    def _by_method(cls, values: Any) -> Any:
        """Read a table as the settings of its method, DataDAM's where it names none."""
        if isinstance(values, Config):
            return values
        if not isinstance(values, dict):
            raise ConfigError(f"distill must be a table of settings, got {values!r}")
        return distill_config(values.get("method", "datadam")).parse(values, "distill")
