from __future__ import annotations

import warnings
from types import SimpleNamespace

import pytest
import torch

from nasproxy._files import read_json, write_json
from nasproxy._random import named_seed
from nasproxy.config import Recipe, SearchConfig, TrustConfig
from nasproxy.data.dataset import Dataset
from nasproxy.errors import ConfigError, DataWarning, EvaluationError
from nasproxy.pipeline import check_trust
from nasproxy.proxy.coreset import make_baseline
from nasproxy.run_folder import read_timings
from nasproxy.search import latency
from nasproxy.search.objective import build_objective
from nasproxy.search.session import search
from nasproxy.search.trust import train_for_trust
from nasproxy.training.evaluate import score
from nasproxy.training.network import TrainingSet, train_network

LISTED = 'family = "mlp"\n[parameters]\n"hidden.0" = [2, 4, 8, 16, 32]\n'
TRUST = TrustConfig(architectures=4, epochs=0.5)


class KilledError(Exception):
    pass


def ignored(step: int, value: float) -> None:
    pass


@pytest.fixture(scope="session")
def config(tmp_path_factory) -> SearchConfig:
    space = tmp_path_factory.mktemp("space") / "five.toml"
    space.write_text(LISTED)
    return SearchConfig(
        space=str(space), trials=3, pruner="median", recipe=Recipe(epochs=4, validation_images=50)
    )


@pytest.fixture(scope="session")
def checked(digits: Dataset, random_proxy, config, tmp_path_factory) -> SimpleNamespace:
    """An undisturbed check, not to be changed."""
    folder = tmp_path_factory.mktemp("trust")
    record = train_for_trust(digits, random_proxy, config, TRUST, folder, engine="serial")
    return SimpleNamespace(folder=folder, record=record)


def scores(record):
    return [(e["proxy_scores"], e["full_scores"]) for e in record["architectures"]]


def test_what_is_kept(checked):
    record = checked.record
    assert read_json(checked.folder / "trust.json") == record
    assert len({str(e["architecture"]) for e in record["architectures"]}) == 4
    assert record["settings"]["full_epochs"] == pytest.approx(0.5, abs=0.01)
    assert not (checked.folder / "run.json").exists()
    assert read_timings(checked.folder).keys() == {"trust_seconds"}


def test_on_the_proxy_it_is_as_a_trial(checked, digits, random_proxy, config):
    entry = checked.record["architectures"][1]
    objective = build_objective(digits, random_proxy, config.replace(pruner="none"))
    assert objective(entry["architecture"], ignored).by_metric() == entry["proxy_scores"]


def test_half_an_epoch(checked, digits):
    """A half of the images, in one epoch of batches of 64, scored on all validation images."""
    entry, settings = checked.record["architectures"][0], checked.record["settings"]
    recipe = Recipe.parse(settings["full_recipe"])
    assert (recipe.epochs, recipe.batch_size) == (1, 64)
    found = entry["full_scores"]["accuracy"][0]
    assert found * len(digits.validation) == pytest.approx(round(found * len(digits.validation)))
    assert settings["full_images"] == pytest.approx(len(digits.train) / 2, abs=6)


def accuracy_by_hand(digits, config, architecture, recipe) -> float:
    data = TrainingSet(
        digits.train.images, digits.train.labels, digits.num_classes, digits.augmentation
    )
    seed = named_seed(named_seed(config.seed, "trust", "full"), "candidate", 0)
    return score(train_network(architecture, data, recipe, seed), digits.validation).accuracy


def test_a_whole_epoch_is_over_all_images(digits, random_proxy, config, tmp_path):
    record = train_for_trust(
        digits, random_proxy, config, TrustConfig(architectures=3, epochs=1), tmp_path,
        engine="serial",
    )  # fmt: skip
    entry = record["architectures"][0]
    recipe = Recipe.parse(record["settings"]["full_recipe"])
    by_hand = accuracy_by_hand(digits, config, entry["architecture"], recipe)
    assert entry["full_scores"]["accuracy"] == [by_hand]


@pytest.mark.parametrize("stop", [1, 5])
def test_interrupted_and_gone_on_with(  # noqa: PLR0917
    checked, digits, random_proxy, config, tmp_path, stop
):
    def kill(progress):
        assert (progress.stage, progress.total) == ("trust", 8)
        if progress.done == stop:
            raise KilledError

    settings = (digits, random_proxy, config, TRUST, tmp_path)
    with pytest.raises(KilledError):
        train_for_trust(*settings, engine="serial", watch=kill)
    seconds, seen = read_timings(tmp_path)["trust_seconds"], []
    record = train_for_trust(*settings, engine="serial", watch=lambda p: seen.append(p.done))
    assert seen == list(range(stop + 1, 9))
    assert scores(record) == scores(checked.record)
    assert read_timings(tmp_path)["trust_seconds"] > seconds
    again: list[object] = []
    assert train_for_trust(*settings, engine="serial", watch=again.append) == record
    assert again == []


