from __future__ import annotations

import plotly.graph_objects as go
import pytest

from nasproxy.errors import ArtifactError
from nasproxy.report.figures.front import _get_front_info, draw_fronts
from nasproxy.report.figures.numbers import tabulate_figure
from nasproxy.report.markdown import render_markdown
from nasproxy.report.page import render_html
from nasproxy.report.record import load_records
from nasproxy.report.summary import summarize
from nasproxy.report.table import front_table


@pytest.fixture
def compromise(run_folder):
    """Scores 0.2 0.6 0.4 0.8 0.1, parameters 100 to 500: trials 0, 1 and 3 are unbeaten."""
    search = run_folder.run["config"]["search"]
    search["objectives"] = ["accuracy", "params"]
    search["max_params"] = 500
    search["max_latency_ms"] = None
    run_folder.run["space"] = {"size": 20, "feasible": 8, "fitting": 12}
    for entry in run_folder.candidates:
        entry["pareto"] = entry["trial"] in (0, 1, 3)
    return run_folder


def test_what_the_records_say(compromise):
    goal = load_records(compromise.write()).goal
    assert (goal.costs, goal.limits, goal.num_fitting) == (("params",), {"max_params": 500}, 12)
    assert goal.front == {0, 1, 3}


def test_older_records_say_nothing(run_folder):
    records = load_records(run_folder.write())
    summary = summarize(records)
    assert summary["objectives"] == ["accuracy"]
    assert (summary["limits"], summary["pareto_trials"]) == ({}, [])
    assert draw_fronts(records, "accuracy") == []
    assert front_table(records).rows == []
    assert "Pareto" not in render_markdown(summary, records) + render_html(summary, records, [])


def test_the_table_of_the_front(compromise):
    table = front_table(load_records(compromise.write()))
    assert table.title == "Pareto front (3 candidates)"
    assert table.header == ("trial", "width/norm", "params", "proxy %", "full %", "test %")
    assert table.rows == [
        ("3", "8/none", "400", "80.00", "89.00 ±1.41", "89.00"),
        ("1", "2/none", "200", "60.00", "91.00 ±1.41", "81.00"),
        ("0", "1/batch", "100", "20.00", "52.00 ±2.83", "52.00"),
    ]


def test_a_front_that_was_not_verified_and_has_several_costs(compromise):
    compromise.run["config"]["search"]["objectives"] = ["accuracy", "latency", "flops"]
    compromise.verification = None
    for entry in compromise.candidates[:2]:
        entry["latency_ms"] = 0.12345
    records = load_records(compromise.write())
    table = front_table(records)
    assert table.header == ("trial", "width/norm", "ms", "FLOPs", "proxy %")
    assert table.rows[0] == ("3", "8/none", "-", "997", "80.00")
    assert table.rows[1] == ("1", "2/none", "0.123", "999", "60.00")
    by_time, by_flops = draw_fronts(records, "accuracy")
    assert [figure.key for figure in (by_time, by_flops)] == ["front-latency", "front-flops"]
    assert [trace["mode"] for trace in by_flops.drawing["data"]] == ["markers", "markers"]
    assert sum(len(trace["x"]) for trace in by_time.drawing["data"]) == 2


def test_a_long_front_is_cut(compromise, make_candidate):
    compromise.verification = None
    compromise.candidates = [make_candidate(trial, trial / 100) for trial in range(20)]
    for entry in compromise.candidates:
        entry["pareto"] = True
    table = front_table(load_records(compromise.write()))
    assert len(table.rows) == 15
    assert table.title == "Pareto front (20 candidates, 5 more in candidates.json)"


def test_the_figure(compromise, make_candidate):
    compromise.candidates.append(make_candidate(5, None, status="failed"))
    records = load_records(compromise.write())
    points = _get_front_info(records, "params")
    assert [(p.cost, p.score) for p in points] == [
        (100, 0.2), (200, 0.6), (300, 0.4), (400, 0.8), (500, 0.1),
    ]  # fmt: skip
    assert [p.is_on_front for p in points] == [True, True, False, True, False]
    assert [p.is_verified for p in points] == [True, True, True, True, False]
    (figure,) = draw_fronts(records, "accuracy")
    go.Figure(figure.drawing)
    assert {trace["name"]: trace["x"] for trace in figure.drawing["data"]} == {
        "candidate": [300, 500], "Pareto front": [100, 200, 400], "verified": [100, 200, 300, 400],
    }  # fmt: skip
    rows = tabulate_figure(figure).rows
    assert ("Pareto front", "200", "60.00%", "trial 1: width 2, norm none") in rows


def test_the_report_as_text_and_page(compromise):
    records = load_records(compromise.write())
    summary = summarize(records)
    assert summary["pareto_trials"] == [0, 1, 3]
    assert summary["limits"] == {"max_params": 500}
    text = " ".join(render_markdown(summary, records).split())
    assert "## Pareto front (3 candidates)" in text
    assert "Several objectives: accuracy and few parameters." in text
    assert "Limits: max_params 500. 8 architectures of 12 that fit the data were left" in text
    page = render_html(summary, records, [])
    assert "What does a better score cost in trainable parameters?" in page
    assert "Pareto front (3 candidates)" in page


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda f: f.run["config"]["search"].update(objectives=["accuracy", "size"]),
            r"objectives after the first must be params, flops, latency, got \['size'\]",
        ),
        (
            lambda f: f.run["config"]["search"].update(objectives="params"),
            "objectives must be a list, got 'params'",
        ),
        (
            lambda f: f.run["config"]["search"].update(max_flops=-1),
            "max_flops must be a number >= 0, got -1",
        ),
        (
            lambda f: f.candidates[2].update(pareto=1),
            "trial 2: pareto must be true or false, got 1",
        ),
        (
            lambda f: f.candidates[2].update(latency_ms="slow"),
            "trial 2: latency_ms must be a number >= 0, got 'slow'",
        ),
    ],
)
def test_damaged_records(compromise, spoil, message):
    spoil(compromise)
    with pytest.raises(ArtifactError, match=message):
        load_records(compromise.write())
