from __future__ import annotations

import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats

from nasproxy._files import read_json, write_json
from nasproxy.config import Recipe, RecipeChange, SearchConfig, TrustConfig
from nasproxy.data.dataset import Dataset
from nasproxy.errors import ConfigError, DataWarning
from nasproxy.pipeline import check_trust, choose_recipe
from nasproxy.proxy.coreset import make_baseline
from nasproxy.report.session import report
from nasproxy.run_folder import read_timings
from nasproxy.search.calibration import calibrate, list_options
from nasproxy.search.objective import build_objective
from nasproxy.search.rehearsal import build_rehearsal
from nasproxy.search.session import search

LISTED = 'family = "mlp"\n[parameters]\n"hidden.0" = [1, 2, 4, 8, 16, 32, 64]\n'
TRUST = TrustConfig(
    architectures=6, epochs=0.3, calibrate=True,
    recipes=(RecipeChange(epochs=2), RecipeChange(lr=0.2), RecipeChange(lr=1e-6)),
)  # fmt: skip
NUM_TRAININGS = 3 * (1 + 4) + 3 * (1 + 3)
"""Half of the six on all data and by four recipes, the others by the own and the better two."""


class KilledError(Exception):
    pass


def silent(step: int, value: float) -> None:
    raise AssertionError("nothing is to be reported")


def ignored(step: int, value: float) -> None:
    pass


@pytest.fixture(scope="session")
def config(tmp_path_factory) -> SearchConfig:
    space = tmp_path_factory.mktemp("space") / "seven.toml"
    space.write_text(LISTED)
    return SearchConfig(
        space=str(space), trials=3, pruner="median", recipe=Recipe(epochs=4, validation_images=50)
    )


@pytest.fixture(scope="session")
def soft_proxy(random_proxy):
    generator = torch.Generator().manual_seed(0)
    soft = torch.rand(len(random_proxy.labels), 10, generator=generator).softmax(1)
    manifest = random_proxy.manifest.replace(tensors_sha256="")
    return replace(random_proxy, soft_labels=soft, manifest=manifest)


@pytest.fixture(scope="session")
def calibrated(digits: Dataset, random_proxy, config, tmp_path_factory) -> SimpleNamespace:
    """An undisturbed choice, not to be changed."""
    folder = tmp_path_factory.mktemp("calibration")
    seen: list[object] = []
    record = calibrate(
        digits, random_proxy, config, TRUST, folder, engine="serial", watch=seen.append
    )
    return SimpleNamespace(folder=folder, record=record, seen=seen)


def scores(record):
    return [
        (e["full_scores"], {k: o["proxy_scores"] for k, o in e["options"].items()})
        for e in record["architectures"]
    ]


def test_what_is_kept(calibrated):
    record = calibrated.record
    assert read_json(calibrated.folder / "calibration.json") == record
    assert [option["changes"] for option in record["options"]] == [
        {}, {"epochs": 2}, {"lr": 0.2}, {"lr": 1e-6},
    ]  # fmt: skip
    assert read_timings(calibrated.folder).keys() == {"calibration_seconds"}
    assert not (calibrated.folder / "run.json").exists()


def test_the_better_half_goes_on(calibrated):
    record = calibrated.record
    tried = [sorted(entry["options"]) for entry in record["architectures"]]
    assert tried[:3] == [["0", "1", "2", "3"]] * 3
    assert tried[3:] == [tried[3]] * 3
    assert len(tried[3]) == 3
    assert "0" in tried[3]
    finished = [str(place) for place, o in enumerate(record["options"]) if o["rho"] is not None]
    assert finished == tried[3]
    assert [p.done for p in calibrated.seen] == list(range(1, NUM_TRAININGS + 1))
    assert {p.total for p in calibrated.seen} == {NUM_TRAININGS} == {record["num_trainings"]}


