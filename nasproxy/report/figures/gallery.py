"""All figures of a report, in the order of the page."""

from __future__ import annotations

from typing import Any

from nasproxy.report.figures.base import Figure
from nasproxy.report.figures.correlation import draw_correlations
from nasproxy.report.figures.front import draw_fronts
from nasproxy.report.figures.history import draw_history
from nasproxy.report.figures.importance import draw_importance
from nasproxy.report.figures.rank import draw_ranks
from nasproxy.report.figures.scatter import draw_scatter
from nasproxy.report.figures.time import draw_times
from nasproxy.report.record import Records
from nasproxy.training.metric import METRIC_NAMES


def draw_all(summary: dict[str, Any], records: Records) -> list[Figure]:
    """Draw those that the records suffice for."""
    metric = METRIC_NAMES[records.run.metric]
    figures = [
        draw_scatter(records.verified, metric),
        draw_correlations(summary),
        draw_ranks(records.verified),
        *draw_fronts(records, metric),
        draw_times(summary),
        draw_history(records.candidates, metric, {v.candidate.trial for v in records.verified}),
        draw_importance(records.candidates, metric),
    ]
    return [figure for figure in figures if figure is not None]
