"""The cost model by hand, and what it is fed with."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from nasproxy.bench.end_to_end import (
    Effort,
    NetworkSeconds,
    full_efforts,
    measure_end_to_end,
    price,
    price_searches,
    proxy_effort,
    spread_sample,
)
from nasproxy.bench.material import Material
from nasproxy.bench.page import render_html
from nasproxy.bench.plan import BenchConfig
from nasproxy.bench.session import bench
from nasproxy.bench.table import all_tables, end_to_end_table, render_markdown
from nasproxy.cli.table import fitted_table
from nasproxy.config import VerifyConfig
from nasproxy.progress import unwatched

QUICK = BenchConfig.make(quick=True)
OLD = Path(__file__).parents[3] / "results" / "bench-cpu" / "bench.json"
TITLE = "End to end: all trained in full, or on a proxy and the best verified"


def test_searches_by_hand():
    """Networks of 6 and 13 s on the proxy, 22 and 66 s in full."""
    networks = [NetworkSeconds(1.0, 0.5, 0.01), NetworkSeconds(3.0, 1.0, 0.03)]
    few, whole = price_searches(networks, Effort(10, 100), {2: Effort(20, 200)}, 100)
    assert (few["full_epochs"], few["num_candidates"], few["goal"]) == (2, 60, 8)
    assert few["full_search_seconds"] == pytest.approx(60 * 44)
    assert few["verify_seconds"] == pytest.approx(5 * 44)
    assert few["proxy_search_seconds"] == pytest.approx(60 * 9.5 + 5 * 44)
    assert few["ratio"] == pytest.approx(2640 / 790)
    assert few["distilling_may_take_seconds"] is None, "2640 / 8 is less than 790"
    assert few["interval"] is None, "two networks say nothing of the others"
    assert (whole["num_candidates"], whole["goal"]) == (100, 50)
    assert whole["ratio"] == pytest.approx(4400 / 1170)


def test_distilling_may_take_what_the_goal_leaves():
    found = price([1.0, 1.0], [100.0, 300.0], 60, goal=8.0)
    left = found["distilling_may_take_seconds"]
    assert left == pytest.approx(60 * 200 / 8 - (60 * 1 + 5 * 200))
    total = found["proxy_search_seconds"] + left
    assert found["full_search_seconds"] / total == pytest.approx(8)


def test_a_space_smaller_than_a_search_or_a_verification():
    few, whole = price_searches(
        [NetworkSeconds(1.0, 1.0, 0.0)], Effort(1, 0), {1: Effort(10, 0)}, 4
    )
    assert few["num_candidates"] == whole["num_candidates"] == 4
    assert few["ratio"] == pytest.approx(40 / (4 + 40)), "all four are verified"


def test_the_interval_against_scipy():
    generator = np.random.default_rng(3)
    proxy = generator.lognormal(size=24)
    full = 8 * proxy * generator.lognormal(sigma=0.3, size=24)

    def ratio(x, y, axis):
        return 720 * y.mean(axis) / (720 * x.mean(axis) + 5 * y.mean(axis))

    oracle = stats.bootstrap(
        (proxy, full), ratio, paired=True, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    found = price(proxy.tolist(), full.tolist(), 720, goal=50.0)
    assert found["interval"] == pytest.approx(list(oracle), rel=0.02)
    assert found["interval"][0] < found["ratio"] < found["interval"][1]


def test_one_ratio_in_every_network_is_certain():
    found = price([1.0, 2.0, 7.0], [10.0, 20.0, 70.0], 60, goal=8.0)
    assert found["interval"] == pytest.approx([found["ratio"]] * 2)


def test_the_efforts_are_those_of_the_recipes(digits):
    material = Material(digits, QUICK.replace(ipc=10), unwatched)
    count, scored = len(digits.train), len(digits.validation)
    assert proxy_effort(material) == Effort(300, min(2000, scored))
    steps = math.ceil(count / 64)
    assert full_efforts(material) == {20: Effort(20 * steps, scored)}, "the study's are as many"
    many = digits.train.take(torch.arange(54_001) % count)
    large = Material(replace(digits, train=many), QUICK, unwatched)
    assert full_efforts(large) == {3: Effort(3 * 211, scored), 20: Effort(20 * 211, scored)}


def test_a_sample_holds_small_and_large_ones_alike():
    sizes = [1.0] * 30 + [100.0] * 10
    for seed in range(20):
        chosen = spread_sample(sizes, 8, torch.Generator().manual_seed(seed))
        assert len(set(chosen)) == 8
        assert sum(sizes[index] == 100 for index in chosen) == 2
    assert sorted(spread_sample(sizes[:3], 8, torch.Generator())) == [0, 1, 2]


def test_each_network_is_as_likely_to_be_sampled():
    generator = torch.Generator().manual_seed(0)
    drawn = [index for _ in range(4000) for index in spread_sample([3, 1, 2, 2, 9], 2, generator)]
    shares = np.bincount(drawn, minlength=5) / 4000
    assert shares == pytest.approx([0.4] * 5, abs=0.04)  # 5 standard errors


def test_a_sample_is_measured_and_priced(digits):
    told = []
    threads = torch.get_num_threads()
    config = QUICK.replace(cost_networks=3)
    found = measure_end_to_end(Material(digits, config, told.append))["end_to_end"]
    assert torch.get_num_threads() == threads
    assert [(one.stage, one.done, one.total) for one in told] == [
        ("end to end, convnet", done, 3) for done in (1, 2, 3)
    ]
    space = found["spaces"]["convnet"]
    networks = space["networks"]
    assert space["num_measured"] == len(networks) == 3
    assert len({json.dumps(one["architecture"]) for one in networks}) == 3
    searches = {(one["num_candidates"], one["full_epochs"]): one for one in space["searches"]}
    whole = space["num_architectures"]
    assert set(searches) == {(60, 20), (whole, 20)}
    for (count, epochs), search in searches.items():
        full, proxy = found["full"][str(epochs)], found["proxy"]
        long = short = 0.0
        for one in networks:
            scoring = one["score_image_seconds"]
            assert min(scoring, one["full_step_seconds"], one["proxy_step_seconds"]) > 0
            long += full["num_steps"] * one["full_step_seconds"] + full["num_scored"] * scoring
            short += proxy["num_steps"] * one["proxy_step_seconds"] + proxy["num_scored"] * scoring
        ratio = count * long / (count * short + 5 * long)
        assert search["ratio"] == pytest.approx(ratio)
        assert search["interval"][0] <= ratio <= search["interval"][1]
    assert found["threads"] == 1
    assert "300 steps" in found["meaning"]
    assert "20 epochs in batches of 64" in found["meaning"]
    assert found["num_verified"] == VerifyConfig().top


def test_the_section_is_kept_and_shown(tmp_path):
    record = bench(QUICK, tmp_path, only=["end_to_end"])
    assert record == json.loads((tmp_path / "bench.json").read_text())
    assert [table.title for table in all_tables(record)] == [TITLE, "Sections"]
    assert TITLE in render_html(record)
    text = render_markdown(record)
    assert "| convnet | 60 | 20 |" in text
    assert "End to end: a model" in text


def test_a_bench_from_before_the_section_is_shown():
    record = json.loads(OLD.read_text())
    record.pop("end_to_end", None)
    assert TITLE not in render_markdown(record)
    assert TITLE not in render_html(record)


def test_the_table_fits_a_terminal():
    networks = [NetworkSeconds(2.5, 0.9, 0.02), NetworkSeconds(0.1, 0.05, 0.001)] * 12
    efforts = {3: Effort(633, 6000), 20: Effort(4220, 6000)}
    searches = price_searches(networks, Effort(300, 2000), efforts, 720)
    searches[0]["distilling_may_take_seconds"] = 5400.0
    record = {"end_to_end": {"spaces": {"convnet720": {"searches": searches}}}}
    table = end_to_end_table(record)
    assert [row[:3] for row in table.rows] == [
        ("convnet720", "60", "3"), ("convnet720", "720", "3"),
        ("convnet720", "60", "20"), ("convnet720", "720", "20"),
    ]  # fmt: skip
    assert [row[-1] for row in table.rows][:2] == ["1.50", "out of reach"]
    shown = fitted_table(table, width=80)
    assert shown.caption is None, "all columns fit"
