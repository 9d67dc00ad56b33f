from __future__ import annotations

import re

import pytest
from pydantic import ValidationError

from nasproxy.config import (
    DATADAM_PRESETS,
    FULL_RECIPE,
    PROTOCOLS,
    Augmentation,
    DataConfig,
    DataDAMConfig,
    Recipe,
    RunConfig,
    SearchConfig,
    VerifyConfig,
    read_toml,
)
from nasproxy.errors import ConfigError, unknown_name

FAULTS = [
    (Recipe, {"epochs": 0}, "epochs must be greater than or equal to 1, got 0 (--epochs)"),
    (Recipe, {"epochs": "3"}, "epochs must be a valid integer, got '3' (--epochs)"),
    (Recipe, {"epochs": 1.5}, "epochs must be a valid integer"),
    (Recipe, {"epochs": True}, "epochs must be a valid integer, got True"),
    (Recipe, {"lr": float("nan")}, "lr must be a finite number"),
    (Recipe, {"lr": 0}, "lr must be greater than 0, got 0 (--lr)"),
    (Recipe, {"batch_size": -1}, "(--batch-size)"),
    (Recipe, {"schedule": "step"}, "schedule must be 'cosine', 'drop' or 'constant', got 'step'"),
    (Recipe, {"momentun": 1}, "unknown setting 'momentun'"),
    (Recipe, {"momentun": 1}, "did you mean 'momentum'?"),
    (Augmentation, {"flip": 1}, "flip must be a valid boolean, got 1 (--flip)"),
    (Augmentation, {"rotate": 181}, "rotate must be less than or equal to 180, got 181"),
    (DataConfig, {}, "dataset Field required"),
    (DataConfig, {"dataset": "digits", "image_size": 3}, "image_size must be greater than"),
    (DataDAMConfig, {"ipc": 0}, "ipc must be greater than or equal to 1, got 0 (--ipc)"),
    (SearchConfig, {"recipe": {"epochs": 0}}, "recipe.epochs must be greater than"),
    (SearchConfig, {"sampler": "gp"}, "sampler must be 'tpe', 'random' or 'grid', got 'gp'"),
    (VerifyConfig, {"top": 0, "uniform": 0}, "nothing to verify (--top, --uniform)"),
    (RunConfig, {"data": {"dataset": "digits"}, "serach": {}}, "did you mean 'search'?"),
    (
        RunConfig,
        {"data": {"dataset": "digits"}, "search": {"recipe": {"epoch": 3}}},
        "did you mean 'search.recipe.epochs'?",
    ),
    (
        RunConfig,
        {"data": {"dataset": "digits"}, "verify": {"top": 0, "uniform": 0}},
        "verify: top and uniform are both 0",
    ),
]


@pytest.mark.parametrize(("model", "values", "message"), FAULTS)
def test_a_fault_names_path_value_and_rule(model, values, message):
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        model.parse(values)
    assert "\n" not in str(caught.value)


def test_where_prefixes_the_path():
    with pytest.raises(ConfigError, match=r"^search.recipe.epochs must"):
        Recipe.parse({"epochs": 0}, where="search.recipe")


def test_settings_are_frozen_and_replaced_with_checks():
    recipe = Recipe()
    with pytest.raises(ValidationError):
        recipe.epochs = 3
    assert recipe.replace(epochs=3) == Recipe(epochs=3)
    with pytest.raises(ConfigError, match="epochs"):
        recipe.replace(epochs=0)
    assert FULL_RECIPE.epochs == 3


def test_protocols_are_the_contracts():
    study, standard = PROTOCOLS["study"], PROTOCOLS["standard"]
    assert (study.epochs, study.lr, study.schedule, study.augmentation) == (
        20, 0.01, "cosine", "none",
    )  # fmt: skip
    assert (standard.epochs, standard.schedule, standard.augmentation) == (1000, "drop", "fitting")


def test_datadams_defaults_are_the_papers():
    config = DataDAMConfig(**DATADAM_PRESETS["paper"])
    assert (config.image_lr, config.image_momentum, config.iterations) == (1.0, 0.5, 8000)
    assert (config.p, config.task_balance, config.width, config.norm) == (4, 0.01, 128, "instance")
    assert DataDAMConfig(**DATADAM_PRESETS["cpu"]).iterations == 2500


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a = ", "is not valid TOML"),
        (b"a = 1\na = 2", "is not valid TOML"),
        (b"a = '\xff'", "is not valid TOML"),
        (b"a = " + b"[" * 5000, "is not valid TOML"),
    ],
    ids=["cut off", "twice", "not UTF-8", "too deep"],
)
def test_toml_that_is_none(tmp_path, content, message):
    path = tmp_path / "run.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        read_toml(path)
    assert str(path) in str(caught.value)


def test_toml_files_that_cannot_be_read(tmp_path):
    for path in (tmp_path / "absent.toml", tmp_path):
        with pytest.raises(ConfigError, match="check the path"):
            read_toml(path)


def test_toml_values_that_json_does_not_know(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text("epochs = 2026-11-22\n")
    with pytest.raises(ConfigError, match="epochs"):
        Recipe.parse(read_toml(path))


def test_unknown_name():
    assert unknown_name("fruit", "aple", ["pear", "apple"]) == (
        "unknown fruit 'aple': choose from apple, pear; did you mean 'apple'?"
    )
    assert unknown_name("fruit", "xyz", ["pear"]) == "unknown fruit 'xyz': choose from pear"
