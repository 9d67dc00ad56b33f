"""What the search took, step by step, against training every candidate on the full data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nasproxy.report.cost import LEAST_SECONDS
from nasproxy.report.figures.base import QUIET, UNIFORM, Figure, axis_title, draw
from nasproxy.report.wording import duration, times


@dataclass(frozen=True)
class TimeBar:
    """Wall seconds of a way to search, and how much faster than full search that is."""

    name: str
    seconds: float
    speedup: float | None


def _get_time_info(summary: dict[str, Any]) -> list[TimeBar]:
    full, search = summary["full_search_seconds"], summary["search_seconds"]
    bars = []
    if full is not None:
        bars.append(TimeBar(f"full search ({summary['full_search_is']})", full, None))
    if search is None:
        return bars
    distilled = search + summary["distill_seconds"]
    bars.append(TimeBar("search on the proxy", search, summary["speedup_search_only"]))
    if summary["distill_seconds"] >= LEAST_SECONDS:
        bars.append(TimeBar("+ distillation", distilled, summary["speedup_with_distillation"]))
    checked = distilled
    for name, key in (
        ("+ choice of recipe", "calibration_seconds"), ("+ trust check", "trust_seconds"),
    ):  # fmt: skip
        if summary[key] is not None:
            checked += summary[key]
            bars.append(TimeBar(name, checked, None))
    if full is not None:
        seconds = checked + summary["verify_top_seconds"]
        bars.append(TimeBar("+ verifying the top", seconds, summary["speedup_end_to_end"]))
    return bars


def draw_times(summary: dict[str, Any]) -> Figure | None:
    """Draw them, or nothing when no time was recorded."""
    bars = _get_time_info(summary)
    if not bars:
        return None
    texts = [
        duration(bar.seconds) + (f", {times(bar.speedup)}" if bar.speedup is not None else "")
        for bar in bars
    ]
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": [bar.seconds for bar in bars],
        "y": [bar.name for bar in bars],
        "marker": {"color": [QUIET if bar.speedup is None else UNIFORM for bar in bars]},
        "text": texts,
        "textposition": "auto",
        "hovertemplate": "%{y}: %{text}<extra></extra>",
    }
    drawing = draw(
        [trace],
        height=120 + 45 * len(bars),
        x={**axis_title("wall seconds"), "rangemode": "tozero"},
        y={"autorange": "reversed"},
    )
    return Figure(
        "times",
        "What did it cost?",
        "Each bar holds the steps of the one above it. The uniform sample is the audit of the "
        "proxy and in none of them.",
        drawing,
    )
