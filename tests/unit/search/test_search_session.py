from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from PIL import Image

from nasproxy._files import read_json, write_json
from nasproxy.config import Recipe
from nasproxy.errors import ArtifactError, ConfigError, SearchSpaceError
from nasproxy.executors.engine import EngineConfig
from nasproxy.proxy.coreset import make_baseline
from nasproxy.proxy.store import load_proxy
from nasproxy.run_folder import locked
from nasproxy.scores.cost import measure_cost
from nasproxy.search.session import search
from nasproxy.training.metric import METRICS

FIELDS = {
    "trial", "architecture", "proxy_accuracy", "proxy_balanced_accuracy", "proxy_auc",
    "proxy_score", "num_params", "num_flops", "seconds", "status",
}  # fmt: skip


class KilledError(Exception):
    pass


def results(candidates):
    return [{k: v for k, v in c.items() if k != "seconds"} for c in candidates]


def test_candidates(searched, digits):
    candidates = searched.candidates
    assert read_json(searched.folder / "candidates.json") == candidates
    assert [c["trial"] for c in candidates] == list(range(10))
    assert len({str(c["architecture"]) for c in candidates}) == 10
    for candidate in candidates:
        assert set(candidate) >= FIELDS
        assert candidate["status"] == "complete"
        assert 0 <= candidate["proxy_accuracy"] <= 1
        assert candidate["proxy_score"] == candidate["proxy_accuracy"]
        assert 0 <= candidate["proxy_balanced_accuracy"] <= 1
        assert candidate["proxy_auc"] is None  # ten classes
        # a fraction of the 142 validation images
        assert candidate["proxy_accuracy"] * 142 == pytest.approx(
            round(candidate["proxy_accuracy"] * 142)
        )
        assert candidate["seconds"] > 0
        cost = measure_cost(candidate["architecture"], digits.image_shape, 10)
        assert (candidate["num_params"], candidate["num_flops"]) == cost
    assert [c["origin"] for c in candidates[:6]] == ["uniform"] * 6


def test_the_runs_record(searched, digits, random_proxy):
    run = read_json(searched.folder / "run.json")
    assert {"command", "config", "versions", "seed"} <= set(run)
    assert {"python", "torch", "optuna", "hardware"} <= set(run["versions"])
    assert run["config"]["search"] == searched.config.to_dict()
    assert sum(run["data"]["validation_class_counts"]) == len(digits.validation)
    assert run["config"]["data_sha256"] == digits.fingerprint
    assert run["space"] == {"size": 12, "feasible": 12}
    assert read_json(searched.folder / "timings.json")["search_seconds"] > 0
    assert (searched.folder / "study.db").is_file()
    proxy = load_proxy(searched.folder / "proxy")
    assert proxy.images.equal(random_proxy.images)
    with Image.open(searched.folder / "proxy" / "final.png") as picture:
        assert picture.format == "PNG"


def test_the_same_seed_gives_the_same_candidates(searched, digits, random_proxy, tmp_path):
    again = search(digits, random_proxy, searched.config, tmp_path / "run", engine="serial")
    assert results(again) == results(searched.candidates)


@pytest.mark.slow
def test_processes_find_what_one_process_finds(searched, digits, random_proxy, tmp_path):
    again = search(digits, random_proxy, searched.config, tmp_path / "run", workers=2)
    assert results(again) == results(searched.candidates)


@pytest.mark.parametrize("stop", [1, 8])
def test_interrupted_and_gone_on_with(searched, digits, random_proxy, tmp_path, stop):
    def kill(progress):
        assert (progress.stage, progress.total) == ("search", 10)
        if progress.done == stop:
            raise KilledError

    with pytest.raises(KilledError):
        search(digits, random_proxy, searched.config, tmp_path / "run", engine="serial", watch=kill)
    assert len(read_json(tmp_path / "run" / "candidates.json")) == stop
    seen = []
    candidates = search(
        digits, random_proxy, searched.config, tmp_path / "run", engine="serial",
        watch=lambda progress: seen.append(progress.done),
    )  # fmt: skip
    assert seen == list(range(stop + 1, 11))
    assert results(candidates) == results(searched.candidates)


