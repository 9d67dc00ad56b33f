from __future__ import annotations

import pytest

from nasproxy.report.record import load_records
from nasproxy.report.summary import summarize

FULLS = [0.50, 0.55, 0.60, 0.62, 0.70, 0.74, 0.80, 0.85, 0.90, 0.95]


def verdict_of(folder):
    summary = summarize(load_records(folder.write()))
    return summary["worth_it"], summary["verdict"]


def test_worth_it(run_folder, fill_ranked):
    fill_ranked(run_folder, FULLS)
    run_folder.timings["search_seconds"] = 10.0
    worth_it, verdict = verdict_of(run_folder)
    assert worth_it is True
    # 10 x 20 s / 2 workers = 100 s against 10 + 30 s
    assert verdict.startswith("Worth it: the proxy's rank correlation with full training is 1.00")
    assert "2.5x faster" in verdict
    assert "40.0 s end to end" in verdict
    assert "0.00 percentage points below" in verdict


@pytest.mark.parametrize(
    ("metric", "name"), [("balanced_accuracy", "balanced accuracy"), ("auc", "AUC")]
)
def test_a_metric_that_is_not_accuracy_is_named(run_folder, fill_ranked, judge_by, metric, name):
    fill_ranked(run_folder, FULLS[::-1], proxies=[(10 - rank) / 100 for rank in range(10)])
    judge_by(run_folder, metric)
    run_folder.timings["search_seconds"] = 10.0
    worth_it, verdict = verdict_of(run_folder)
    assert worth_it is True
    assert verdict.startswith(f"Worth it by {name}: the proxy's rank correlation")
    run_folder.run["proxy"]["seconds"] = 1000.0
    assert verdict_of(run_folder)[1].startswith(f"Not worth it by {name}: ")
    run_folder.verification = []
    assert verdict_of(run_folder)[1].startswith(f"Cannot tell by {name}: no candidate was trained")


def test_not_worth_it_by_chance(run_folder, fill_ranked):
    fill_ranked(run_folder, FULLS, proxies=[0.5, 0.1, 0.9, 0.3, 0.7, 0.2, 0.6, 0.8, 0.4, 0.55])
    worth_it, verdict = verdict_of(run_folder)
    assert worth_it is False
    assert "cannot be told from chance" in verdict


def test_not_worth_it_backwards(run_folder, fill_ranked):
    fill_ranked(run_folder, FULLS[::-1])
    worth_it, verdict = verdict_of(run_folder)
    assert worth_it is False
    assert "ranks backwards" in verdict
    assert "-1.00" in verdict


def test_not_worth_it_when_counting_parameters_does_as_well(run_folder, fill_ranked):
    fill_ranked(run_folder, FULLS, params=list(range(1, 11)))
    worth_it, verdict = verdict_of(run_folder)
    assert worth_it is False
    assert verdict.startswith("Not worth it: counting parameters")


def test_not_worth_it_for_so_few_candidates(run_folder, fill_ranked):
    fill_ranked(run_folder, FULLS)
    run_folder.run["proxy"]["seconds"] = 1000.0
    worth_it, verdict = verdict_of(run_folder)
    assert worth_it is False
    # each saves 10 - 2 = 8 s: 1000 / 8
    assert "1 min 40 s" in verdict
    assert verdict.endswith("it pays from about 125 candidates on.")


def test_not_worth_it_for_any_number_of_candidates(run_folder, fill_ranked):
    fill_ranked(run_folder, FULLS)
    run_folder.timings["search_seconds"] = 200.0
    worth_it, verdict = verdict_of(run_folder)
    assert worth_it is False
    assert "no number of them pays" in verdict


def test_constant_proxy(run_folder, fill_ranked):
    fill_ranked(run_folder, FULLS, proxies=[0.1] * 10)
    worth_it, verdict = verdict_of(run_folder)
    assert worth_it is False
    assert "the same score" in verdict


def test_nothing_to_rank(run_folder, fill_ranked):
    fill_ranked(run_folder, [0.9] * 10)
    worth_it, verdict = verdict_of(run_folder)
    assert worth_it is None
    assert "equally good" in verdict


@pytest.mark.parametrize("num", [3, 7])
def test_too_few_to_judge_even_in_perfect_order(run_folder, fill_ranked, num):
    fill_ranked(run_folder, FULLS[:num])
    worth_it, verdict = verdict_of(run_folder)
    assert worth_it is None
    assert verdict.startswith(f"Cannot tell: over {num} uniformly drawn candidates")


def test_full_training_that_disagrees_with_itself_blames_no_proxy(run_folder, fill_ranked):
    fill_ranked(run_folder, FULLS, proxies=[0.5, 0.1, 0.9, 0.3, 0.7, 0.2, 0.6, 0.8, 0.4, 0.55])
    for entry, second in zip(run_folder.verification, FULLS[5:] + FULLS[:5], strict=True):
        entry["full_accuracy"][1] = second
    worth_it, verdict = verdict_of(run_folder)
    assert worth_it is None
    assert "hardly agrees with itself" in verdict


def test_unknown_time(run_folder, fill_ranked):
    fill_ranked(run_folder, FULLS)
    run_folder.timings = {}
    worth_it, verdict = verdict_of(run_folder)
    assert worth_it is None
    assert "time was not recorded" in verdict


def test_not_worth_it_when_counting_flops_does_as_well(run_folder, fill_ranked):
    fill_ranked(run_folder, FULLS)
    for flops, candidate in enumerate(run_folder.candidates, start=1):
        candidate["num_flops"] = flops
    worth_it, verdict = verdict_of(run_folder)
    assert worth_it is False
    assert verdict.startswith("Not worth it: counting FLOPs")
