from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import spearmanr

from nasproxy.config import DataConfig
from nasproxy.study.note import made_with, network_notes, search_notes
from nasproxy.study.page import _get_curves_info, draw_curves, draw_times, render_html
from nasproxy.study.plan import StudyConfig, plan
from nasproxy.study.record import read_rows
from nasproxy.study.summary import converged_epochs, summarize
from nasproxy.study.table import network_table, render_markdown, search_table

RESULTS = Path(__file__).parents[3] / "results"
CONFIG = StudyConfig(data=DataConfig(dataset="mnist"))
HERE = {"python": "3", "torch": "2.15.0", "hardware": "2 cores"}
THERE = {**HERE, "hardware": "8 cores"}
COMMON = {"versions": HERE, "command": "nasproxy study", "recipe": {"epochs": 20}}


def search_result(validation: list[list[float]], own: list[list[float]]) -> dict[str, Any]:
    networks = [
        {"architecture": {"hidden": [index]}, "validation": v, "own": o, "seconds": [1.0, 1.0]}
        for index, (v, o) in enumerate(zip(validation, own, strict=True))
    ]
    return {**COMMON, "num_seeds": 2, "networks": networks, "seconds": 2.0 * len(networks)}


def training_result(accuracy: float, curve: list[float]) -> dict[str, Any]:
    return {
        **COMMON,
        "accuracy_mean": accuracy, "accuracy_std": 0.01, "balanced_accuracy_mean": accuracy,
        "balanced_accuracy_std": 0.01, "majority_class_rate": 0.11, "seconds_mean": 3.0,
        "num_seeds": 2, "num_params": 10, "multiply_adds": 2_486_592,
        "runs": [{"curve": curve}, {"curve": [value + 0.1 for value in curve]}],
    }  # fmt: skip


TRUTH = [[0.9, 0.92], [0.95, 0.94], [0.8, 0.85], [0.7, 0.72]]
PROXY = [[0.6, 0.62], [0.58, 0.6], [0.5, 0.55], [0.52, 0.5]]
FINISHED = {
    "full/convnet-3-w32/study": training_result(0.99, [0.5, 0.8]),
    "pad/convnet-3-w32/study": training_result(0.87, [0.2, 0.4]),
    "full/search": search_result(TRUTH, [[0.99], [0.98], [0.97], [0.96]]),
    "pad/search": search_result(PROXY, [[1.0], [0.9], [0.8], [0.7]]),
}
PAD = {
    "seconds": 100.0, "made_on": "2 cores", "torch": "2.15.0",
    "pictures": ["proxies/pad/final.png"],
}  # fmt: skip
PROXIES = {"pad": PAD}


@pytest.fixture
def summary() -> dict[str, Any]:
    return summarize(CONFIG, FINISHED, PROXIES)


def test_searches_are_judged_on_validation_with_an_oracle(summary):
    full, pad = summary["searches"]
    mean = [sum(values) / 2 for values in TRUTH], [sum(values) / 2 for values in PROXY]
    assert pad["spearman_rho"] == pytest.approx(spearmanr(*mean).statistic)
    assert pad["best"] == {"hidden": [0]}
    assert pad["regret"] == pytest.approx(0.945 - 0.91)
    assert pad["distill_seconds"] == 100.0
    assert pad["same_best_by_own_images"] is True  # the study's claim, on the study's terms
    assert pad["own_images_spearman_rho"] == pytest.approx(1.0)
    assert (full["regret"], full["speedup"]) == (0.0, 1.0)
    assert "spearman_rho" not in full
    assert full["noise_ceiling"] == pytest.approx(spearmanr(*zip(*TRUTH, strict=True)).statistic)


def timed(
    proxies: dict[str, Any], full: dict[str, Any] = HERE, pad: dict[str, Any] = HERE
) -> dict[str, Any]:
    """Two searches, made where they say."""
    searches = {
        "full/search": {**search_result(TRUTH, PROXY), "versions": full, "seconds": 800.0},
        "pad/search": {**search_result(PROXY, PROXY), "versions": pad},
    }
    return summarize(CONFIG, searches, proxies)


