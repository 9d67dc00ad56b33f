"""The search as it went: every trial's score, and the best so far."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from nasproxy.report.figures.base import QUIET, TOP, UNIFORM, Figure, axis_title, draw, label
from nasproxy.report.record import Candidate
from nasproxy.report.wording import varied_parameters


@dataclass(frozen=True)
class HistoryInfo:
    """One entry per scored candidate, in the order of the trials; scores in [0, 1]."""

    trials: list[int]
    proxy_scores: list[float]
    best_so_far: list[float]
    labels: list[str]
    verified: list[bool]
    """Whether trained on the full data."""


def _get_history_info(
    candidates: Sequence[Candidate], verified: Collection[int] = ()
) -> HistoryInfo:
    scored = sorted((c for c in candidates if c.proxy_score is not None), key=lambda c: c.trial)
    parameters = varied_parameters(c.architecture for c in scored)
    scores = [c.proxy_score for c in scored if c.proxy_score is not None]
    return HistoryInfo(
        trials=[c.trial for c in scored],
        proxy_scores=scores,
        best_so_far=list(itertools.accumulate(scores, max)),
        labels=[label(c.trial, c.architecture, parameters) for c in scored],
        verified=[c.trial in verified for c in scored],
    )


def draw_history(
    candidates: Sequence[Candidate], metric: str, verified: Collection[int] = ()
) -> Figure | None:
    """Draw it, those trained on the full data marked, or nothing when no candidate was scored.

    Args:
        candidates: of the search.
        metric: that they were scored by.
        verified: numbers of the trials trained on the full data.
    """
    info = _get_history_info(candidates, verified)
    if not info.trials:
        return None
    dots = _dots(info, "candidate", {"color": QUIET, "size": 7}, verified=False)
    marked = _dots(
        info, "trained on full data, too", {"color": TOP, "size": 11, "symbol": "star"},
        verified=True,
    )  # fmt: skip
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
        [dots, marked, steps] if any(info.verified) else [dots, steps],
        x=axis_title("trial"),
        y={**axis_title(f"{metric} on the proxy"), "tickformat": ".3~p"},
    )
    return Figure(
        "history", "How did the search go?", f"Each score is the {metric} on the proxy.", drawing
    )


def _dots(
    info: HistoryInfo, name: str, marker: dict[str, Any], *, verified: bool
) -> dict[str, Any]:
    """Return the points of the candidates that were verified, or of those that were not."""
    chosen = [index for index, known in enumerate(info.verified) if known == verified]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [info.trials[index] for index in chosen],
        "y": [info.proxy_scores[index] for index in chosen],
        "marker": marker,
        "text": [info.labels[index] for index in chosen],
        "hovertemplate": "%{text}<br>%{y:.2%}<extra></extra>",
    }