def test_a_finished_search_returns_at_once_and_may_be_extended(
    searched, digits, random_proxy, tmp_path
):
    folder = shutil.copytree(searched.folder, tmp_path / "run")
    seen = []
    again = search(digits, random_proxy, searched.config, folder, workers=1, watch=seen.append)
    assert (again, seen) == (searched.candidates, [])
    longer = searched.make_config(trials=99)
    more = search(digits, random_proxy, longer, folder, engine="serial", watch=seen.append)
    assert more[:10] == searched.candidates
    assert len(more) == 12  # all there are
    assert len({str(c["architecture"]) for c in more}) == 12


def test_a_renamed_folder_goes_on_too(searched, digits, random_proxy, tmp_path):
    folder = shutil.copytree(searched.folder, tmp_path / "renamed")
    seen = []
    again = search(digits, random_proxy, searched.config, folder, workers=1, watch=seen.append)
    assert seen == []
    assert again == searched.candidates


def test_a_repeated_search_keeps_what_verify_noted(searched, digits, random_proxy, tmp_path):
    from nasproxy.config import VerifyConfig
    from nasproxy.verify.session import verify

    folder = shutil.copytree(searched.folder, tmp_path / "run")
    config = VerifyConfig(top=1, uniform=0, seeds=1, recipe=Recipe(epochs=1))
    verify(digits, folder, config, engine="serial")
    search(digits, random_proxy, searched.config, folder, engine="serial")
    assert read_json(folder / "run.json")["config"].get("verify") == config.to_dict()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "search.seed 0 instead of 1"),
        ({"sampler": "random"}, "search.sampler 'tpe' instead of 'random'"),
        (
            {"metric": "balanced_accuracy"},
            "search.metric 'accuracy' instead of 'balanced_accuracy'",
        ),
        ({"recipe": Recipe(epochs=3)}, "search.recipe.epochs 2 instead of 3"),
    ],
)
def test_another_run_in_the_folder_is_refused(searched, digits, random_proxy, change, message):
    before = (searched.folder / "run.json").read_bytes()
    with pytest.raises(ArtifactError, match=f"holds another run.*{message}.*choose another --out"):
        search(digits, random_proxy, searched.make_config(**change), searched.folder)
    assert (searched.folder / "run.json").read_bytes() == before


def test_another_proxy_in_the_folder_is_refused(searched, digits):
    with pytest.raises(ArtifactError, match=r"holds another run.*proxy_sha256"):
        search(digits, make_baseline(digits, "random", 3, 1), searched.config, searched.folder)


@pytest.mark.parametrize(
    ("old", "new"),
    [("[4, 8, 12]", "[4, 8]"), ('norm = ["none", "batch"]\n', ""), ("[1, 2]", "[2, 1]")],
    ids=["fewer values", "a parameter less", "another order"],
)
def test_an_edited_space_is_another_run(  # noqa: PLR0917
    searched, digits, random_proxy, tmp_path, old, new
):
    folder = shutil.copytree(searched.folder, tmp_path / "run")
    path = Path(searched.config.space)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    try:
        with pytest.raises(ArtifactError, match=r"holds another run.*space"):
            search(digits, random_proxy, searched.config, folder, engine="serial")
    finally:
        path.write_text(text)


def test_a_cluster_is_not_joined_for_a_folder_that_is_refused(searched, digits, random_proxy):
    pytest.importorskip("ray", reason="needs the ray extra: pip install 'nasproxy[ray]'")
    engine = EngineConfig(name="ray", ray_address="127.0.0.1:1")
    config = searched.make_config(seed=9)
    with pytest.raises(ArtifactError, match="holds another run"):
        search(digits, random_proxy, config, searched.folder, engine=engine)
    with pytest.raises(ConfigError, match=r"no Ray cluster at '127\.0\.0\.1:1'"):
        search(digits, random_proxy, searched.config, searched.folder, engine=engine)


