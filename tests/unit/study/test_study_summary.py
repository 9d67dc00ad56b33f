from __future__ import annotations

from typing import Any

import pytest
from scipy.stats import spearmanr

from nasproxy.config import DataConfig
from nasproxy.study.page import _get_curves_info, draw_curves, draw_times
from nasproxy.study.plan import StudyConfig
from nasproxy.study.summary import converged_epochs, summarize
from nasproxy.study.table import network_table, render_markdown, search_table

CONFIG = StudyConfig(data=DataConfig(dataset="mnist"))
COMMON = {"versions": {"python": "3"}, "command": "nasproxy study", "recipe": {"epochs": 20}}


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
PROXIES = {"pad": {"seconds": 100.0, "made_on": "2 cores", "pictures": ["proxies/pad/final.png"]}}


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