def test_rhos_are_scipys(calibrated):
    entries = calibrated.record["architectures"]
    for place, option in enumerate(calibrated.record["options"]):
        for part, key in ((entries[:3], "first_rho"), (entries, "rho")):
            if option[key] is None:
                continue
            proxy = [e["options"][str(place)]["proxy_scores"]["accuracy"][0] for e in part]
            full = [e["full_scores"]["accuracy"][0] for e in part]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", stats.ConstantInputWarning)
                expected = stats.spearmanr(proxy, full).statistic
            assert option[key] == pytest.approx(np.nan_to_num(expected))


def test_every_recipe_is_trained_as_a_trial_is(calibrated, digits, random_proxy, config):
    entry = calibrated.record["architectures"][1]
    plain = config.replace(pruner="none")
    for place, change in enumerate((RecipeChange(), *TRUST.recipes)):
        objective = build_objective(digits, random_proxy, change.applied(plain))
        expected = objective(entry["architecture"], ignored).by_metric()
        assert entry["options"][str(place)]["proxy_scores"] == expected
    full = build_rehearsal(digits, random_proxy, config, TRUST).full
    assert full(entry["architecture"], silent).by_metric() == entry["full_scores"]


def test_the_trust_check_trains_nothing_again(calibrated, digits, random_proxy, config, tmp_path):
    for name in ("calibration", "trust"):
        write_json(tmp_path / f"{name}.json", read_json(calibrated.folder / f"{name}.json"))
    chosen, found = choose_recipe(digits, random_proxy, config, TRUST, tmp_path, engine="serial")
    seen: list[object] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        judgement = check_trust(
            digits, random_proxy, chosen, TRUST, tmp_path, engine="serial", watch=seen.append
        )
    assert len(seen) == 1  # what was found
    assert judgement.spearman_rho == pytest.approx(found.options[found.chosen].rho)
    assert "trust_seconds" not in read_timings(tmp_path)
    assert read_json(tmp_path / "trust.json")["sentence"] == judgement.sentence


@pytest.mark.parametrize("stop", [1, 14, 15, 20])
def test_interrupted_and_gone_on_with(  # noqa: PLR0917
    calibrated, digits, random_proxy, config, tmp_path, stop
):
    def kill(progress):
        if progress.done == stop:
            raise KilledError

    settings = (digits, random_proxy, config, TRUST, tmp_path)
    with pytest.raises(KilledError):
        calibrate(*settings, engine="serial", watch=kill)
    seconds, seen = read_timings(tmp_path)["calibration_seconds"], []
    record = calibrate(*settings, engine="serial", watch=lambda p: seen.append(p.done))
    assert seen == list(range(stop + 1, NUM_TRAININGS + 1))
    assert scores(record) == scores(calibrated.record)
    assert record["options"] == calibrated.record["options"]
    assert read_timings(tmp_path)["calibration_seconds"] > seconds


def test_other_recipes_begin_anew(calibrated, digits, random_proxy, config, tmp_path):
    write_json(tmp_path / "calibration.json", calibrated.record)
    other, seen = TRUST.replace(recipes=[{"epochs": 1}]), []
    calibrate(digits, random_proxy, config, other, tmp_path, engine="serial", watch=seen.append)
    assert len(seen) == 6 * (1 + 2)


def crippled(config):
    """A recipe that learns nothing: the others beat it clearly."""
    return config.replace(recipe={**config.recipe.to_dict(), "lr": 1e-9})


def test_a_better_recipe_is_searched_with(digits, random_proxy, config, tmp_path):
    trust = TRUST.replace(recipes=[{"lr": 0.2, "epochs": 20}], epochs=2.0)
    settings = (digits, random_proxy, crippled(config), trust, tmp_path)
    chosen, found = choose_recipe(*settings, engine="serial")
    assert (chosen.recipe.lr, chosen.recipe.epochs) == (0.2, 20)
    assert found.chosen == 1
    assert found.sentence.startswith("of 2 recipes on 6 architectures, epochs 20, lr 0.2 ranks")
    search(digits, random_proxy, chosen, tmp_path, engine="serial")
    seen: list[object] = []
    again, _ = choose_recipe(*settings, engine="serial", watch=seen.append)
    assert again == chosen  # read, not chosen again
    assert len(seen) == 1
    summary = report(tmp_path)
    assert summary["calibration"]["chosen"] == 1
    assert summary["calibration_seconds"] > 0
    assert summary["trust_seconds"] is None


