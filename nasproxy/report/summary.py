"""`report.json`: every number of a report, and how it was got."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from nasproxy.report.cost import measure_cost, num_trainable
from nasproxy.report.note import write_notes
from nasproxy.report.quality import Quality, measure_quality
from nasproxy.report.record import Candidate, Records, Run, Verified
from nasproxy.report.verdict import judge

SCHEMA_VERSION = 1


def summarize(records: Records) -> dict[str, Any]:
    """Build the content of `report.json`; fields that need verification are None without it."""
    candidates, verified = records.candidates, records.verified
    trained = [v for v in verified if v.full_accuracies]
    quality, cost = measure_quality(verified), measure_cost(records)
    num_failed_trainings = sum(v.num_failed for v in verified)
    verdict = judge(
        quality,
        cost,
        num_candidates=num_trainable(records),
        num_verified=len(trained),
        num_failed_trainings=num_failed_trainings,
    )
    return {
        "schema_version": SCHEMA_VERSION,
        "verdict": verdict.sentence,
        "worth_it": verdict.worth_it,
        "num_candidates": len(candidates),
        "num_pruned": sum(c.status == "pruned" for c in candidates),
        "num_failed": sum(c.status == "failed" for c in candidates),
        "num_verified": len(trained),
        "num_failed_trainings": num_failed_trainings,
        **_plain(quality),
        **asdict(cost),
        "best": _best(trained),
        "best_on_proxy": _best_on_proxy(candidates),
        **_circumstances(records.run),
        "notes": write_notes(records, quality, cost),
    }


def by_full_accuracy(trained: Sequence[Verified]) -> list[Verified]:
    """Order by mean validation accuracy after full training; of equals, the smaller first."""
    return sorted(
        trained, key=lambda v: (-v.full_accuracy, v.candidate.num_params, v.candidate.trial)
    )


def by_proxy_accuracy(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Order the scored candidates by proxy accuracy; of equals, the smaller first."""
    return sorted(
        (c for c in candidates if c.proxy_accuracy is not None),
        key=lambda c: (-(c.proxy_accuracy or 0.0), c.num_params, c.trial),
    )


def _plain(quality: Quality) -> dict[str, Any]:
    """Return the fields with intervals as lists, as JSON has them."""
    fields = asdict(quality).items()
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields}


def _best(trained: Sequence[Verified]) -> dict[str, Any] | None:
    """Describe the winner, chosen on validation; its test accuracy had no say."""
    if not trained:
        return None
    winner = by_full_accuracy(trained)[0]
    return {
        "trial": winner.candidate.trial,
        "architecture": winner.candidate.architecture,
        "full_accuracy": winner.full_accuracy,
        "test_accuracy": winner.test_accuracy,
        "proxy_accuracy": winner.proxy_accuracy,
        "num_params": winner.candidate.num_params,
        "num_flops": winner.candidate.num_flops,
        "num_seeds": len(winner.full_accuracies),
        "selected_by": list(winner.selected_by),
    }


def _best_on_proxy(candidates: Sequence[Candidate]) -> dict[str, Any] | None:
    ordered = by_proxy_accuracy(candidates)
    if not ordered:
        return None
    names = ("trial", "architecture", "proxy_accuracy", "num_params", "num_flops")
    return {name: getattr(ordered[0], name) for name in names}


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
