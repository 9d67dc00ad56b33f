from __future__ import annotations

import shutil

import pytest
import torch

from nasproxy._files import read_json, write_json
from nasproxy._random import named_seed
from nasproxy.config import DataConfig, Recipe, VerifyConfig
from nasproxy.data.dataset import load_dataset
from nasproxy.data.holdout import load_test_split
from nasproxy.errors import ArtifactError, ConfigError
from nasproxy.training.evaluate import accuracy, predict
from nasproxy.training.metric import METRICS
from nasproxy.training.network import TrainingSet, train_network
from nasproxy.verify.select import select_top
from nasproxy.verify.session import verify
from nasproxy.verify.training import FullTraining, TrainingRecords

CONFIG = VerifyConfig(top=2, uniform=3, seeds=2, recipe=Recipe(epochs=1, recalibrate_images=0))


class KilledError(Exception):
    pass


@pytest.fixture
def folder(searched, tmp_path):
    return shutil.copytree(searched.folder, tmp_path / "run")


def times(folder):
    return {p.name: p.stat().st_mtime_ns for p in (folder / "trainings").glob("*.json")}


def test_verified_candidates(searched, digits, folder):
    seen = []
    verified = verify(digits, folder, CONFIG, engine="serial", watch=seen.append)
    assert read_json(folder / "verification.json") == verified
    by_trial = {c["trial"]: c for c in searched.candidates}
    top = {c["trial"] for c in select_top(searched.candidates, 2)}
    assert {v["trial"] for v in verified if "top" in v["selected_by"]} == top
    uniform = [v["trial"] for v in verified if "uniform" in v["selected_by"]]
    assert len(uniform) == 3
    assert all(by_trial[trial]["origin"] == "uniform" for trial in uniform)
    assert len({v["trial"] for v in verified}) == len(verified)
    for entry in verified:
        assert entry["architecture"] == by_trial[entry["trial"]]["architecture"]
        assert len(entry["full_accuracy"]) == len(entry["test_accuracy"]) == 2
        assert entry["proxy_score"] == by_trial[entry["trial"]]["proxy_score"]
        for split in ("full", "test"):
            balanced = entry[f"{split}_balanced_accuracy"]
            assert all(0 <= value <= 1 for value in balanced)
            assert entry[f"{split}_auc"] == [None, None]  # ten classes
        assert all(0 <= value <= 1 for value in entry["full_accuracy"] + entry["test_accuracy"])
        assert entry["seconds"] > 0
        assert entry["errors"] == []
    assert [p.done for p in seen] == list(range(1, 2 * len(verified) + 1))
    assert len(times(folder)) == 2 * len(verified)
    run = read_json(folder / "run.json")
    assert run["config"]["verify"] == CONFIG.to_dict()
    assert run["verify_workers"] == 1
    assert sum(run["data"]["validation_class_counts"]) == run["data"]["num_validation"] == 142


def test_a_repeated_call_trains_nothing(digits, folder):
    first = verify(digits, folder, CONFIG, engine="serial")
    before = times(folder)
    seen = []
    assert verify(digits, folder, CONFIG, engine="serial", watch=seen.append) == first
    assert (times(folder), seen) == (before, [])
    # more seeds train the new ones alone
    more = verify(digits, folder, CONFIG.replace(seeds=3), engine="serial", watch=seen.append)
    assert len(seen) == len(first)
    assert all(times(folder)[name] == time for name, time in before.items())
    for one, other in zip(first, more, strict=True):
        assert other["full_accuracy"][:2] == one["full_accuracy"]


def test_interrupted_and_gone_on_with(digits, folder, tmp_path):
    def kill(progress):
        if progress.done == 3:
            raise KilledError

    with pytest.raises(KilledError):
        verify(digits, folder, CONFIG, engine="serial", watch=kill)
    assert not (folder / "verification.json").exists()
    before = times(folder)
    assert len(before) == 3
    resumed = verify(digits, folder, CONFIG, engine="serial")
    assert all(times(folder)[name] == time for name, time in before.items())
    other = shutil.copytree(folder, tmp_path / "undisturbed")
    shutil.rmtree(other / "trainings")
    undisturbed = verify(digits, other, CONFIG, engine="serial")
    for one, two in zip(resumed, undisturbed, strict=True):
        assert {**one, "seconds": 0} == {**two, "seconds": 0}


