from __future__ import annotations

import pytest

from nasproxy.compare.contestant import (
    check_contestants,
    kind_of,
    members_of,
    name_of,
    num_draws,
    num_seeds,
    read_contestants,
    recipe_of,
)
from nasproxy.config import EARLY_RECIPE, FULL_RECIPE, CompareConfig, ContestantConfig, Recipe
from nasproxy.errors import ConfigError


def config_of(*texts, **values):
    contestants = read_contestants(texts)
    values = {"data": {"dataset": "digits"}, "contestants": contestants, **values}
    return CompareConfig.parse(values)


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["random"], [{"source": "random"}]),
        (["random, params"], [{"source": "random"}, {"source": "params"}]),
        (["random", "early"], [{"source": "random"}, {"source": "early"}]),
        (["pad=runs/pad"], [{"source": "runs/pad", "name": "pad"}]),
        (
            ["pad=runs/pad,labels=hard,draws=2,random"],
            [{"source": "runs/pad", "name": "pad", "labels": "hard", "draws": 2},
             {"source": "random"}],
        ),
        (
            ["long=random,epochs=600,lr=0.1"],
            [{"source": "random", "name": "long", "recipe": {"epochs": 600, "lr": 0.1}}],
        ),
        ([], []),
    ],
)  # fmt: skip
def test_read(texts, found):
    assert read_contestants(texts) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "got ''"),
        ("random,,early", "got ''"),
        ("pad=", "got 'pad='"),
        ("=runs/pad", "got '=runs/pad'"),
        ("labels=hard", "labels=hard must follow a contestant"),
    ],
)
def test_what_cannot_be_read(text, message):
    with pytest.raises(ConfigError, match=message):
        read_contestants([text])


def test_kinds(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    kinds = {
        "random": "proxy", "random-soft": "proxy", "herding": "proxy", "kcenter": "proxy",
        "full": "proxy", "synthetic": "proxy", str(tmp_path): "proxy", "early": "early",
        "reduced": "reduced", "params": "score", "zico": "score",
    }  # fmt: skip
    assert {source: kind_of(ContestantConfig(source=source)) for source in kinds} == kinds


def test_how_often():
    config = config_of("random,herding,params,early,random-soft,draws=5,seeds=1")
    random, herding, params, early, soft = config.contestants
    assert [num_draws(c) for c in config.contestants] == [3, 1, 1, 1, 5]
    assert [num_seeds(c, 4) for c in (random, herding, params, early, soft)] == [4, 4, 1, 4, 1]


def test_names():
    assert name_of(ContestantConfig(source="runs/mnist-pad")) == "mnist-pad"
    assert name_of(ContestantConfig(source="random", name="long")) == "long"


def test_recipes():
    config = config_of("random,long=random,epochs=600,full", recipe={"lr": 0.1})
    random, long, full = config.contestants
    assert recipe_of(random, config, 50_000) == Recipe(lr=0.1)
    assert recipe_of(long, config, 50_000) == Recipe(lr=0.1, epochs=600)
    assert recipe_of(full, config, 54_000) == FULL_RECIPE.replace(epochs=3)


def test_early_stopping_scores_as_in_a_search():
    config = config_of("early")
    [early] = config.contestants
    few = ContestantConfig(source="early", recipe={"validation_images": 2000})
    assert recipe_of(early, config, 50_000).validation_images == EARLY_RECIPE.validation_images
    assert recipe_of(few, config, 50_000).validation_images == 2000
    chosen = config_of("early", recipe={"validation_images": 500})
    assert recipe_of(chosen.contestants[0], chosen, 50_000).validation_images == 500


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["randon"], r"unknown contestant 'randon': choose from early, .*did you mean 'random'"),
        (["runs/nowhere"], "runs/nowhere is no proxy: it has no manifest.json"),
        (["random,random"], r"two contestants are called 'random': .* random-2=random"),
        (["params,labels=hard"], r"params \(score\) has no use for labels"),
        (["early,draws=2"], r"early \(early\) has no use for draws"),
        (["zico,epochs=3"], r"zico \(score\) has no use for recipe"),
        (["random,measure=los"], "unknown measure of contestant random 'los'.*'loss'"),
        ([], "no contestant is named"),
    ],
)
def test_refused(texts, message):
    with pytest.raises(ConfigError, match=message):
        check_contestants(config_of(*texts))


def test_an_unknown_setting_of_a_contestants_recipe():
    config = config_of("random")
    contestant = ContestantConfig(source="random", recipe={"epoch": 3})
    with pytest.raises(ConfigError, match=r"contestants.random.recipe.epoch.*epochs"):
        recipe_of(contestant, config, 100)


@pytest.mark.parametrize(
    ("value", "message"), [("draws=0", "got 0"), ("draws=x", "got 'x'"), ("labels=hrd", "'hrd'")]
)
def test_values_out_of_range(value, message):
    with pytest.raises(ConfigError, match=message):
        config_of(f"random,{value}")


def test_sums():
    assert members_of(["random+params", "a + b+c"]) == (("random", "params"), ("a", "b", "c"))
    check_contestants(config_of("random,params", sums=["random+params"]))
    with pytest.raises(ConfigError, match=r"sum 'flops': choose from params, random"):
        check_contestants(config_of("random,params", sums=["random+flops"]))
    for text in ("random", "random+", "+"):
        with pytest.raises(ConfigError, match="a sum of ranks is A"):
            members_of([text])


def test_too_few_architectures():
    with pytest.raises(ConfigError, match="architectures must be all or >= 3 to be ranked, got 2"):
        config_of("random", architectures=2)