def test_speed_ups_on_one_machine():
    full, pad = timed(PROXIES)["searches"]
    assert (full["speedup"], full["speedup_with_distilling"]) == (1.0, 1.0)
    assert pad["speedup"] == pytest.approx(400 / 4)
    assert pad["speedup_with_distilling"] == pytest.approx(400 / (4 + 100))
    assert search_notes(timed(PROXIES))[0].startswith("Noise ceiling")


@pytest.mark.parametrize("there", [THERE, {**HERE, "torch": "2.14.1"}])
def test_seconds_of_different_machines_are_not_divided(there):
    summary = timed(PROXIES, full=there)
    full, pad = summary["searches"]
    assert (full["speedup"], pad["speedup"]) == (1.0, None)
    assert search_table(summary).rows[1][2:4] == ("", "")
    notes = search_notes(summary)
    assert notes[0] == (
        "No speed-up where machine or torch differ: full data was searched on "
        f"{there['hardware']}, torch {there['torch']}; pad on 2 cores, torch 2.15.0. Seconds of "
        "different machines or versions of torch do not compare."
    )
    assert "that was timed elsewhere" in notes[1]
    figure = draw_times(summary)
    assert figure is not None
    assert figure.caption.endswith("Not all on one machine: see the notes.")
    for text in (render_markdown(summary), render_html(summary, Path())):
        for note in notes:
            assert note in html.unescape(text)


@pytest.mark.parametrize(
    ("facts", "place"),
    [
        ({**PAD, "made_on": "8 cores"}, "8 cores, torch 2.15.0"),
        ({**PAD, "torch": "2.14.1"}, "2 cores, torch 2.14.1"),
        ({"seconds": 100.0, "made_on": "", "pictures": []}, "unknown hardware, torch of unknown"),
    ],
)
def test_nor_are_those_of_a_distillation_elsewhere(facts, place):
    summary = timed({"pad": facts})
    pad = summary["searches"][1]
    assert pad["speedup"] == pytest.approx(100)
    assert search_table(summary).rows[1][2:4] == ("100.0x", "")
    assert (
        f"timed elsewhere than the search on full data: pad on {place}"
        in (search_notes(summary)[0])
    )


def test_real_images_cost_nothing_wherever_they_were_chosen():
    summary = timed({"pad": {**PAD, "seconds": 0.003, "made_on": "8 cores"}})
    assert search_table(summary).rows[1][2:4] == ("100.0x", "99.9x")
    assert search_notes(summary)[0].startswith("Noise ceiling")


def test_machines_are_listed_where_each_made_a_part(summary):
    assert made_with(summary) == ["python 3, torch 2.15.0, hardware 2 cores"]
    assert not any("Not all rows" in note for note in network_notes(summary))
    elsewhere = {**FINISHED["pad/convnet-3-w32/study"], "versions": THERE}
    two = summarize(CONFIG, {**FINISHED, "pad/convnet-3-w32/study": elsewhere}, PROXIES)
    page, text = render_html(two, Path()), render_markdown(two)
    for shown in (page, text):
        assert "Not all rows were made on one machine (see the end)." in shown
        assert "hardware 2 cores" in shown
        assert "hardware 8 cores" in shown


def test_both_pages_have_the_same_notes(summary):
    page, text = render_html(summary, Path()), render_markdown(summary)
    for words in (
        "n trainings a row, mean and standard deviation", "Converged: the first epoch at which",
        "The largest class makes up 11.0% of the test images.", "Noise ceiling of the searches",
        "The study&#x27;s way: candidates scored on their own training images", "Not run yet:",
    ):  # fmt: skip
        assert words in page
        assert html.unescape(words) in text


