"""The one sentence over a study's page: proxies beside all images, only where both compare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nasproxy.config import PROTOCOLS
from nasproxy.data.inspection import is_unbalanced
from nasproxy.report.wording import counted
from nasproxy.study.plan import FULL
from nasproxy.training.metric import METRIC_NAMES, majority_class_rate, score_text, shown_metrics

CLOSE = 0.01
"""Distance from what naming the largest class always gives within which nothing was learned."""
Network = tuple[str, int | None]
"""Name and width."""


def write_headline(summary: dict[str, Any]) -> str:
    """Say which proxy trains the best network, protocol by protocol, of one network and width."""
    rows = [row for row in summary["networks"] if row["kind"] in PROTOCOLS]
    if all(row["data"] == FULL for row in rows):
        return "No proxy was evaluated yet."
    network = compared_network(rows)
    rows = [row for row in rows if _network(row) == network]
    of_protocols = [[row for row in rows if row["kind"] == kind] for kind in PROTOCOLS]
    parts = [_compare(group) for group in of_protocols if any(r["data"] != FULL for r in group)]
    return f"{_named(rows[0])}, on test: {'; '.join(parts)}."


def compared_network(rows: Sequence[dict[str, Any]]) -> Network | None:
    """Choose the network that full data trained, or the first if no proxy trained that one.

    Args:
        rows: of trainings by the study's protocols, in the order of the plan.
    """
    proxies = [_network(row) for row in rows if row["data"] != FULL]
    full = [_network(row) for row in rows if row["data"] == FULL]
    if full and (not proxies or full[0] in proxies):
        return full[0]
    return proxies[0] if proxies else None


def _compare(rows: Sequence[dict[str, Any]]) -> str:
    """Compare the proxies, and all images if they are there, of one network and protocol."""
    proxies = [row for row in rows if row["data"] != FULL]
    unbalanced = is_unbalanced(rows[0].get("test_class_counts") or ())
    metric = "balanced_accuracy" if unbalanced else "accuracy"
    best = max(proxies, key=lambda row: row[f"{metric}_mean"])
    which = f"the best of {len(proxies)} proxies" if len(proxies) > 1 else "the only proxy"
    by = f" by {METRIC_NAMES[metric]}" if unbalanced and len(proxies) > 1 else ""
    full = next((row for row in rows if row["data"] == FULL), None)
    beside = _about_full(full) if full else "without a training on all images to compare with"
    return (
        f"by the {best['kind']} protocol ({best['epochs']} epochs) {which}{by} is {best['data']} "
        f"with {_scores(best)}, {beside}"
    )


def _about_full(row: dict[str, Any]) -> str:
    """Word the scores, and whether they are just what naming the largest class always gives."""
    text = f"all images give {_scores(row)}"
    counts = row.get("test_class_counts") or ()
    rate = majority_class_rate(counts)
    if rate is None or row["accuracy_mean"] > rate + CLOSE:
        return text
    if row["balanced_accuracy_mean"] > 1 / sum(count > 0 for count in counts) + CLOSE:
        return text
    return (
        f"{text}, no more than naming the largest class always ({rate:.1%}), so nothing follows "
        "for proxies"
    )


def _scores(row: dict[str, Any]) -> str:
    shown = shown_metrics("accuracy", row.get("test_class_counts") or ())
    scores = {name: row.get(f"{name}_mean") for name in shown}
    return f"{score_text(scores, shown, 2)} ({counted(row['num_seeds'], 'training')})"


def _network(row: dict[str, Any]) -> Network:
    return row["model"], row["width"]


def _named(row: dict[str, Any]) -> str:
    return f"{row['model']} of width {row['width']}" if row["width"] else str(row["model"])
