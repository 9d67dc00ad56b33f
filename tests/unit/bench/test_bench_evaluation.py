"""The sample of architectures, and all sides on the same candidate."""

import json
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image
from torch import nn

from nasproxy.bench.clock import spread
from nasproxy.bench.evaluation import (
    measure_evaluation,
    objective,
    search_recipe,
    stratified_points,
)
from nasproxy.bench.material import Material
from nasproxy.bench.page import render_html
from nasproxy.bench.plan import BenchConfig
from nasproxy.bench.session import bench
from nasproxy.bench.table import evaluation_table, key_table, render_markdown
from nasproxy.bench.way import plain_way, study_way
from nasproxy.cli.table import fitted_table
from nasproxy.config import AUGMENTATIONS
from nasproxy.progress import unwatched
from nasproxy.search.space import load_space

QUICK = BenchConfig.make(quick=True)
OLD = Path(__file__).parents[3] / "results" / "bench-cpu" / "bench.json"
STUDY_ROW = "evaluation against the study's way, augmentation none"


def test_the_sample_holds_every_pair_of_depth_and_norm_and_all_widths():
    points = load_space("convnet").feasible_points((1, 28, 28))
    chosen = stratified_points(points, 20)
    assert len({(point["depth"], point["norm"]) for point in chosen}) == 20
    assert set(Counter(point["width"] for point in chosen).values()) == {2, 3}
    assert len(stratified_points(points, 3)) == 3


def test_all_sides_learn_the_same(digits):
    config = BenchConfig.make(quick=True, epochs=40, ipc=10)
    material = Material(digits, config, unwatched)
    recipe = search_recipe(material)
    work = objective(material, material.proxy(AUGMENTATIONS["none"]), recipe)
    network = {"family": "convnet", "depth": 2, "width": 8, "norm": "instance"}
    ours = work(network, lambda step, value: None).mean("accuracy")
    for way in (plain_way(work), study_way(work, digits.normalization)):
        theirs = way(network)
        assert min(ours, theirs.accuracy) > 0.5
        assert abs(ours - theirs.accuracy) < 0.2
        assert theirs.reading.wall > 0


def test_the_study_decodes_every_picture_each_time_in_batches_of_64(digits, monkeypatch):
    """100 images for two epochs, and 50 that score: 64, 36, 64, 36, 50."""
    config = QUICK.replace(epochs=2, ipc=10)
    material = Material(digits, config, unwatched)
    work = objective(material, material.proxy(AUGMENTATIONS["none"]), search_recipe(material))
    way = study_way(work, digits.normalization)
    decoded = _calls(monkeypatch, Image, "fromarray")
    layers = _calls(monkeypatch, nn.Linear, "forward")
    way({"family": "mlp", "hidden": [4]})
    assert [len(batch) for _, batch in layers[::2]] == [64, 36, 64, 36, 50]
    assert len(decoded) == 2 * 100 + 50


def _calls(monkeypatch, owner, name):
    """Return a list of the arguments of all calls to come, which are let through."""
    calls, function = [], getattr(owner, name)

    def noted(*args):
        calls.append(args)
        return function(*args)

    monkeypatch.setattr(owner, name, noted)
    return calls


def test_every_side_is_in_the_record(digits):
    found = measure_evaluation(Material(digits, QUICK, unwatched))["evaluation"]
    study = found["study"]["seconds_per_candidate"]["values"]
    ours = found["ours"]["seconds_per_candidate"]["values"]
    ratios = [slow / fast for slow, fast in zip(study, ours, strict=True)]
    assert found["to_study"]["values"] == pytest.approx(ratios, rel=1e-3)
    assert found["to_study"]["n"] == QUICK.repeats
    assert found["ratio_to_study"] == found["to_study"]["median"]
    rate = 60 / found["study"]["seconds_per_candidate"]["median"]
    assert found["study"]["candidates_per_minute"] == pytest.approx(rate)
    assert set(found["accuracy"]) == {"ours", "plain", "study"}
    assert "study" not in found["augmented"]
    assert all(one["to_study"]["median"] > 0 for one in found["candidates"])
    assert "the study's way" in found["fairness"]


def test_the_study_is_shown_where_it_was_measured(tmp_path):
    record = bench(QUICK, tmp_path, only=["evaluation"])
    assert STUDY_ROW in [name for name, *_ in key_table(record).rows]
    assert all(row[3] and row[6] for row in evaluation_table(record).rows)
    assert "all, the study's way" in render_html(record)


def test_the_table_fits_a_terminal():
    row = {
        "architecture": {"family": "convnet", "depth": 4, "width": 64, "norm": "instance"},
        "seconds_in_worker": spread([0.0551]),
        "seconds_plain": spread([0.0442]),
        "seconds_study": spread([12.3]),
        "ratio": spread([1.61, 1.76]),
        "to_study": spread([12.2, 13.3]),
    }
    table = evaluation_table({"evaluation": {"candidates": [row]}})
    assert table.rows[0][1:] == ("0.0551", "0.0442", "12.3", "1.69", "1.61 to 1.76", "12.8")
    assert fitted_table(table, width=80).caption is None, "all columns fit"


def test_a_bench_from_before_the_study_is_shown():
    record = json.loads(OLD.read_text())
    assert "to_study" not in record["evaluation"]
    assert STUDY_ROW not in render_markdown(record)
    assert all(row[3] == row[6] == "" for row in evaluation_table(record).rows)
    assert "all, the study's way" not in render_html(record)
