"""Which parameter of the space moves the score on the proxy most."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from nasproxy.report.figures.base import UNIFORM, Figure, axis_title, draw
from nasproxy.report.record import Candidate
from nasproxy.report.wording import varied_parameters


@dataclass(frozen=True)
class Importance:
    """A parameter's share in [0, 1] of the variance of the score on the proxy."""

    parameter: str
    share: float


def _get_importance_info(candidates: Sequence[Candidate]) -> list[Importance]:
    """Return eta squared of every parameter that varies, the largest first.

    Eta squared is the variance between the means of a parameter's values over the total
    variance: what a one-way analysis of variance explains. A parameter that an architecture
    does not have counts as a value of its own. Interactions count towards no parameter, and in
    a sample that is not balanced shares overlap, so they need not add up to 1.
    """
    scored = [(c.architecture, c.proxy_score) for c in candidates if c.proxy_score is not None]
    if len(scored) < 3:
        return []
    mean = math.fsum(score for _, score in scored) / len(scored)
    total = math.fsum((score - mean) ** 2 for _, score in scored)
    names = varied_parameters(architecture for architecture, _ in scored)
    if total == 0 or all(architecture == scored[0][0] for architecture, _ in scored):
        return []
    found = []
    for name in names:
        groups: defaultdict[str, list[float]] = defaultdict(list)
        for architecture, score in scored:
            groups[repr(architecture.get(name))].append(score)
        between = math.fsum(
            len(group) * (math.fsum(group) / len(group) - mean) ** 2 for group in groups.values()
        )
        found.append(Importance(name, min(1.0, between / total)))
    return sorted(found, key=lambda importance: -importance.share)


def draw_importance(candidates: Sequence[Candidate], metric: str) -> Figure | None:
    """Draw it, or nothing when there is nothing to explain."""
    found = _get_importance_info(candidates)
    if not found:
        return None
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": [importance.share for importance in found],
        "y": [importance.parameter for importance in found],
        "marker": {"color": UNIFORM},
        "hovertemplate": "%{y}: %{x:.1%}<extra></extra>",
    }
    drawing = draw(
        [trace],
        height=120 + 40 * len(found),
        x={**axis_title("share of the variance explained"), "tickformat": ".0%", "range": [0, 1]},
        y={"autorange": "reversed"},
    )
    return Figure(
        "importance",
        "Which parameters matter on the proxy?",
        f"Share of the variance of the proxy {metric} that each parameter explains alone (eta "
        "squared, over all scored candidates); shares overlap and need not add up.",
        drawing,
    )
