"""Score on the proxy against score on the full data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nasproxy.report.figures.base import TOP, UNIFORM, Figure, axis_title, draw, label
from nasproxy.report.record import Verified
from nasproxy.report.wording import varied_parameters


@dataclass(frozen=True)
class Point:
    """A verified candidate; scores in [0, 1], lowest and highest over the seeds."""

    label: str
    proxy_score: float
    full_score: float
    lowest: float
    highest: float
    is_uniform: bool


def _get_scatter_info(verified: Sequence[Verified]) -> list[Point]:
    trained = [v for v in verified if v.full_scores]
    parameters = varied_parameters(v.candidate.architecture for v in trained)
    return [
        Point(
            label=label(v.candidate.trial, v.candidate.architecture, parameters),
            proxy_score=v.proxy_score,
            full_score=v.full_score,
            lowest=min(v.full_scores),
            highest=max(v.full_scores),
            is_uniform="uniform" in v.selected_by,
        )
        for v in trained
    ]


def draw_scatter(verified: Sequence[Verified], metric: str) -> Figure | None:
    """Draw it, or nothing before verification."""
    points = _get_scatter_info(verified)
    if not points:
        return None
    traces = []
    for name, uniform, color, symbol in (
        ("uniform sample", True, UNIFORM, "circle"),
        ("top only", False, TOP, "diamond"),
    ):
        group = [point for point in points if point.is_uniform == uniform]
        if group:
            traces.append(_trace(group, name, color, symbol))
    drawing = draw(
        traces,
        x={**axis_title(f"{metric} on the proxy"), "tickformat": ".3~p"},
        y={**axis_title(f"{metric} on the full data"), "tickformat": ".4~p"},
    )
    return Figure(
        "scatter",
        "Does the proxy rank as full training does?",
        "One point a verified candidate, bars from the worst to the best seed of full training. "
        "Only the uniform sample enters the correlation.",
        drawing,
    )


def _trace(group: list[Point], name: str, color: str, symbol: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [point.proxy_score for point in group],
        "y": [point.full_score for point in group],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [point.highest - point.full_score for point in group],
            "arrayminus": [point.full_score - point.lowest for point in group],
            "thickness": 1,
            "width": 3,
        },
        "marker": {"color": color, "symbol": symbol, "size": 9},
        "text": [point.label for point in group],
        "hovertemplate": "%{text}<br>proxy %{x:.2%}, full %{y:.2%}<extra></extra>",
    }
