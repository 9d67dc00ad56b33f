"""The proxy's rank correlation beside those of scores that cost nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nasproxy.report.figures.base import QUIET, TOP, UNIFORM, Figure, axis_title, draw


@dataclass(frozen=True)
class Bar:
    """A score's Spearman correlation with the full score and its 95% interval."""

    name: str
    rho: float
    low: float
    high: float


@dataclass(frozen=True)
class CorrelationInfo:
    """The bars, and the agreement of full training with itself."""

    bars: list[Bar]
    noise_ceiling: float | None


def _get_correlation_info(summary: dict[str, Any]) -> CorrelationInfo:
    named = (
        ("proxy", "spearman_rho"),
        ("parameters", "spearman_rho_params"),
        ("FLOPs", "spearman_rho_flops"),
    )
    bars = [
        Bar(name, summary[key], *summary[f"{key}_ci"])
        for name, key in named
        if summary[key] is not None and summary[f"{key}_ci"] is not None
    ]
    return CorrelationInfo(bars, summary["noise_ceiling"])


def draw_correlations(summary: dict[str, Any]) -> Figure | None:
    """Draw them, or nothing when no correlation is defined."""
    info = _get_correlation_info(summary)
    if not info.bars:
        return None
    trace = {
        "type": "bar",
        "x": [bar.name for bar in info.bars],
        "y": [bar.rho for bar in info.bars],
        "error_y": {
            "type": "data",
            "symmetric": False,
            # a percentile interval need not hold the estimate itself
            "array": [max(0.0, bar.high - bar.rho) for bar in info.bars],
            "arrayminus": [max(0.0, bar.rho - bar.low) for bar in info.bars],
            "color": TOP,
        },
        "marker": {"color": [UNIFORM if bar.name == "proxy" else QUIET for bar in info.bars]},
        "text": [f"{bar.low:.2f} to {bar.high:.2f}" for bar in info.bars],
        "textposition": "none",
        "hovertemplate": "%{x}: %{y:.2f} (%{text})<extra></extra>",
    }
    lowest = min([0.0, *(bar.low for bar in info.bars), info.noise_ceiling or 0.0])
    drawing = draw(
        [trace],
        y={**axis_title("Spearman's rho with full training"), "range": [lowest - 0.05, 1.12]},
        **({} if info.noise_ceiling is None else _ceiling_line(info.noise_ceiling)),
    )
    return Figure(
        "correlations",
        "Is it better than counting parameters?",
        "Bars with their 95% intervals, over the uniform sample.",
        drawing,
    )


def _ceiling_line(height: float) -> dict[str, Any]:
    line = {"dash": "dash", "color": QUIET, "width": 1.5}
    across = {"xref": "paper", "x0": 0, "x1": 1, "y0": height, "y1": height}
    # on the right, where bars are mostly lower: the proxy's, on the left, may reach the line
    words = {"xref": "paper", "x": 1, "y": height, "xanchor": "right", "yanchor": "bottom"}
    return {
        "shapes": [{"type": "line", "line": line, **across}],
        "annotations": [{"text": "full training, seed against seed", "showarrow": False, **words}],
    }