def test_another_check_begins_anew(checked, digits, random_proxy, config, tmp_path):
    write_json(tmp_path / "trust.json", checked.record)
    seen = []
    other = config.replace(seed=1)
    train_for_trust(
        digits, random_proxy, other, TRUST, tmp_path, engine="serial", watch=seen.append
    )
    assert len(seen) == 8


def check(dataset, proxy, config, folder, **changes):
    trust = TRUST.replace(**changes)
    return check_trust(dataset, proxy, config, trust, folder, engine="serial")


def test_a_ranking_like_chance_is_warned_of(checked, digits, random_proxy, config, tmp_path):
    record = {**checked.record}
    ranks = [(0.1, 0.3), (0.2, 0.1), (0.3, 0.4), (0.4, 0.2)]
    record["architectures"] = [
        {**e, "proxy_scores": {"accuracy": [a]}, "full_scores": {"accuracy": [b]}}
        for e, (a, b) in zip(record["architectures"], ranks, strict=True)
    ]
    write_json(tmp_path / "trust.json", record)
    words = r"ranking of 4 architectures cannot be told from chance: rho 0\.00 \[-1\.00, 1\.00\]"
    with pytest.warns(DataWarning, match=words):
        judgement = check(digits, random_proxy, config, tmp_path)
    assert not judgement.told_from_chance
    kept = read_json(tmp_path / "trust.json")
    assert kept["sentence"] == judgement.sentence
    assert kept["spearman_rho"] == pytest.approx(0.0)
    assert kept["architectures"] == record["architectures"]
    with pytest.raises(EvaluationError, match=f"{words}.*--require-trust"):
        check(digits, random_proxy, config, tmp_path, required=True)


def test_a_good_ranking_is_not(checked, digits, random_proxy, config, tmp_path):
    record = {**checked.record}
    record["architectures"] = [
        {**e, "proxy_scores": {"accuracy": [i / 9]}, "full_scores": {"accuracy": [i / 9]}}
        for i, e in enumerate(record["architectures"])
    ]
    write_json(tmp_path / "trust.json", record)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check(digits, random_proxy, config, tmp_path, required=True).p_value <= 0.05


def test_nothing_is_checked(digits, random_proxy, config, tmp_path):
    full = make_baseline(digits, "full", 1, 0)
    assert check(digits, full, config, tmp_path / "full") is None
    off = TRUST.replace(architectures=0)
    assert check_trust(digits, random_proxy, config, off, tmp_path / "off") is None
    assert not list(tmp_path.iterdir())


def test_of_a_search_that_has_begun_only_what_was_found(digits, random_proxy, config, tmp_path):
    search(digits, random_proxy, config, tmp_path, engine="serial")
    assert check(digits, random_proxy, config, tmp_path) is None
    assert not (tmp_path / "trust.json").exists()


def test_failed_trainings(digits, random_proxy, config, tmp_path):
    """At this learning rate all diverge on the proxy."""
    wild = config.replace(recipe={**config.recipe.to_dict(), "lr": 1e20})
    with pytest.warns(DataWarning, match="it takes at least 3, and 4 trainings failed"):
        judgement = check(digits, random_proxy, wild, tmp_path)
    assert judgement.num_failed == 4
    entry = read_json(tmp_path / "trust.json")["architectures"][0]
    assert "diverged" in entry["proxy_error"]
    assert entry["full_error"] is None


def test_mistakes_are_told_before_anything_is_trained(digits, random_proxy, config, tmp_path):
    with pytest.raises(ConfigError, match="'auc' takes two classes"):
        check(digits, random_proxy, config.replace(metric="auc"), tmp_path)
    assert not (tmp_path / "trust.json").exists()


def test_no_test_image_is_near(digits, random_proxy, config):
    """Only the two splits of the data set are handed to the work."""
    from nasproxy.search.rehearsal import build_rehearsal

    work = build_rehearsal(digits, random_proxy, config, TRUST)
    assert torch.equal(work.full.validation.labels, digits.validation.labels)
    assert len(work.proxy.validation) == len(digits.validation_part(50))
    assert work.full.seed != work.proxy.seed


def test_networks_that_are_too_slow_are_not_checked(
    digits, random_proxy, config, tmp_path, monkeypatch
):
    milliseconds = {2: 0.1, 4: 0.2, 8: 9.0, 16: 0.3, 32: 0.4}

    def measure(architecture, *_):
        return milliseconds[architecture["hidden"][0]]

    monkeypatch.setattr(latency, "measure_latency", measure)
    limited = config.replace(max_latency_ms=1.0, pruner="none")
    trust = TRUST.replace(architectures=5)
    record = train_for_trust(digits, random_proxy, limited, trust, tmp_path, engine="serial")
    chosen = {entry["architecture"]["hidden"][0] for entry in record["architectures"]}
    assert chosen == {2, 4, 16, 32}
    assert len(read_json(tmp_path / "latency.json")["architectures"]) == 5
    assert read_timings(tmp_path)["search_seconds"] > 0
