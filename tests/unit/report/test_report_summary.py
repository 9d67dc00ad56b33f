from __future__ import annotations

import pytest

from nasproxy.report.record import load_records
from nasproxy.report.summary import summarize

CONTRACT = {
    "num_candidates", "num_verified", "spearman_rho", "spearman_rho_ci", "kendall_tau",
    "noise_ceiling", "top_k_regret", "search_seconds", "distill_seconds", "verify_seconds",
    "full_search_seconds", "full_search_is", "speedup_search_only", "speedup_with_distillation",
    "speedup_end_to_end", "break_even_candidates", "best", "verdict",
}  # fmt: skip


def summary_of(folder):
    return summarize(load_records(folder.write()))


def test_all_contracted_fields_are_there(run_folder):
    summary = summary_of(run_folder)
    assert summary.keys() >= CONTRACT
    assert summary["best"].keys() >= {
        "architecture", "full_accuracy", "test_accuracy", "num_params", "num_flops",
    }  # fmt: skip


def test_times_by_hand(run_folder):
    summary = summary_of(run_folder)
    # uniform: (40 + 60 + 80) s over 6 trainings; 5 candidates x 30 s / 2 workers
    assert summary["full_seconds_per_candidate"] == pytest.approx(30)
    assert summary["full_search_seconds"] == pytest.approx(75)
    assert summary["full_search_is"] == "estimated"
    assert summary["verify_seconds"] == pytest.approx(115)
    assert summary["verify_top_seconds"] == pytest.approx(65)
    assert summary["speedup_search_only"] == pytest.approx(75 / 20)
    assert summary["speedup_with_distillation"] == pytest.approx(75 / 50)
    assert summary["speedup_end_to_end"] == pytest.approx(75 / 115)
    # each candidate saves 75 / 5 - 20 / 5 = 11 s: 30 / 11 and 95 / 11, rounded up
    assert summary["break_even_candidates"] == 3
    assert summary["break_even_end_to_end_candidates"] == 9
    assert summary["proxy_seconds_per_candidate"] == pytest.approx(4)


def test_full_search_is_measured_when_every_candidate_was_verified(run_folder):
    run_folder.candidates.pop()
    summary = summary_of(run_folder)
    assert summary["full_search_is"] == "measured"
    assert summary["full_search_seconds"] == pytest.approx((20 + 30 + 40 + 25) / 2)


def test_a_full_search_is_not_charged_for_failed_candidates(run_folder, make_candidate):
    run_folder.candidates.append(make_candidate(5, None, status="failed"))
    run_folder.candidates.append(make_candidate(6, 0.3, status="pruned"))
    summary = summary_of(run_folder)
    assert (summary["num_candidates"], summary["num_failed"], summary["num_pruned"]) == (7, 1, 1)
    assert summary["full_search_seconds"] == pytest.approx(6 * 30 / 2)


def test_no_break_even_when_the_proxy_is_slower(run_folder):
    run_folder.timings["search_seconds"] = 500.0
    summary = summary_of(run_folder)
    assert summary["break_even_candidates"] is None
    assert summary["break_even_end_to_end_candidates"] is None


def test_the_best_is_chosen_on_validation_though_the_test_disagrees(run_folder):
    best = summary_of(run_folder)["best"]
    assert best["trial"] == 1
    assert best["full_accuracy"] == pytest.approx(0.91)
    assert best["test_accuracy"] == pytest.approx(0.81)
    assert (best["num_params"], best["num_flops"]) == (200, 999)


def test_before_there_was_a_metric(run_folder):
    """Runs of older versions hold accuracies alone."""
    summary = summary_of(run_folder)
    assert (summary["metric"], summary["majority_class_rate"]) == ("accuracy", None)
    assert not any("balanced" in name or "auc" in name for name in summary["best"])
    for entry in run_folder.verification:
        entry["full_balanced_accuracy"] = [None] * len(entry["full_accuracy"])
    assert summary_of(run_folder) == summary


def test_the_metric_decides_by_hand(run_folder, judge_by):
    judge_by(run_folder, "balanced_accuracy")
    summary = summary_of(run_folder)
    assert (summary["metric"], summary["majority_class_rate"]) == ("balanced_accuracy", 0.9)
    best = summary["best"]
    # balanced accuracies of trials 0 1 2 3: 0.48 0.09 0.29 0.11; on the proxy 0.8 0.4 0.6 0.2
    assert best["trial"] == 0
    assert best["full_balanced_accuracy"] == pytest.approx(0.48)
    assert best["test_balanced_accuracy"] == pytest.approx(0.48)
    assert best["proxy_balanced_accuracy"] == pytest.approx(0.8)
    assert (best["full_accuracy"], best["proxy_accuracy"]) == (pytest.approx(0.52), 0.2)
    assert best["full_auc"] == best["test_auc"] == pytest.approx(0.64)
    assert summary["best_on_proxy"]["trial"] == 4
    # of the sample 0 1 2: the same order on proxy and full, params 1 2 3
    assert summary["spearman_rho"] == pytest.approx(1)
    assert summary["spearman_rho_params"] == pytest.approx(-0.5)
    assert summary["top_k_regret"] == 0
    assert summary["full_score_spread"] == pytest.approx(0.39)
    run_folder.candidates[1]["proxy_balanced_accuracy"] = 0.9
    assert summary_of(run_folder)["top_k_regret"] == pytest.approx(0.39)