def test_a_run_without_its_record_is_refused(searched, digits, random_proxy, tmp_path):
    folder = shutil.copytree(searched.folder, tmp_path / "run")
    (folder / "run.json").unlink()
    with pytest.raises(ArtifactError, match=r"without run\.json"):
        search(digits, random_proxy, searched.config, folder)


def test_two_processes_on_one_folder(searched, digits, random_proxy):
    with (
        locked(searched.folder),
        pytest.raises(ArtifactError, match="another process works on"),
    ):
        search(digits, random_proxy, searched.config, searched.folder)


def test_a_proxy_of_other_data(searched, make_dataset, random_proxy, tmp_path):
    with pytest.raises(ArtifactError, match="this proxy was made from"):
        search(make_dataset(), random_proxy, searched.config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_unknown_space(searched, digits, random_proxy, tmp_path):
    with pytest.raises(SearchSpaceError, match="'convnat'"):
        search(digits, random_proxy, searched.make_config(space="convnat"), tmp_path / "run")


def test_failed_candidates_are_recorded(searched, digits, random_proxy, tmp_path):
    """At this learning rate every one diverges; the search goes on."""
    recipe = Recipe(epochs=4, lr=1e20)
    config = searched.make_config(trials=3, recipe=recipe, pruner="median", sampler="grid")
    candidates = search(digits, random_proxy, config, tmp_path / "run", engine="serial")
    assert len(candidates) == 3
    for candidate in candidates:
        assert candidate["status"] == "failed"
        assert candidate["proxy_accuracy"] is None
        assert "diverged" in candidate["reason"]
        assert candidate["num_params"] > 0


def test_several_seeds_are_averaged(searched, digits, random_proxy, tmp_path):
    config = searched.make_config(trials=2, seeds=2)
    for candidate, single in zip(
        search(digits, random_proxy, config, tmp_path / "run", engine="serial"),
        searched.candidates,
        strict=False,
    ):
        assert len(candidate["proxy_accuracies"]) == 2
        assert candidate["proxy_accuracies"][0] == single["proxy_accuracy"]
        assert candidate["proxy_accuracy"] == pytest.approx(sum(candidate["proxy_accuracies"]) / 2)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "auc"])
def test_a_search_by_each_metric(searched, lopsided, tmp_path, metric):
    proxy = make_baseline(lopsided, "random", 5, 0)
    config = searched.make_config(metric=metric, trials=4, seeds=2)
    seen = []
    candidates = search(
        lopsided, proxy, config, tmp_path / "run", engine="serial", watch=seen.append
    )
    for candidate in candidates:
        scores = [candidate[f"proxy_{name}"] for name in METRICS]
        assert all(0 <= score <= 1 for score in scores)
        assert candidate["proxy_score"] == candidate[f"proxy_{metric}"]
    assert len({c["proxy_score"] for c in candidates}) > 1
    best = max(candidates, key=lambda c: c["proxy_score"])
    assert f"(trial {best['trial']})" in seen[-1].message
    # four to one: accuracy is never said alone
    assert f"balanced {best['proxy_balanced_accuracy']:.1%}, AUC {best['proxy_auc']:.1%}" in (
        seen[-1].message
    )
    counts = read_json(tmp_path / "run" / "run.json")["data"]["validation_class_counts"]
    assert counts == [20, 5]


def test_a_pruned_candidate_is_known_by_the_metric_alone(searched, lopsided, tmp_path):
    proxy = make_baseline(lopsided, "random", 5, 0)
    config = searched.make_config(
        metric="auc", trials=12, uniform_trials=0, pruner="halving", recipe=Recipe(epochs=8)
    )
    candidates = search(lopsided, proxy, config, tmp_path / "run", engine="serial")
    pruned = [c for c in candidates if c["status"] == "pruned"]
    assert pruned
    for candidate in pruned:
        assert candidate["proxy_score"] == candidate["proxy_auc"] is not None
        assert candidate["proxy_accuracy"] is None


