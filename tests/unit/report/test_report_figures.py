from __future__ import annotations

import plotly.graph_objects as go
import pytest

from nasproxy.report.figures.correlation import _get_correlation_info
from nasproxy.report.figures.gallery import draw_all
from nasproxy.report.figures.history import _get_history_info
from nasproxy.report.figures.importance import _get_importance_info
from nasproxy.report.figures.rank import _get_rank_info
from nasproxy.report.figures.scatter import _get_scatter_info
from nasproxy.report.figures.time import _get_time_info
from nasproxy.report.record import load_records
from nasproxy.report.summary import summarize


@pytest.fixture
def records(run_folder):
    return load_records(run_folder.write())


def test_every_drawing_is_valid_to_plotly(records):
    figures = draw_all(summarize(records), records)
    assert [figure.key for figure in figures] == [
        "scatter", "correlations", "ranks", "times", "history", "importance",
    ]  # fmt: skip
    for figure in figures:
        go.Figure(figure.drawing)  # raises at an unknown or impossible setting


def test_before_verification_only_what_is_known_is_drawn(run_folder):
    run_folder.verification = None
    records = load_records(run_folder.write())
    figures = draw_all(summarize(records), records)
    assert [figure.key for figure in figures] == ["times", "history", "importance"]


def test_scatter(records):
    points = _get_scatter_info(records.verified)
    assert [point.is_uniform for point in points] == [True, True, True, False]
    second = points[1]
    assert (second.proxy_score, second.full_score) == (0.6, pytest.approx(0.91))
    assert (second.lowest, second.highest) == (0.90, 0.92)
    assert second.label == "trial 1: width 2, norm none"


def test_ranks(records):
    # proxy 0.2 0.6 0.4 0.8, full 0.52 0.91 0.71 0.89
    lines = _get_rank_info(records.verified)
    assert [(line.proxy_rank, line.full_rank) for line in lines] == [(4, 4), (2, 1), (3, 3), (1, 2)]
    assert _get_rank_info([]) == []


def test_times(records):
    bars = _get_time_info(summarize(records))
    assert [bar.seconds for bar in bars] == pytest.approx([75, 20, 50, 115])
    assert [bar.speedup for bar in bars] == [
        None, pytest.approx(3.75), pytest.approx(1.5), pytest.approx(75 / 115),
    ]  # fmt: skip


def test_history(run_folder, make_candidate):
    run_folder.candidates.append(make_candidate(5, None, status="failed"))
    records = load_records(run_folder.write())
    info = _get_history_info(records.candidates, {records.candidates[0].trial})
    assert info.verified.count(True) == 1
    assert info.trials[info.verified.index(True)] == records.candidates[0].trial
    assert info.trials == [0, 1, 2, 3, 4]
    assert info.best_so_far == [0.2, 0.6, 0.6, 0.8, 0.8]


def test_importance_by_hand(run_folder, make_candidate):
    # norm batch: 0.2 0.4, none: 0.6 0.8; mean 0.5, between 2 * 2 * 0.04, total 0.20
    run_folder.verification = None
    run_folder.candidates = [make_candidate(t, p) for t, p in enumerate([0.2, 0.6, 0.4, 0.8])]
    found = _get_importance_info(load_records(run_folder.write()).candidates)
    assert [(i.parameter, i.share) for i in found] == [
        ("width", pytest.approx(1)), ("norm", pytest.approx(0.8)),
    ]  # fmt: skip


def test_importance_of_nothing(run_folder, make_candidate):
    run_folder.verification = None
    run_folder.candidates = [make_candidate(t, 0.5) for t in range(4)]
    assert _get_importance_info(load_records(run_folder.write()).candidates) == []


def test_correlations(records):
    summary = summarize(records)
    info = _get_correlation_info(summary)
    assert [(bar.name, bar.rho) for bar in info.bars] == [
        ("proxy", pytest.approx(1)),
        ("parameters", pytest.approx(0.5)),
        ("FLOPs", pytest.approx(-0.5)),
    ]
    assert [info.bars[0].low, info.bars[0].high] == summary["spearman_rho_ci"]
    assert info.noise_ceiling == pytest.approx(1)