def test_correlation_by_accuracy_does_not_see_the_other_scores(run_folder, judge_by):
    before = summary_of(run_folder)
    judge_by(run_folder, "accuracy", (50, 50))
    after = summary_of(run_folder)
    for name in ("spearman_rho", "noise_ceiling", "top_k_regret", "verdict", "notes"):
        assert after[name] == before[name]
    assert after["best"].items() >= before["best"].items()


def test_auc_of_three_classes_is_left_out(run_folder, judge_by):
    judge_by(run_folder, "balanced_accuracy", (80, 10, 10))
    best = summary_of(run_folder)["best"]
    assert "full_balanced_accuracy" in best
    assert "full_auc" not in best


def test_a_winner_from_the_audit_is_not_credited_to_the_search(run_folder):
    notes = " ".join(summary_of(run_folder)["notes"])
    assert "Its own best is trial 3 with 89.00%" in notes


def test_correlations_are_over_the_uniform_sample_alone(run_folder):
    summary = summary_of(run_folder)
    # trials 0 1 2: proxy 0.2 0.6 0.4 and full 0.52 0.91 0.71 in the same order; params 1 2 3
    assert summary["num_uniform"] == 3
    assert summary["spearman_rho"] == pytest.approx(1)
    assert summary["spearman_rho_params"] == pytest.approx(0.5)
    assert summary["spearman_rho_flops"] == pytest.approx(-0.5)
    assert summary["top_k"] == 1
    assert summary["top_k_regret"] == 0
    run_folder.verification[3]["full_accuracy"] = [0.0, 0.0]
    assert summary_of(run_folder)["spearman_rho"] == pytest.approx(1)


def test_verification_of_the_top_alone_gives_no_correlation(run_folder):
    for entry in run_folder.verification:
        entry["selected_by"] = ["top"]
    summary = summary_of(run_folder)
    assert summary["spearman_rho"] is None
    assert summary["spearman_rho_ci"] is None
    assert summary["worth_it"] is None
    assert "--uniform" in summary["verdict"]
    assert summary["full_seconds_per_candidate"] == pytest.approx(230 / 8)


def test_before_verification(run_folder):
    run_folder.verification = None
    summary = summary_of(run_folder)
    assert summary["best"] is None
    assert summary["best_on_proxy"]["trial"] == 3
    assert summary["full_search_seconds"] is None
    assert summary["speedup_end_to_end"] is None
    assert summary["spearman_rho"] is None
    assert summary["verdict"].startswith("Cannot tell:")
    assert "nasproxy verify" in summary["verdict"]


def test_without_candidates(run_folder):
    run_folder.verification, run_folder.candidates = None, []
    run_folder.timings = None
    summary = summary_of(run_folder)
    assert summary["num_candidates"] == 0
    assert summary["verdict"].startswith("Cannot tell: no candidate has been scored")


def test_when_every_candidate_failed(run_folder, make_candidate):
    run_folder.verification = None
    run_folder.candidates = [make_candidate(t, None, status="failed") for t in range(3)]
    summary = summary_of(run_folder)
    assert summary["best_on_proxy"] is None
    assert "candidates.json" in summary["verdict"]


def test_when_every_full_training_failed(run_folder):
    for entry in run_folder.verification:
        entry.update(full_accuracy=[], test_accuracy=[], seconds=0, errors=["no memory"])
    summary = summary_of(run_folder)
    assert summary["best"] is None
    assert "4 trainings on the full data failed" in summary["verdict"]


def test_failed_trainings_are_counted_and_left_out(run_folder):
    run_folder.verification[0].update(full_accuracy=[], test_accuracy=[], errors=["a", "b"])
    summary = summary_of(run_folder)
    assert summary["num_verified"] == 3
    assert summary["num_failed_trainings"] == 2
    assert summary["num_uniform"] == 2
    assert summary["spearman_rho"] is None
    assert any("2 full trainings failed" in note for note in summary["notes"])


def test_notes_tell_of_unequal_circumstances(run_folder):
    run_folder.run["search_workers"] = 8
    run_folder.run["verify_versions"]["hardware"] = "one GPU"
    notes = " ".join(summary_of(run_folder)["notes"])
    assert "8 workers" in notes
    assert "one GPU" in notes


@pytest.mark.parametrize(("seconds", "is_told"), [(30.0, True), (4.6e-06, False)])
def test_notes_speak_of_distilling_where_it_took_time(run_folder, seconds, is_told):
    """Opening the full data takes some microseconds, too."""
    run_folder.run["proxy"]["seconds"] = seconds
    notes = " ".join(summarize(load_records(run_folder.write()))["notes"])
    assert "Speed-up end to end counts" in notes
    assert ("istillation" in notes) == is_told
