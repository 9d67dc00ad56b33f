"""How networks are trained and scored."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from nasproxy.config.base import Config
from nasproxy.errors import ConfigError


class Recipe(Config):
    """How a network is trained and scored; part of every result."""

    epochs: int = Field(300, ge=1)
    steps: int | None = Field(None, ge=1)
    """Steps of SGD after which the training ends, whatever `epochs` says; None: all epochs."""
    batch_size: int = Field(256, ge=1)
    lr: float = Field(0.05, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(5e-4, ge=0)
    schedule: Literal["cosine", "drop", "constant"] = "cosine"
    augmentation: Literal["fitting", "none"] = "fitting"
    """`fitting`: the data set's own (no flips for digits); `none`: the images as they are."""
    recalibrate_images: int = Field(1000, ge=0)
    """Real training images on which BatchNorm statistics are re-estimated before scoring."""
    validation_images: int | None = Field(2000, ge=1)
    """Size of the stratified part of the validation split that scores; None: all of it."""
    learned_step_size: bool = False
    """On a proxy with a step size of its own: plain SGD at that constant learning rate, without
    momentum or weight decay."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of convolutions and linear layers in training; `auto`: bfloat16 on GPUs that have it."""

    @model_serializer(mode="wrap")
    def _leave_out_later_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Keep the records, and their hashes, of versions that did not have all settings."""
        later = {"steps": None, "learned_step_size": False, "precision": "auto"}
        values: dict[str, Any] = handler(self)
        return {
            name: value
            for name, value in values.items()
            if name not in later or value != later[name]
        }

    def num_steps(self, num_images: int) -> int:
        """Return the steps of SGD of a training on so many images."""
        return self.steps or self.epochs * math.ceil(num_images / self.batch_size)

    def period_steps(self, num_images: int) -> int:
        """Return the steps after which a training is looked at: an epoch, or a tenth of `steps`."""
        if self.steps is None:
            return math.ceil(num_images / self.batch_size)
        return math.ceil(self.steps / 10)

    def num_periods(self, num_images: int) -> int:
        """Return how often a training on so many images is looked at, the last time at its end."""
        return math.ceil(self.num_steps(num_images) / self.period_steps(num_images))


SEARCH_RECIPE = Recipe()
EARLY_RECIPE = Recipe(epochs=1, steps=300, batch_size=100, validation_images=6000)
"""Early stopping on the full data: the steps of 300 epochs on a proxy of 100 images, each on other
images. Scored on 6,000 validation images it ranks better than on 2,000, for 4% more operations
(docs/log.md)."""
FULL_RECIPE = Recipe(epochs=3, recalibrate_images=0, validation_images=None)
SMALL = 20_000
"""Training images below which full training takes smaller batches and more epochs."""


def full_recipe(num_images: int) -> Recipe:
    """Return how networks are trained on all of so many images unless the user says otherwise.

    Some 160,000 images are seen, in 3 to 20 epochs: on two cores that is what verification can
    bear, and enough to tell networks apart (docs/log.md).
    """
    epochs = max(FULL_RECIPE.epochs, min(20, math.ceil(160_000 / num_images)))
    batch_size = FULL_RECIPE.batch_size if num_images >= SMALL else 64
    return FULL_RECIPE.replace(epochs=epochs, batch_size=batch_size)


def early_recipe(num_images: int) -> Recipe:
    """Return how candidates are trained on all of so many images where they stop early.

    300 steps of 100 images, or fewer where that would be more than a quarter of full training.
    """
    full = full_recipe(num_images).epochs * num_images
    steps = max(10, full // (4 * EARLY_RECIPE.batch_size))
    return EARLY_RECIPE.replace(steps=min(EARLY_RECIPE.num_steps(num_images), steps))


def search_recipe(proxy: str, num_images: int | None = None) -> Recipe:
    """Return how candidates are trained unless the user says otherwise.

    Args:
        proxy: `full`, `early`, or any other name or folder.
        num_images: of the training split; None: not known, but large.
    """
    if proxy == "full":
        return FULL_RECIPE if num_images is None else full_recipe(num_images)
    if proxy == "early":
        return EARLY_RECIPE if num_images is None else early_recipe(num_images)
    return SEARCH_RECIPE


def changed_recipe(proxy: str, num_images: int | None, changes: dict[str, Any]) -> Recipe:
    """Return the recipe of candidates with some settings changed.

    Args:
        proxy: as for `search_recipe`.
        num_images: as for `search_recipe`.
        changes: by setting.

    Raises:
        ConfigError: a setting is unknown or out of range, or both epochs and steps say how long.
    """
    recipe = {**search_recipe(proxy, num_images).to_dict(), **changes}
    if "epochs" in changes and recipe.get("steps") is not None:
        remedy = "leave one out"
        if "steps" not in changes:
            remedy = "use --steps, or --proxy full for whole epochs"
        raise ConfigError(
            f"a training takes epochs or steps, got epochs {changes['epochs']} where it takes "
            f"{recipe['steps']} steps (--proxy {proxy}): {remedy}"
        )
    return Recipe.parse(recipe, "search.recipe")


STUDY_PROTOCOL = Recipe(
    epochs=20,
    batch_size=64,
    lr=0.01,
    augmentation="none",
    recalibrate_images=0,
    validation_images=None,
)
STANDARD_PROTOCOL = Recipe(
    epochs=1000, lr=0.01, schedule="drop", recalibrate_images=0, validation_images=None
)
PROTOCOLS = {"study": STUDY_PROTOCOL, "standard": STANDARD_PROTOCOL}