def test_trainings_from_before_there_was_a_metric_are_not_repeated(digits, folder):
    first = verify(digits, folder, CONFIG, engine="serial")
    for path in (folder / "trainings").glob("*.json"):
        record = read_json(path)
        known = {name: record[name] for name in record if "balanced" not in name}
        write_json(path, {name: known[name] for name in known if "auc" not in name})
    run = read_json(folder / "run.json")
    del run["config"]["search"]["metric"], run["data"]["validation_class_counts"]
    write_json(folder / "run.json", run)
    candidates = read_json(folder / "candidates.json")
    later = ("proxy_score", "proxy_balanced_accuracy", "proxy_auc")
    write_json(
        folder / "candidates.json",
        [{name: c[name] for name in c if name not in later} for c in candidates],
    )
    before, seen = times(folder), []
    again = verify(digits, folder, CONFIG, engine="serial", watch=seen.append)
    assert (times(folder), seen) == (before, [])
    unknown = {"full_balanced_accuracy": [None] * 2, "test_balanced_accuracy": [None] * 2}
    assert again == [{**entry, **unknown} for entry in first]
    # by another metric they say too little
    run["config"]["search"]["metric"] = "balanced_accuracy"
    write_json(folder / "run.json", run)
    repeated = verify(digits, folder, CONFIG, engine="serial", watch=seen.append)
    assert len(seen) == 2 * len(first)
    for one, other in zip(first, repeated, strict=True):
        assert {**one, "seconds": 0} == {**other, "seconds": 0}


def test_an_unknown_metric(digits, folder):
    run = read_json(folder / "run.json")
    run["config"]["search"]["metric"] = "f1"
    write_json(folder / "run.json", run)
    with pytest.raises(ArtifactError, match=r"run.json: config.search.metric must be .* 'f1'"):
        verify(digits, folder, CONFIG, engine="serial")


def test_trainings_may_be_shared_between_runs(digits, folder, searched, tmp_path):
    shared = tmp_path / "shared"
    verify(digits, folder, CONFIG, engine="serial", trainings=shared)
    other = shutil.copytree(searched.folder, tmp_path / "other")
    seen = []
    verify(digits, other, CONFIG, engine="serial", trainings=shared, watch=seen.append)
    assert seen == []
    assert not (folder / "trainings").exists()


@pytest.mark.parametrize(
    "change", [{"recipe": Recipe(epochs=2, recalibrate_images=0)}, {"seed": 1}], ids=str
)
def test_other_trainings_are_not_mistaken_for_these(digits, folder, change):
    config = CONFIG.replace(top=1, uniform=0, seeds=1)
    (first,) = verify(digits, folder, config, engine="serial")
    values = {k: v.to_dict() if hasattr(v, "to_dict") else v for k, v in change.items()}
    (other,) = verify(digits, folder, config.replace(**values), engine="serial")
    assert len(times(folder)) == 2
    assert other["full_accuracy"] != first["full_accuracy"]


def test_a_failed_training_is_recorded_and_the_rest_goes_on(digits, folder):
    recipe = Recipe(epochs=2, lr=1e6, recalibrate_images=0)
    config = CONFIG.replace(recipe=recipe.to_dict(), uniform=6, top=0, seeds=1)
    verified = verify(digits, folder, config, engine="serial")
    assert len(verified) == 6
    failed = [v for v in verified if v["errors"]]
    assert failed
    for entry in failed:
        assert "diverged" in entry["errors"][0]
        assert entry["full_accuracy"] == []
    # a failure is no record: the next call tries those again, and only those
    seen = []
    assert verify(digits, folder, config, engine="serial", watch=seen.append) == verified
    assert len(seen) == len(failed)


