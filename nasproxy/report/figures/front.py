"""Score on the proxy against what an architecture costs, and the Pareto front."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nasproxy.report.figures.base import (
    QUIET,
    TOP,
    UNIFORM,
    Figure,
    axis_title,
    draw,
    label,
)
from nasproxy.report.record import Records
from nasproxy.report.wording import varied_parameters

AXES = {
    "params": "trainable parameters",
    "flops": "FLOPs of one image",
    "latency": "milliseconds for one image",
}


@dataclass(frozen=True)
class FrontPoint:
    """A scored candidate; its score in [0, 1], its cost in the unit of the axis."""

    label: str
    cost: float
    score: float
    is_on_front: bool
    is_verified: bool


def _get_front_info(records: Records, cost: str) -> list[FrontPoint]:
    """Return the candidates whose score and cost are known, the cheapest first."""
    parameters = varied_parameters(c.architecture for c in records.candidates)
    verified = {v.candidate.trial for v in records.verified if v.full_scores}
    points = [
        FrontPoint(
            label=label(candidate.trial, candidate.architecture, parameters),
            cost=paid,
            score=candidate.proxy_score,
            is_on_front=candidate.trial in records.goal.front,
            is_verified=candidate.trial in verified,
        )
        for candidate in records.candidates
        if (paid := records.goal.cost(candidate, cost)) is not None
        and candidate.proxy_score is not None
        and candidate.status == "complete"
    ]
    return sorted(points, key=lambda point: (point.cost, point.score))


def draw_fronts(records: Records, metric: str) -> list[Figure]:
    """Draw one for every cost that the search was to keep small."""
    costs = records.goal.costs
    figures = (_draw(_get_front_info(records, cost), cost, metric, len(costs)) for cost in costs)
    return [figure for figure in figures if figure is not None]


def _draw(points: list[FrontPoint], cost: str, metric: str, num_costs: int) -> Figure | None:
    if not points:
        return None
    front = [point for point in points if point.is_on_front]
    # with several costs the front is no line in the plane of one
    mode = "lines+markers" if num_costs == 1 else "markers"
    traces = [
        _trace([p for p in points if not p.is_on_front], "candidate", QUIET, 7),
        {**_trace(front, "Pareto front", UNIFORM, 10), "mode": mode, "line": {"shape": "hv"}},
        _trace([p for p in points if p.is_verified], "verified", TOP, 16, symbol="circle-open"),
    ]
    drawing = draw(
        [trace for trace in traces if trace["x"]],
        x={**axis_title(AXES[cost]), "type": "log"},
        y={**axis_title(f"{metric} on the proxy"), "tickformat": ".3~p"},
    )
    return Figure(
        f"front-{cost}",
        f"What does a better score cost in {AXES[cost]}?",
        "On the front: candidates that no other equals in every objective and beats in one, going "
        "by the proxy. Rings mark those that were verified on the full data.",
        drawing,
    )


def _trace(
    group: list[FrontPoint], name: str, color: str, size: int, *, symbol: str = "circle"
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [point.cost for point in group],
        "y": [point.score for point in group],
        "marker": {"color": color, "size": size, "symbol": symbol},
        "text": [point.label for point in group],
        "hovertemplate": "%{text}<br>%{y:.2%} at %{x:.4~g}<extra></extra>",
    }
