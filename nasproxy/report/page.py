"""A report as one HTML file."""

from __future__ import annotations

from typing import Any

from nasproxy.report.figures.gallery import draw_all
from nasproxy.report.html import Page, render_page
from nasproxy.report.markdown import is_early, made_with, proxy_name
from nasproxy.report.picture import Picture
from nasproxy.report.record import Records
from nasproxy.report.table import (
    calibration_table,
    candidate_table,
    front_table,
    key_figures,
    ranking_table,
    time_table,
    trust_table,
)


def render_html(summary: dict[str, Any], records: Records, pictures: list[Picture]) -> str:
    """Render a report; all text that comes from files is escaped.

    Args:
        summary: the content of `report.json`.
        records: what it was made from.
        pictures: of the proxy, in the order to show them.
    """
    tables = [
        candidate_table(records),
        front_table(records),
        time_table(summary),
        calibration_table(records),
        trust_table(records),
    ]
    if summary["num_uniform"]:
        tables.insert(1, ranking_table(summary))
    return render_page(
        Page(
            heading=f"{summary['dataset']}: {proxy_name(summary)}",
            subtitle=_subtitle(summary),
            verdict=summary["verdict"],
            worth_it=summary["worth_it"],
            tiles=key_figures(summary),
            figures=draw_all(summary, records),
            pictures=pictures,
            class_names=records.run.class_names,
            tables=tables,
            notes=summary["notes"],
            command=summary["command"],
            made_with=made_with(summary),
        )
    )


def _subtitle(summary: dict[str, Any]) -> str:
    epochs = summary["recipe"].get("epochs")
    known = epochs is not None and not is_early(summary)  # whose steps are in the heading
    recipe = f", {epochs} epochs on the proxy" if known else ""
    full = (summary["verify_recipe"] or {}).get("epochs")
    return f"space {summary['space']}{recipe}" + (
        "" if full is None else f", {full} epochs on full data"
    )
