"""What no other candidate beats in everything: the Pareto front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nasproxy.config import COST_FIELDS


def pareto_front(values: Sequence[Sequence[float]], maximize: Sequence[bool]) -> list[bool]:
    """Say of every point whether it lies on the front.

    A point is off the front if another is at least as good in every objective and better in one;
    so of points that are equal in all, each is on it or none.

    Args:
        values: one row a point, one finite number an objective.
        maximize: of every objective, whether more is better.
    """
    if not values:
        return []
    losses = np.array(values, dtype=np.float64) * np.where(maximize, -1.0, 1.0)  # (N, M)
    on_front = np.zeros(len(losses), dtype=bool)
    left = np.lexsort(losses.T[::-1])  # in this order none is beaten by a later one
    while len(left):
        best, rest = losses[left[0]], losses[left[1:]]
        on_front[left[0]] = True
        unbeaten = np.any(rest < best, axis=1) | np.all(rest == best, axis=1)
        left = left[1:][unbeaten]
    return [bool(on) for on in on_front]


def mark_front(
    candidates: Sequence[Mapping[str, Any]], costs: Sequence[str]
) -> list[dict[str, Any]]:
    """Return candidates that say whether they are on the front of those that are complete.

    Args:
        candidates: as `candidates.json` lists them.
        costs: what shall be small beside the score: keys of COST_FIELDS.
    """
    fields = ["proxy_score", *(COST_FIELDS[name] for name in costs)]
    scored = [c for c in candidates if c["status"] == "complete"]
    front = pareto_front(
        [[candidate[field] for field in fields] for candidate in scored],
        [True, *[False] * len(costs)],
    )
    chosen = {c["trial"] for c, is_on in zip(scored, front, strict=True) if is_on}
    return [{**candidate, "pareto": candidate["trial"] in chosen} for candidate in candidates]
