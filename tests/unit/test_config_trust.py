from __future__ import annotations

import pytest

from nasproxy.config import Recipe, RecipeChange, RunConfig, SearchConfig, TrustConfig
from nasproxy.errors import ConfigError


@pytest.mark.parametrize(
    ("epochs", "num_images", "expected"),
    [
        (None, 54_000, (1, 54_000)),  # a third of three epochs
        (None, 160_000, (1, 160_000)),  # of three epochs again
        (None, 1_381, (14, 1_381)),  # 300 steps of 64 are 19,200 images, 13.9 epochs
        (None, 19_199, (3, 19_199)),  # a third of nine epochs
        (0.25, 54_000, (1, 13_500)),
        (1.5, 54_000, (2, 54_000)),
        (0.0001, 50, (1, 1)),
    ],
)
def test_the_short_training_by_hand(epochs, num_images, expected):
    config = TrustConfig(epochs=epochs)
    recipe = config.short_recipe(num_images)
    assert (recipe.epochs, config.num_images(num_images)) == expected
    assert recipe.batch_size == 64


@pytest.mark.parametrize("number", [1, 2])
def test_too_few_to_rank(number):
    with pytest.raises(ConfigError, match=f"0 or >= 3, got {number}.*--trust"):
        TrustConfig.parse({"architectures": number}, "trust")


def test_what_is_required_must_be_checked():
    with pytest.raises(ConfigError, match="--require-trust, --trust 0"):
        TrustConfig.parse({"architectures": 0, "required": True}, "trust")


def test_a_recipe_takes_architectures_to_be_chosen_on():
    for number in (0, 5):
        with pytest.raises(ConfigError, match=rf"calibrate takes .* >= 6, got {number}.*--trust"):
            TrustConfig.parse({"architectures": number, "calibrate": True}, "trust")


def test_a_change_of_the_recipe():
    search = SearchConfig(recipe=Recipe(epochs=7, momentum=0.5))
    changed = RecipeChange(lr=0.3, labels="hard").applied(search)
    assert changed.recipe == Recipe(epochs=7, momentum=0.5, lr=0.3)
    assert changed.labels == "hard"
    assert RecipeChange().applied(changed) == changed
    assert RecipeChange(lr=0.3).changes() == {"lr": 0.3}


def test_recipes_in_a_table():
    trust = {"calibrate": True, "recipes": [{"epochs": 10, "lr": 0.1}]}
    config = RunConfig.parse({"data": {"dataset": "digits"}, "trust": trust})
    assert config.trust.recipes == (RecipeChange(epochs=10, lr=0.1),)
    with pytest.raises(ConfigError, match=r"trust.recipes.0.epochs must be .* got 0"):
        RunConfig.parse({"data": {"dataset": "digits"}, "trust": {"recipes": [{"epochs": 0}]}})


def test_a_table_of_its_own():
    config = RunConfig.parse({"data": {"dataset": "digits"}, "trust": {"architectures": 5}})
    assert config.trust.architectures == 5
    assert RunConfig.parse({"data": {"dataset": "digits"}}).trust.architectures == 8
