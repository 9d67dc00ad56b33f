from __future__ import annotations

import re

import pytest
from pydantic import ValidationError

from nasproxy.config import (
    DATADAM_PRESETS,
    DISTILL_PRESETS,
    EARLY_RECIPE,
    FULL_RECIPE,
    PROTOCOLS,
    SEARCH_RECIPE,
    Augmentation,
    DataConfig,
    DataDAMConfig,
    PADConfig,
    Recipe,
    RunConfig,
    SearchConfig,
    VerifyConfig,
    full_recipe,
    read_toml,
    search_recipe,
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
    (PADConfig, {"alpha": 1.0}, "alpha must be less than 1, got 1.0 (--alpha)"),
    (PADConfig, {"alpha": -0.1}, "alpha must be greater than or equal to 0, got -0.1 (--alpha)"),
    (PADConfig, {"mask": "width"}, "mask must be 'depth' or 'loss', got 'width' (--mask)"),
    (PADConfig, {"max_start": 9}, "min_start < first_max_start <= max_start, got 0, 10 and 9"),
    (PADConfig, {"min_start": 10}, "min_start < first_max_start <= max_start, got 10, 10 and 20"),
    (PADConfig, {"difficulty": "forgetting", "difficulty_epochs": 1}, "epochs >= 2"),
    (PADConfig, {"drop": [[3, 0.8]]}, "drop must leave some images: fractions < easy_fraction"),
    (PADConfig, {"drop": [[3, 1.5]]}, "drop.0.1 must be less than 1, got 1.5"),
    (SearchConfig, {"recipe": {"epochs": 0}}, "recipe.epochs must be greater than"),
    (SearchConfig, {"sampler": "cma"}, "sampler must be 'tpe', 'random', 'grid', 'gp' or 'nsga2'"),
    (VerifyConfig, {"top": 0, "uniform": 0}, "nothing to verify (--top, --uniform)"),
    (RunConfig, {"data": {"dataset": "digits"}, "serach": {}}, "did you mean 'search'?"),
    (
        RunConfig,
        {"data": {"dataset": "digits"}, "search": {"recipe": {"epoch": 3}}},
        "did you mean 'search.recipe.epochs'?",
    ),
    (
        RunConfig,
        {"data": {"dataset": "digits"}, "distill": {"method": "mtt"}},
        "distill.method must be 'datadam' or 'pad', got 'mtt' (--method)",
    ),
    (
        RunConfig,
        {"data": {"dataset": "digits"}, "distill": {"method": ["pad"]}},
        "distill.method must be 'datadam' or 'pad', got ['pad']",
    ),
    (
        RunConfig,
        {"data": {"dataset": "digits"}, "distill": {"method": "pad", "p": 4}},
        "unknown setting 'distill.p'",
    ),
    (
        RunConfig,
        {"data": {"dataset": "digits"}, "distill": {"method": "pad", "alpha": 2}},
        "distill.alpha must be less than 1, got 2",
    ),
    (RunConfig, {"data": {"dataset": "digits"}, "distill": 3}, "distill must be a table"),
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


def test_pads_defaults_are_the_papers():
    config = PADConfig(**DISTILL_PRESETS["pad"]["paper"])
    assert (config.experts, config.expert_lr, config.expert_batch) == (100, 0.01, 256)
    assert (config.student_steps, config.match_distance, config.alpha) == (80, 2, 0.25)
    assert (config.first_max_start, config.max_start, config.iterations) == (10, 20, 10_000)
    assert (config.image_lr, config.label_lr, config.label_momentum) == (100, 2, 0.9)
    assert (config.easy_fraction, config.add_until, config.snapshot_steps) == (0.75, 20, None)
    assert config.drop == ((40, 0.1), (60, 0.2))
    assert config.clip is None


@pytest.mark.parametrize(
    ("ipc", "alpha", "image_lr"),
    [(1, 0, 1), (9, 0, 1), (10, 0.25, 1), (50, 0.25, 1), (51, 0.25, 10), (500, 0.5, 10),
     (1000, 0.75, 10), (2000, 0.75, 10)],
)  # fmt: skip
def test_the_papers_settings_follow_ipc(ipc, alpha, image_lr):
    assert PADConfig.preset("paper", ipc=ipc).alpha == alpha
    assert DataDAMConfig.preset("paper", ipc=ipc).image_lr == image_lr
    assert PADConfig.preset("paper", ipc=ipc, alpha=0.3).alpha == 0.3
    assert DataDAMConfig.preset("paper", ipc=ipc, image_lr=2.0).image_lr == 2
    assert PADConfig.preset("cpu", ipc=ipc).alpha == 0.25
    assert DataDAMConfig.preset("cpu", ipc=ipc).image_lr == 5


@pytest.mark.parametrize("ipc", [0, -1, True, "1"])
def test_an_ipc_that_is_none_is_refused_by_presets_too(ipc):
    for settings in (PADConfig, DataDAMConfig):
        with pytest.raises(ConfigError, match=r"distill\.ipc must"):
            settings.preset("paper", ipc=ipc)


def test_the_settings_of_a_distillation_are_its_methods():
    data = {"dataset": "digits"}
    for values, expected in [
        ({}, DataDAMConfig()),
        ({"method": "datadam", "ipc": 3}, DataDAMConfig(ipc=3)),
        ({"method": "pad", "ipc": 3, "drop": [[5, 0.2]]}, PADConfig(ipc=3, drop=((5, 0.2),))),
    ]:
        config = RunConfig.parse({"data": data, "distill": values})
        assert config.distill == expected
        assert RunConfig.parse(config.to_dict()) == config
        assert config.replace(proxy="random").distill == expected
    assert RunConfig(data=DataConfig(**data), distill=PADConfig()).distill == PADConfig()
    assert RunConfig(data=DataConfig(**data)).distill == DataDAMConfig.preset("cpu")


def test_records_from_before_learned_step_sizes_still_count():
    """They are known by the hash of their recipe."""
    assert "learned_step_size" not in Recipe().to_dict()
    assert "learned_step_size" not in SearchConfig().to_dict()["recipe"]
    recipe = Recipe(learned_step_size=True)
    assert recipe.to_dict()["learned_step_size"] is True
    assert Recipe.parse(recipe.to_dict()) == recipe
    assert Recipe.parse(Recipe().to_dict()) == Recipe()


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


def test_the_first_window_of_starts_is_no_larger_than_the_last():
    assert PADConfig.preset("cpu", max_start=7).first_max_start == 7
    assert PADConfig.preset("cpu", max_start=99).first_max_start == 20
    assert PADConfig.preset("paper", max_start=3).first_max_start == 3


@pytest.mark.parametrize(
    ("num_images", "steps"), [(54_001, 300), (8_000, 300), (1_078, 53), (400, 20), (5, 10)]
)
def test_stopping_early_is_at_most_a_quarter_of_full_training(num_images, steps):
    """But for a handful of images: 1,078 of them are seen 20 times, a quarter is 53 batches."""
    recipe = search_recipe("early", num_images)
    assert (recipe.steps, recipe.batch_size) == (steps, 100)


def test_the_recipe_of_a_proxy():
    assert search_recipe("random", 400) == search_recipe("runs/proxy") == SEARCH_RECIPE
    assert search_recipe("full", 400) == full_recipe(400)
    assert search_recipe("full") == FULL_RECIPE
    assert search_recipe("early") == EARLY_RECIPE


def test_what_a_run_changes_of_the_recipe_that_fits_its_proxy():
    data = {"dataset": "digits"}
    changed = RunConfig.parse({"data": data, "recipe": {"lr": 0.1}})
    assert changed.searching(400).recipe == search_recipe("early", 400).replace(lr=0.1)
    own = RunConfig.parse({"data": data, "search": {"recipe": {"epochs": 7}}})
    assert own.searching(400).recipe == Recipe(epochs=7)
    with pytest.raises(ConfigError, match="both given"):
        RunConfig.parse({"data": data, "search": {"recipe": {"epochs": 7}}, "recipe": {"lr": 0.1}})