def test_balanced_accuracy_is_shown_where_classes_are_unbalanced():
    row = {**training_result(0.9, [0.5]), "test_class_counts": [90, 30, 30]}
    summary = summarize(CONFIG, {"full/convnet-3-w32/study": row}, {})
    assert network_table(summary).header[4:7] == ("test", "balanced", "seconds")
    assert network_table(summary).rows[0][5] == "90.00% (1.00%)"
    both = {**row, "test_class_counts": [90, 30], "auc_mean": 0.9, "auc_std": 0.01}
    summary = summarize(CONFIG, {"full/convnet-3-w32/study": both}, {})
    assert network_table(summary).header[4:8] == ("test", "balanced", "AUC", "seconds")


def test_curves_are_of_one_network():
    wide = {"pad/convnet-3-w128/study": training_result(0.9, [0.3, 0.4])}
    config = CONFIG.replace(widths=[32, 128])
    assert set(_get_curves_info(summarize(config, {**FINISHED, **wide}, PROXIES))) == {
        "full", "pad",
    }  # fmt: skip
    del (finished := {**FINISHED, **wide})["pad/convnet-3-w32/study"]
    assert set(_get_curves_info(summarize(config, finished, PROXIES))) == {"pad"}


@pytest.mark.skipif(not RESULTS.exists(), reason="a source distribution has no results/")
@pytest.mark.parametrize("name", ["study-mnist", "study-ebhi"])
def test_the_rows_of_the_committed_studies_are_read(name):
    folder = RESULTS / name
    record = json.loads((folder / "study.json").read_text())
    config = StudyConfig.parse({**record["config"]})
    rows = read_rows({row: folder / row.file for row in plan(config)})
    assert {row.name for row in plan(config)} - set(rows) <= set(record["missing"])
    summary = summarize(config, rows, record["proxies"])
    assert made_with(summary)
    assert render_markdown(summary)
    assert render_html(summary, folder)


def test_tables_set_the_study_beside(summary):
    cells = {row[0]: row for row in network_table(summary).rows}
    assert cells["full"][-1] == "~99%, 255 s on an RTX 4090, 48.4 M multiply-adds"
    assert cells["pad"][-1] == "~87%, converged in 7 epochs"
    assert cells["pad"][6:8] == ("2.5 M", "2")
    assert cells["pad"][4] == "87.00% (1.00%)"
    pad = search_table(summary).rows[1]
    assert pad[1:4] == ("4.0", "1.0x", "0.0x")
    text = render_markdown(summary)
    assert "Converged: the first epoch at which" in text
    assert "![pad](proxies/pad/final.png)" in text
    assert "Not run yet:" in text
    assert "nasproxy study" in text


@pytest.mark.parametrize(
    ("curves", "epochs"),
    [
        ([], None),
        ([[0.5]], 1),
        ([[0.2, 0.9, 0.895, 0.9]], 2),
        ([[0.9, 0.2, 0.5, 0.9]], 1),
        ([[0.2, 0.5, 0.6], [0.2, 0.7, 0.6]], 2),  # of the mean
        ([[0.1, 0.888, 0.9]], 3),
    ],
)
def test_convergence_by_hand(curves, epochs):
    assert converged_epochs(curves) == epochs


def test_old_rows_without_curves_or_costs_leave_cells_empty():
    row = training_result(0.9, [])
    del row["multiply_adds"]
    table = network_table(summarize(CONFIG, {"full/convnet-3-w32/study": row}, {}))
    assert table.rows[0][6:8] == ("", "")


def test_curves_are_means_over_trainings(summary):
    assert _get_curves_info(summary) == {
        "full": pytest.approx([0.55, 0.85]),
        "pad": pytest.approx([0.25, 0.45]),
    }
    assert draw_curves(summary) is not None
    assert draw_times(summary) is not None
    empty = summarize(CONFIG, {}, {})
    assert (draw_curves(empty), draw_times(empty)) == (None, None)
    assert len(empty["missing"]) == 2 + 5 * 5


def test_a_single_training_has_no_spread(summary):
    row = {**summary["networks"][0], "num_seeds": 1}
    cells = network_table({**summary, "networks": [row]}).rows[0]
    assert not any("(" in cell and "%" in cell for cell in cells)
