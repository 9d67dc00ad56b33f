from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nasproxy._files import read_json
from nasproxy.compare.truth import draw_sample, open_records, recorded_sample, train_truth
from nasproxy.config import FULL_RECIPE, CompareConfig, DataConfig, Recipe, VerifyConfig
from nasproxy.errors import ArtifactError, ConfigError, DataWarning, EvaluationError
from nasproxy.progress import unwatched
from nasproxy.scores.cost import measure_cost
from nasproxy.search.space import load_space
from nasproxy.verify.session import verify

RECIPE = Recipe(epochs=1, recalibrate_images=0, validation_images=None)


def config_of(searched, **changes):
    values = {
        "data": DataConfig(dataset="digits"), "space": searched.config.space, "truth_seeds": 2,
        "truth_recipe": RECIPE.to_dict(), "architectures": 4,
    }  # fmt: skip
    return CompareConfig(**{**values, **changes})


def train(digits, searched, folder, *, watch=unwatched, sample=None, **changes):
    config = config_of(searched, **changes)
    space = load_space(config.space)
    records = open_records(digits, config, folder)
    sample = sample or draw_sample(space.feasible_points(digits.image_shape), config)
    return train_truth(
        digits, space, sample, config, records, workers=None, engine="serial", watch=watch
    )


def test_a_sample_is_uniform_and_seeded(digits, searched):
    points = load_space(searched.config.space).feasible_points(digits.image_shape)
    assert draw_sample(points, config_of(searched, architectures="all")) == points
    counts = dict.fromkeys(range(12), 0)
    for seed in range(300):
        sample = draw_sample(points, config_of(searched, seed=seed))
        places = [points.index(point) for point in sample]
        assert len(set(places)) == 4
        assert places == sorted(places)
        for place in places:
            counts[place] += 1
    # 300 samples of 4 from 12: 100 each, standard deviation sqrt(300 * 1/3 * 2/3) = 8.2
    assert all(abs(count - 100) < 33 for count in counts.values())
    config = config_of(searched, seed=7)
    assert draw_sample(points, config) == draw_sample(points, config)


def test_a_sample_larger_than_the_space(digits, searched):
    points = load_space(searched.config.space).feasible_points(digits.image_shape)
    with pytest.raises(ConfigError, match=r"<= 12, .* got 13 \(--architectures\): use all"):
        draw_sample(points, config_of(searched, architectures=13))


def test_the_truth(digits, searched, tmp_path):
    truth = train(digits, searched, tmp_path)
    assert len(truth) == 4
    for one in truth:
        assert one.architecture == {"family": "convnet", **one.factors}
        assert set(one.factors) == {"depth", "width", "norm"}
        cost = measure_cost(one.architecture, digits.image_shape, 10)
        assert (one.num_params, one.num_flops) == cost
        assert len(one.full) == len(one.seconds) == 2
        assert all(0 <= value <= 1 for value in one.full)
        assert all(value > 0 for value in one.seconds)
    seen = []
    assert train(digits, searched, tmp_path, watch=seen.append) == truth
    assert [(p.stage, p.done, p.total) for p in seen] == [("truth", 8, 8)]


def test_trainings_of_verify_are_served(digits, searched, tmp_path):
    """The same names: what verify has trained is never trained again, and the other way round."""
    shared = tmp_path / "shared"
    config = VerifyConfig(top=0, uniform=3, seeds=2, recipe=RECIPE)
    folder = shutil.copytree(searched.folder, tmp_path / "run")
    verified = verify(digits, folder, config, trainings=shared, engine="serial")
    files = {path.name for path in shared.iterdir()}
    seen = []
    space = load_space(searched.config.space)
    points = space.feasible_points(digits.image_shape)
    records = open_records(digits, config_of(searched), shared)
    sample = recorded_sample(points, space, config_of(searched), records, shared)
    truth = train(digits, searched, shared, sample=sample, watch=seen.append)
    assert [(p.done, p.total) for p in seen] == [(6, 6)]
    assert {path.name for path in shared.iterdir()} == files
    by_full = {str(entry["architecture"]): entry["full_accuracy"] for entry in verified}
    assert {str(one.architecture): list(one.full) for one in truth} == {
        str({"family": "convnet", **one.factors}): by_full[str(one.architecture)] for one in truth
    }
    for path in shared.iterdir():
        record = read_json(path)
        assert path == records.path(record["architecture"], record["seed_index"])


