"""`report.json`: every number of a report, and how it was got."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from nasproxy.report.agreement import judge_trust
from nasproxy.report.cost import measure_cost, num_trainable
from nasproxy.report.note import write_notes
from nasproxy.report.quality import Quality, measure_quality
from nasproxy.report.record import Candidate, Records, Run, Verified
from nasproxy.report.verdict import judge
from nasproxy.training.metric import METRICS, majority_class_rate

SCHEMA_VERSION = 1


def summarize(records: Records) -> dict[str, Any]:
    """Build the content of `report.json`; fields that need verification are None without it."""
    candidates, verified = records.candidates, records.verified
    trained = [v for v in verified if v.full_scores]
    quality, cost = measure_quality(verified), measure_cost(records)
    num_failed_trainings = sum(v.num_failed for v in verified)
    verdict = judge(
        quality,
        cost,
        num_candidates=num_trainable(records),
        num_verified=len(trained),
        num_failed_trainings=num_failed_trainings,
        metric=records.run.metric,
    )
    return {
        "schema_version": SCHEMA_VERSION,
        "verdict": verdict.sentence,
        "worth_it": verdict.worth_it,
        "metric": records.run.metric,
        "majority_class_rate": majority_class_rate(records.run.class_counts),
        "class_counts": list(records.run.class_counts),
        "num_candidates": len(candidates),
        "num_pruned": sum(c.status == "pruned" for c in candidates),
        "num_failed": sum(c.status == "failed" for c in candidates),
        "num_verified": len(trained),
        "num_failed_trainings": num_failed_trainings,
        **_plain(quality),
        **asdict(cost),
        "trust": _trust(records),
        "objectives": [records.run.metric, *records.goal.costs],
        "limits": records.goal.limits,
        "pareto_trials": sorted(records.goal.front),
        "calibration": None if records.calibration is None else records.calibration.to_dict(),
        "best": _best(trained),
        "best_on_proxy": _best_on_proxy(candidates),
        **_circumstances(records.run),
        "notes": write_notes(records, quality, cost),
    }


def by_full_score(trained: Sequence[Verified]) -> list[Verified]:
    """Order by mean validation score after full training; of equals, the smaller first."""
    return sorted(trained, key=lambda v: (-v.full_score, v.candidate.num_params, v.candidate.trial))


def by_proxy_score(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Order the scored candidates by score on the proxy; of equals, the smaller first."""
    return sorted(
        (c for c in candidates if c.proxy_score is not None),
        key=lambda c: (-(c.proxy_score or 0.0), c.num_params, c.trial),
    )


def _plain(quality: Quality) -> dict[str, Any]:
    """Return the fields with intervals as lists, as JSON has them."""
    fields = asdict(quality).items()
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields}


def _trust(records: Records) -> dict[str, Any] | None:
    """Say what the check before the search found, None where there was none."""
    if records.trust is None:
        return None
    judgement = judge_trust(records.trust).to_dict()
    return {**judgement, "full_epochs": records.trust.full_epochs}


def _best(trained: Sequence[Verified]) -> dict[str, Any] | None:
    """Describe the winner, chosen on validation; its test scores had no say."""
    if not trained:
        return None
    winner = by_full_score(trained)[0]
    means = winner.means()
    contracted = {name: means.pop(name) for name in ("full_accuracy", "test_accuracy")}
    return {
        "trial": winner.candidate.trial,
        "architecture": winner.candidate.architecture,
        **contracted,
        **{name: value for name, value in means.items() if value is not None},
        **_proxy_scores(winner.candidate),
        "num_params": winner.candidate.num_params,
        "num_flops": winner.candidate.num_flops,
        "num_seeds": len(winner.full_scores),
        "selected_by": list(winner.selected_by),
    }


def _best_on_proxy(candidates: Sequence[Candidate]) -> dict[str, Any] | None:
    ordered = by_proxy_score(candidates)
    if not ordered:
        return None
    return {
        "trial": ordered[0].trial,
        "architecture": ordered[0].architecture,
        **_proxy_scores(ordered[0]),
        "num_params": ordered[0].num_params,
        "num_flops": ordered[0].num_flops,
    }


def _proxy_scores(candidate: Candidate) -> dict[str, float]:
    """Return the scores that are known, as `candidates.json` names them."""
    known = {f"proxy_{metric}": candidate.proxy[metric] for metric in METRICS}
    return {name: value for name, value in known.items() if value is not None}


def _circumstances(run: Run) -> dict[str, Any]:
    return {
        "command": run.command,
        "dataset": run.dataset,
        "space": run.space,
        "space_size": run.space_size,
        "proxy": {"kind": run.proxy_kind, "ipc": run.ipc, "method": run.proxy_method},
        "recipe": run.recipe,
        "verify_recipe": run.verify_recipe,
        "search_workers": run.search_workers,
        "verify_workers": run.verify_workers,
        "hardware": run.hardware,
        "versions": run.versions,
    }
