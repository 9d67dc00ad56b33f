"""The search as it went: every trial's score, and the best so far."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from nasproxy.report.figures.base import QUIET, UNIFORM, Figure, axis_title, draw, label
from nasproxy.report.record import Candidate
from nasproxy.report.wording import varied_parameters


@dataclass(frozen=True)
class HistoryInfo:
    """One entry per scored candidate, in the order of the trials; scores in [0, 1]."""

    trials: list[int]
    proxy_scores: list[float]
    best_so_far: list[float]
    labels: list[str]


def _get_history_info(candidates: Sequence[Candidate]) -> HistoryInfo:
    scored = sorted((c for c in candidates if c.proxy_score is not None), key=lambda c: c.trial)
    parameters = varied_parameters(c.architecture for c in scored)
    scores = [c.proxy_score for c in scored if c.proxy_score is not None]
    return HistoryInfo(
        trials=[c.trial for c in scored],
        proxy_scores=scores,
        best_so_far=list(itertools.accumulate(scores, max)),
        labels=[label(c.trial, c.architecture, parameters) for c in scored],
    )


def draw_history(candidates: Sequence[Candidate], metric: str) -> Figure | None:
    """Draw it, or nothing when no candidate was scored."""
    info = _get_history_info(candidates)
    if not info.trials:
        return None
    dots = {
        "type": "scatter",
        "mode": "markers",
        "name": "candidate",
        "x": info.trials,
        "y": info.proxy_scores,
        "marker": {"color": QUIET, "size": 7},
        "text": info.labels,
        "hovertemplate": "%{text}<br>%{y:.2%}<extra></extra>",
    }
    steps = {
        "type": "scatter",
        "mode": "lines",
        "name": "best so far",
        "x": info.trials,
        "y": info.best_so_far,
        "line": {"color": UNIFORM, "shape": "hv", "width": 2},
        "hovertemplate": "best so far %{y:.2%}<extra></extra>",
    }
    drawing = draw(
        [dots, steps],
        x=axis_title("trial"),
        y={**axis_title(f"{metric} on the proxy"), "tickformat": ".3~p"},
    )
    return Figure(
        "history", "How did the search go?", f"Each score is the {metric} on the proxy.", drawing
    )