def test_auc_of_ten_classes_is_refused_before_anything_is_written(
    searched, digits, random_proxy, tmp_path
):
    with pytest.raises(ConfigError, match=r"'auc' takes two classes, digits has 10"):
        search(digits, random_proxy, searched.make_config(metric="auc"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def forget_the_metric(folder):
    """Make a run what it would have been before there was a metric to choose."""
    run = read_json(folder / "run.json")
    del run["config"]["search"]["metric"], run["data"]["validation_class_counts"]
    write_json(folder / "run.json", run)
    with sqlite3.connect(folder / "study.db") as database:
        ((identity,),) = database.execute(
            "select value_json from study_user_attributes where key = 'identity'"
        ).fetchall()
        identity = json.loads(identity)
        del identity["search"]["metric"]
        database.execute(
            "update study_user_attributes set value_json = ? where key = 'identity'",
            [json.dumps(identity)],
        )
        rows = database.execute(
            "select trial_user_attribute_id, value_json from trial_user_attributes "
            "where key = 'proxy_scores'"
        ).fetchall()
        for number, scores in rows:
            database.execute(
                "update trial_user_attributes set key = 'proxy_accuracies', value_json = ? "
                "where trial_user_attribute_id = ?",
                [json.dumps(json.loads(scores)["accuracy"]), number],
            )


def test_a_search_from_before_there_was_a_metric_goes_on(searched, digits, random_proxy, tmp_path):
    folder = shutil.copytree(searched.folder, tmp_path / "run")
    forget_the_metric(folder)
    longer = searched.make_config(trials=11)
    with pytest.raises(ArtifactError, match=r"search\.metric None instead of 'balanced_accuracy'"):
        search(digits, random_proxy, longer.replace(metric="balanced_accuracy"), folder)
    candidates = search(digits, random_proxy, longer, folder, engine="serial")
    assert len(candidates) == 11
    for old, new in zip(candidates, searched.candidates, strict=False):
        assert old == {**new, "proxy_balanced_accuracy": None}
    assert candidates[10]["proxy_balanced_accuracy"] is not None
    assert read_json(folder / "run.json")["config"]["search"]["metric"] == "accuracy"


def test_a_full_proxy_is_not_copied_into_the_run(searched, digits, tmp_path):
    full = make_baseline(digits, "full", None, 0)
    config = searched.make_config(trials=1, recipe=Recipe(epochs=1))
    search(digits, full, config, tmp_path / "run", engine="serial")
    assert not (tmp_path / "run" / "proxy" / "proxy.safetensors").exists()


@pytest.mark.parametrize(
    ("storage", "name", "message"),
    [
        ("journal://{}/s.log", None, "of a study of its own: leave --storage out"),
        (None, "other", r"of the study 'search', got 'other' \(--study-name\)"),
    ],
)
def test_another_study_does_not_replace_that_of_a_folder(  # noqa: PLR0917
    searched, digits, random_proxy, tmp_path, storage, name, message
):
    folder = shutil.copytree(searched.folder, tmp_path / "run")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    url = storage and storage.format(tmp_path)
    with pytest.raises(ArtifactError, match=f"is part {message}.*choose another --out"):
        search(digits, random_proxy, searched.config, folder, storage=url, study_name=name)
    after = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert after == before


def test_a_folder_stays_with_its_shared_study(searched, digits, random_proxy, tmp_path):
    folder, url = tmp_path / "run", f"journal://{tmp_path}/s.log"
    config = searched.make_config(trials=2)
    first = search(digits, random_proxy, config, folder, storage=url, engine="serial")
    folder = folder.rename(tmp_path / "renamed")
    again = search(digits, random_proxy, config, folder, storage=url, engine="serial")
    assert again == first  # in the study that is named after the folder's first name
    for other in (None, f"journal://{tmp_path}/t.log"):
        with pytest.raises(ArtifactError, match=rf"is part of the study in {url}: give it with"):
            search(digits, random_proxy, config, folder, storage=other)
    with pytest.raises(ArtifactError, match="of the study 'run', got 'other'"):
        search(digits, random_proxy, config, folder, storage=url, study_name="other")
    assert not (tmp_path / "t.log").exists()
