"""The settings of the trust check, and of the choice of a recipe that can come before it."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from nasproxy.config.base import Config
from nasproxy.config.recipe import FULL_RECIPE, Recipe, full_recipe
from nasproxy.config.search import SearchConfig

BATCH_SIZE = 64
"""Of the short trainings on all data: small, since at equal cost more steps learn more."""

MIN_STEPS = 300
"""As many as the search's recipe takes on a proxy of up to 256 images."""

FULL_SHARE = 3
"""A short training sees a third of the images that full training does, if that is more."""


MIN_TO_CALIBRATE = 6
"""Architectures below which one that changes places decides which recipe ranks best."""


class RecipeChange(Config):
    """What of the search's recipe is tried otherwise; None: as it is."""

    epochs: int | None = Field(None, ge=1)
    lr: float | None = Field(None, gt=0)
    augmentation: Literal["fitting", "none"] | None = None
    labels: Literal["kept", "hard"] | None = None

    def applied(self, search: SearchConfig) -> SearchConfig:
        """Return the settings of a search with this change."""
        changes = self.changes()
        labels = changes.pop("labels", search.labels)
        return search.replace(recipe={**search.recipe.to_dict(), **changes}, labels=labels)

    def changes(self) -> dict[str, int | float | str]:
        """Return the settings that are tried otherwise, by name."""
        return {name: value for name, value in self.to_dict().items() if value is not None}


RECIPE_CHANGES = (
    RecipeChange(epochs=100),
    RecipeChange(epochs=100, lr=0.1),
    RecipeChange(lr=0.02),
    RecipeChange(lr=0.1),
    RecipeChange(augmentation="none"),
    RecipeChange(labels="hard"),
)
"""One setting at a time, and a short training at a higher rate: eight architectures cannot tell a
dozen recipes apart, and the best of many on few is mostly luck (docs/log.md)."""


class TrustConfig(Config):
    """How a proxy is checked before a search spends anything on it."""

    architectures: int = Field(8, ge=0, le=100)
    """Trained both on all data and on the proxy; 0: no check."""
    epochs: float | None = Field(None, gt=0, le=1000)
    """On all data; None: a third of full training, but at least 300 steps.

    Below 1, one epoch of that share of the images; above, rounded up.
    """
    required: bool = False
    """Whether a ranking that cannot be told from chance ends the run."""
    calibrate: bool = False
    """Whether the search's recipe is chosen on these architectures first."""
    recipes: tuple[RecipeChange, ...] = RECIPE_CHANGES
    """That are tried beside the search's own, where `calibrate` is on."""

    @model_validator(mode="after")
    def _enough_to_rank(self) -> Self:
        if self.architectures in (1, 2):
            raise ValueError(
                f"architectures must be 0 or >= 3, got {self.architectures}: fewer have no "
                "ranking to speak of (--trust)"
            )
        if self.required and self.architectures == 0:
            raise ValueError("required takes architectures to check (--require-trust, --trust 0)")
        if self.calibrate and self.architectures < MIN_TO_CALIBRATE:
            raise ValueError(
                f"calibrate takes architectures >= {MIN_TO_CALIBRATE}, got {self.architectures}: "
                "fewer cannot tell recipes apart (--calibrate, --trust)"
            )
        return self

    def short_recipe(self, num_images: int) -> Recipe:
        """Return how a network is trained at low cost on so many images."""
        epochs = max(1, math.ceil(self._num_seen(num_images) / num_images))
        return FULL_RECIPE.replace(epochs=epochs, batch_size=BATCH_SIZE)

    def num_images(self, num_images: int) -> int:
        """Return how many of so many images are trained on: all, unless it is below an epoch."""
        return min(num_images, max(1, math.ceil(self._num_seen(num_images))))

    def _num_seen(self, num_images: int) -> float:
        """Return the images that a training sees, one that comes twice counted twice."""
        if self.epochs is not None:
            return self.epochs * num_images
        full = full_recipe(num_images).epochs * num_images
        return max(full / FULL_SHARE, MIN_STEPS * BATCH_SIZE)