def test_the_whole_space_as_a_uniform_sample(searched, digits, random_proxy, tmp_path):
    from nasproxy.search.session import search

    folder = shutil.copytree(searched.folder, tmp_path / "run")
    search(digits, random_proxy, searched.make_config(trials=12), folder, engine="serial")
    verified = verify(digits, folder, CONFIG.replace(uniform=12, top=0, seeds=1), engine="serial")
    assert len(verified) == 12


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lambda f: (f / "candidates.json").unlink(), ArtifactError, "run `nasproxy search` first"),
        (lambda f: (f / "run.json").unlink(), ArtifactError, "is not a run: it has no run.json"),
        (lambda f: write_json(f / "run.json", []), ArtifactError, "does not describe a run"),
        (lambda f: write_json(f / "candidates.json", {}), ArtifactError, "must hold a list"),
        (
            lambda f: write_json(f / "candidates.json", [{"trial": 0}]),
            ArtifactError,
            "entry 0 lacks architecture, num_params, origin",
        ),
    ],
)
def test_folders_that_are_no_search(digits, folder, damage, error, message):
    damage(folder)
    with pytest.raises(error, match=message):
        verify(digits, folder, CONFIG, engine="serial")


def test_other_data_and_too_few(digits, make_dataset, folder):
    with pytest.raises(ArtifactError, match="searched on other data"):
        verify(make_dataset(), folder, CONFIG)
    with pytest.raises(ConfigError, match="use --uniform"):
        verify(digits, folder, CONFIG.replace(uniform=20))


@pytest.mark.parametrize("change", [{"seed": 4}, {"image_size": 12}], ids=str)
def test_the_same_images_split_or_sized_otherwise_are_other_data(folder, change):
    """The candidates were scored on another validation split, or at another size."""
    other = load_dataset(DataConfig(dataset="digits", **change))
    with pytest.raises(ArtifactError):
        verify(other, folder, CONFIG, engine="serial")


def test_nothing_to_verify():
    with pytest.raises(ConfigError, match="nothing to verify"):
        VerifyConfig.parse({"top": 0, "uniform": 0})


def test_one_full_training(digits):
    data = TrainingSet(digits.train.images, digits.train.labels, 10, digits.augmentation)
    test = load_test_split(digits)
    recipe = Recipe(epochs=1, recalibrate_images=0)
    architecture = {"depth": 1, "width": 4}
    work = FullTraining(data, digits.validation, test, recipe, seed=3)
    result = work((architecture, 1), lambda step, value: None)
    model = train_network(architecture, data, recipe, named_seed(3, "full", 1))
    assert result["full_accuracy"] == accuracy(model, digits.validation)
    assert result["test_accuracy"] == accuracy(model, test)
    assert result["seconds"] > 0
    assert result["cpu_seconds"] > 0


def test_every_score_of_two_lopsided_classes(lopsided):
    """Scored by scikit-learn on the same network."""
    from sklearn import metrics

    data = TrainingSet(lopsided.train.images, lopsided.train.labels, 2, lopsided.augmentation)
    recipe = Recipe(epochs=2, recalibrate_images=0)
    architecture = {"depth": 1, "width": 4}
    test = lopsided.validation.take(torch.arange(24, 10, -1))
    work = FullTraining(data, lopsided.validation, test, recipe, seed=0)
    result = work((architecture, 0), lambda step, value: None)
    model = train_network(architecture, data, recipe, named_seed(0, "full", 0))
    for split, part in (("full", lopsided.validation), ("test", test)):
        logits = predict(model, part.images)
        found = [result[f"{split}_{name}"] for name in METRICS]
        assert found == pytest.approx(
            [
                metrics.accuracy_score(part.labels, logits.argmax(1)),
                metrics.balanced_accuracy_score(part.labels, logits.argmax(1)),
                metrics.roc_auc_score(part.labels, logits.softmax(1)[:, 1]),
            ]
        )
        assert len(set(found)) == 3


def test_records_depend_on_all_that_went_in(tmp_path):
    base = {"data": {"sha256": "a"}, "recipe": Recipe(), "seed": 0}
    paths = {
        TrainingRecords(tmp_path, **{**base, **change}).path(architecture, index)
        for change in ({}, {"data": {"sha256": "b"}}, {"recipe": Recipe(epochs=1)}, {"seed": 1})
        for architecture in ({"depth": 1}, {"depth": 2})
        for index in (0, 1)
    }
    assert len(paths) == 16
    records = TrainingRecords(tmp_path, **base)
    assert records.read({"depth": 1}, 0) is None
    records.write({"depth": 1, "width": 4}, 0, {"full_accuracy": 0.5, "seconds": 1.0})
    assert records.read({"width": 4, "depth": 1}, 0)["full_accuracy"] == 0.5
    assert TrainingRecords(tmp_path, **base, metric="auc").read({"depth": 1, "width": 4}, 0) is None