def test_failed_trainings(digits, random_proxy, config, tmp_path):
    """At this learning rate all diverge: the recipe ranks nothing, and is no choice."""
    trust = TRUST.replace(recipes=[{"lr": 1e20}])
    record = calibrate(digits, random_proxy, config, trust, tmp_path, engine="serial")
    tried = record["architectures"][0]["options"]["1"]
    assert "diverged" in tried["proxy_error"]
    assert "proxy_scores" not in tried
    assert (record["chosen"], record["options"][1]["first_rho"]) == (0, 0)


def test_only_what_makes_a_difference_is_tried(digits, random_proxy, soft_proxy, config):
    def names(proxy, search=config, trust=TrustConfig()):  # noqa: B008 - never changed
        return [option.changes() for option in list_options(proxy, search, trust)]

    longer = config.replace(recipe=Recipe(epochs=300).to_dict())
    hard = names(random_proxy, longer)
    assert hard == [
        {}, {"epochs": 100}, {"epochs": 100, "lr": 0.1}, {"lr": 0.02}, {"lr": 0.1},
        {"augmentation": "none"},
    ]  # fmt: skip
    assert names(soft_proxy, longer) == [*hard, {"labels": "hard"}]
    assert {"labels": "hard"} not in names(soft_proxy, longer.replace(labels="hard"))
    assert {"epochs": 100} not in names(
        random_proxy, config.replace(recipe=Recipe(epochs=100).to_dict())
    )
    plain = make_baseline(replace(digits, augmentation=type(digits.augmentation)()), "random", 1, 0)
    assert {"augmentation": "none"} not in names(plain, longer)


def test_soft_labels_are_left_aside(digits, soft_proxy, random_proxy, config, tmp_path):
    trust = TRUST.replace(recipes=[{"labels": "hard"}])
    record = calibrate(digits, soft_proxy, config, trust, tmp_path, engine="serial")
    entry = record["architectures"][0]
    objective = build_objective(digits, random_proxy, config.replace(pruner="none"))
    expected = objective(entry["architecture"], ignored).by_metric()
    assert (
        entry["options"]["1"]["proxy_scores"] == expected != entry["options"]["0"]["proxy_scores"]
    )


def test_nothing_is_chosen(digits, random_proxy, config, tmp_path):
    full = make_baseline(digits, "full", 1, 0)
    assert choose_recipe(digits, full, config, TRUST, tmp_path) == (config, None)
    off = TRUST.replace(calibrate=False)
    assert choose_recipe(digits, random_proxy, config, off, tmp_path) == (config, None)
    assert not list(tmp_path.iterdir())


def test_a_search_that_began_without(digits, random_proxy, config, tmp_path):
    search(digits, random_proxy, config, tmp_path, engine="serial")
    with pytest.raises(
        ConfigError, match=r"began without choosing a recipe: leave out --calibrate"
    ):
        choose_recipe(digits, random_proxy, config, TRUST, tmp_path)


def test_mistakes_are_told_before_anything_is_trained(digits, random_proxy, config, tmp_path):
    with pytest.raises(ConfigError, match="'auc' takes two classes"):
        calibrate(digits, random_proxy, config.replace(metric="auc"), TRUST, tmp_path)
    assert not (tmp_path / "calibration.json").exists()


def test_no_test_image_is_near(digits, random_proxy, config):
    from nasproxy.search.calibration import _build_tryout

    work = _build_tryout(digits, random_proxy, [config, config], TRUST)
    assert torch.equal(work.full.validation.labels, digits.validation.labels)
    for one in work.proxies:
        assert len(one.validation) == len(digits.validation_part(50))
