"""How each derived number was got, and what to mind in this very run."""

from __future__ import annotations

from nasproxy.report.agreement import judge_trust
from nasproxy.report.cost import LEAST_SECONDS, Cost, num_trainable, timing_sample
from nasproxy.report.quality import Quality, uniform_sample
from nasproxy.report.record import Records
from nasproxy.report.statistic import NUM_RESAMPLES
from nasproxy.report.wording import counted, duration, percent
from nasproxy.training.metric import METRIC_NAMES, majority_class_rate, shown_metrics

COST_WORDS = {"params": "parameters", "flops": "FLOPs", "latency": "milliseconds an image"}


def write_notes(records: Records, quality: Quality, cost: Cost) -> list[str]:
    """List them, those on ranking first."""
    if not any(v.full_scores for v in records.verified):
        return [
            *_on_balance(records),
            *_on_goal(records),
            *_on_calibration(records),
            *_on_trust(records),
            *_on_candidates(records),
        ]
    return [
        *_on_balance(records),
        *_on_goal(records),
        *_on_calibration(records),
        *_on_trust(records),
        *_on_ranking(quality, METRIC_NAMES[records.run.metric]),
        *_on_full_search(records, cost),
        *_on_speed(records, cost),
        *_on_best(records),
        *_on_candidates(records),
    ]


def _on_balance(records: Records) -> list[str]:
    counts = records.run.class_counts
    if not counts or len(shown_metrics(records.run.metric, counts)) == 1:
        return []
    return [
        f"Majority class: {percent(majority_class_rate(counts))} of the validation images, the "
        "accuracy of a network that always names it; its balanced accuracy is "
        f"{percent(1 / len(counts))}."
    ]


def _on_goal(records: Records) -> list[str]:
    goal, notes = records.goal, []
    if goal.costs:
        notes.append(
            f"Several objectives: {METRIC_NAMES[records.run.metric]} and few "
            f"{' and '.join(COST_WORDS[name] for name in goal.costs)}. The Pareto front goes by "
            f"the proxy; its {counted(len(goal.front), 'candidate')} were first in line for "
            "verification, and everything else here is about the score alone."
        )
    if goal.limits:
        kept = ", ".join(f"{name} {limit:,.10g}" for name, limit in goal.limits.items())
        whole = "" if goal.num_fitting is None else f" of {goal.num_fitting:,}"
        notes.append(
            f"Limits: {kept}. {counted(records.run.space_size or 0, 'architecture')}{whole} that "
            "fit the data were left to search; sample and correlations are of these alone, and a "
            "narrower choice is harder to rank."
        )
    return notes


def _on_calibration(records: Records) -> list[str]:
    found = records.calibration
    if found is None:
        return []
    return [
        f"Recipe, chosen before the search: {found.sentence}. All recipes were tried on "
        f"{counted(found.num_first, 'architecture')}, its own and the better half of the others on "
        f"the rest; another had to be better by {found.margin:g}, and told from chance. Spearman's "
        "rho with short training on all data, on validation. The best of several on so few "
        "flatters, and the trust check is over the same architectures: its rho, interval and "
        "p-value are too good by that. The uniform sample is drawn without regard to them."
    ]


def _on_trust(records: Records) -> list[str]:
    check = records.trust
    if check is None:
        full = records.run.proxy_kind == "full"
        return ["No trust check: the proxy was the full data itself."] if full else []
    return [
        f"Trust check, before the search: {judge_trust(check).sentence}. Architectures spread over "
        f"the space, trained for {check.full_epochs:.3g} epochs of all data and on the proxy, one "
        "seed, scored on validation; 95% bootstrap interval, exact one-sided permutation test (of "
        "random orders beyond 9). The short training is no truth, and so few architectures tell a "
        "useless proxy from a good one, not a good one from a better one."
    ]


def _on_ranking(quality: Quality, metric: str) -> list[str]:
    if quality.num_uniform == 0:
        return ["No uniform sample was verified: correlations over top candidates alone mislead."]
    sample = counted(quality.num_uniform, "uniformly drawn candidate")
    seeds = counted(quality.num_seeds, "seed")
    notes = [
        f"Rank correlations (Spearman, Kendall tau-b) are over the {sample} trained on the full "
        f"data, never over the top ones; full {metric} is the mean over {seeds}, on the "
        "validation split.",
        f"Intervals: 95% percentile bootstrap, {NUM_RESAMPLES} resamples of the architectures "
        "and of their seeds; a resample without a defined correlation counts as 0.",
        "The correlation given the parameter count is the partial rank correlation: what the "
        "proxy knows beyond size.",
    ]
    if quality.noise_ceiling is None:
        notes.append("No noise ceiling: it takes two seeds of full training (--seeds 2).")
    else:
        notes.append(
            "Noise ceiling: mean Spearman between two seeds of full training on the sample. "
            "Attainable rho: square root of the reliability of the mean over "
            f"{seeds} (Spearman-Brown), an upper bound that takes the proxy as free of noise."
        )
    if quality.top_k_regret is not None:
        notes.append(
            f"Regret: best full {metric} of the sample minus the best among its {quality.top_k} "
            "best by proxy (5, or half the sample if that is less)."
        )
    return notes