@pytest.mark.parametrize("change", [{"truth_seeds": 3}, {"seed": 1}, {"truth_epochs": 2}], ids=str)
def test_nothing_fitting_is_recorded(digits, searched, tmp_path, change):
    train(digits, searched, tmp_path)
    config = config_of(searched, **change)
    space = load_space(config.space)
    records = open_records(digits, config, tmp_path)
    points = space.feasible_points(digits.image_shape)
    with pytest.raises(ArtifactError, match=r"holds 0 architectures of space .* least: use fewer"):
        recorded_sample(points, space, config, records, tmp_path)


def test_failed_trainings_are_left_out_and_tried_again(digits, searched, tmp_path):
    space = load_space(searched.config.space)
    points = space.feasible_points(digits.image_shape)
    broken = [{**points[0], "width": -1}]
    with pytest.warns(DataWarning, match=r"1 of 4 architectures are left out.*got -1"):
        truth = train(digits, searched, tmp_path, sample=[*broken, *points[:3]])
    assert [one.factors for one in truth] == points[:3]
    seen = []
    with pytest.warns(DataWarning, match="1 of 4"):
        train(digits, searched, tmp_path, sample=[*broken, *points[:3]], watch=seen.append)
    assert len([p for p in seen if p.message]) == 2
    with pytest.raises(EvaluationError, match="2 of 4 full trainings failed"):
        train(digits, searched, tmp_path, sample=[*broken, *broken, *points[:2]])


def test_the_uniform_candidates_of_a_run(digits, searched, tmp_path):
    """Its top candidates were chosen for being good: they are no part of the sample."""
    run = shutil.copytree(searched.folder, tmp_path / "run")
    config = VerifyConfig(top=3, uniform=4, seeds=2, recipe=RECIPE)
    verified = verify(digits, run, config, engine="serial")
    space = load_space(searched.config.space)
    points = space.feasible_points(digits.image_shape)
    records = open_records(digits, config_of(searched), run / "trainings")
    sample = recorded_sample(points, space, config_of(searched), records, run)
    chosen = [v["architecture"] for v in verified if "uniform" in v["selected_by"]]
    assert len(sample) == 4 < len(verified)
    assert all(space.architecture(point) in chosen for point in sample)
    every = recorded_sample(points, space, config_of(searched), records, run / "trainings")
    assert len(every) == len(verified)


def test_the_recipe_of_the_truth(searched):
    assert config_of(searched, truth_recipe={}).full_recipe(54_000) == FULL_RECIPE
    changed = config_of(searched, truth_recipe={"lr": 0.1}, truth_epochs=2)
    assert changed.full_recipe(54_000) == FULL_RECIPE.replace(lr=0.1, epochs=2)
    with pytest.raises(ConfigError, match=r"truth_recipe.epoch'.*truth_recipe.epochs"):
        config_of(searched, truth_recipe={"epoch": 2}).full_recipe(100)


@pytest.mark.mnist
def test_the_committed_truth_of_mnist_is_found(mnist):
    """`results/ground-truth-mnist` was made by verify; records are named as here."""
    folder = Path(__file__).parents[3] / "results" / "ground-truth-mnist"
    config = CompareConfig(data=mnist.config, truth_seeds=1)
    space = load_space("convnet")
    points = space.feasible_points(mnist.image_shape)
    records = open_records(mnist, config, folder)
    assert len(recorded_sample(points, space, config, records, folder)) >= 60