def _on_full_search(records: Records, cost: Cost) -> list[str]:
    run = records.run
    trained = [v for v in records.verified if v.full_scores]
    workers = counted(run.verify_workers, "worker")
    if cost.full_search_is == "measured":
        text = (
            "Full search: measured, the mean seconds of every candidate's full trainings, "
            f"added up and divided by {workers}."
        )
    else:
        sample = timing_sample(trained)
        trainings = counted(sum(len(v.full_scores) for v in sample), "full training")
        whose = "uniform sample" if uniform_sample(trained) else "top candidates (no sample)"
        text = (
            f"Full search: estimated as {counted(num_trainable(records), 'candidate')} x "
            f"{duration(cost.full_seconds_per_candidate)} (mean of {trainings} of the {whose}) "
            f"/ {workers}."
        )
    notes = [text]
    if run.search_workers not in (None, run.verify_workers):
        notes.append(
            f"The search used {counted(run.search_workers or 0, 'worker')}, the full trainings "
            f"{workers}: the full search's time is at the pace of the latter."
        )
    if run.hardware != run.verify_hardware:
        notes.append(
            f"Search and verification ran on different machines ({run.hardware}; "
            f"{run.verify_hardware}): speed-ups compare unlike things."
        )
    return notes


def _on_speed(records: Records, cost: Cost) -> list[str]:
    if cost.search_seconds is None:
        return ["The search's time was not recorded, so there are no speed-ups."]
    top = [v for v in records.verified if "top" in v.selected_by and v.full_scores]
    audit = (cost.verify_seconds or 0.0) - (cost.verify_top_seconds or 0.0)
    is_made = cost.distill_seconds >= LEAST_SECONDS
    made = "distillation, " if is_made else ""
    check = "" if cost.trust_seconds is None else "the trust check, "
    if cost.calibration_seconds is not None:
        check = f"the choice of a recipe, {check}"
    notes = [
        f"Speed-up end to end counts {made}{check}search and the full training of the "
        f"{counted(len(top), 'top candidate')} with all seeds. The uniform sample "
        f"({duration(audit)}) is the audit of the proxy, not part of the search, and left out.",
    ]
    if is_made:
        notes.append(
            "Break-even: distillation seconds / (wall seconds per candidate of the full search, "
            "minus those of the search on the proxy), rounded up; end to end, verifying the top "
            "counts as outlay too."
        )
    if not top:
        notes.append(
            "No top candidate was verified, so the end-to-end speed-up leaves out a step that a "
            "search needs (--top 5)."
        )
    return notes


def _on_best(records: Records) -> list[str]:
    trained = [v for v in records.verified if v.full_scores]
    winner = max(trained, key=lambda v: v.full_score)
    metric = METRIC_NAMES[records.run.metric]
    notes = [
        f"Best: highest mean validation {metric} after full training; being the maximum of "
        f"{len(trained)}, it flatters a little. Test {metric} had no say in the choice."
    ]
    top = [v for v in trained if "top" in v.selected_by]
    if top and "top" not in winner.selected_by:
        found = max(top, key=lambda v: v.full_score)
        notes.append(
            "The best comes from the uniform sample: the search itself did not put it on top. "
            f"Its own best is trial {found.candidate.trial} with "
            f"{percent(found.full_score, 2)} on validation."
        )
    return notes


def _on_candidates(records: Records) -> list[str]:
    notes = []
    failed = sum(c.status == "failed" for c in records.candidates)
    if failed:
        notes.append(
            f"{counted(failed, 'candidate')} could not be trained on the proxy (reasons in "
            "candidates.json); a full search is not charged for them."
        )
    if any(c.status == "pruned" for c in records.candidates):
        notes.append("Pruned candidates count as full trainings in the full search's time.")
    trainings = sum(v.num_failed for v in records.verified)
    if trainings:
        notes.append(
            f"{counted(trainings, 'full training')} failed (reasons in verification.json) and "
            "left their candidates with fewer seeds, or none."
        )
    return notes
