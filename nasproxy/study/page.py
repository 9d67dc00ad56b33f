"""A study as one HTML file: tables beside what was reported, curves, and pictures."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nasproxy.report.figures.base import PALETTE, Figure, axis_title, draw, escaped
from nasproxy.report.html import Page, render_page
from nasproxy.report.picture import load_pictures
from nasproxy.study.headline import compared_network, write_headline
from nasproxy.study.note import machine, made_with, network_notes, search_notes
from nasproxy.study.table import network_table, proxy_table, search_table


def render_html(summary: dict[str, Any], folder: Path) -> str:
    """Render a study; pictures are read from below `folder`."""
    captions = {
        path: f"{name}, {Path(path).stem}"
        for name, facts in summary["proxies"].items()
        for path in facts["pictures"]
    }
    rows = [*summary["networks"], *summary["searches"]]
    missing = summary["missing"]
    notes = [*network_notes(summary), *search_notes(summary)]
    return render_page(
        Page(
            heading=f"The study on {summary['dataset']}",
            subtitle=f"{summary['ipc']} images per class; every row can be run again by itself",
            verdict=write_headline(summary),
            figures=[figure for figure in (draw_curves(summary), draw_times(summary)) if figure],
            pictures=load_pictures(folder, captions),
            tables=[network_table(summary), search_table(summary), proxy_table(summary)],
            notes=[*notes, *([f"Not run yet: {', '.join(missing)}."] if missing else [])],
            command="\n".join(sorted({row["command"] for row in rows})),
            made_with="; and on ".join(made_with(summary)),
        )
    )


def _get_curves_info(summary: dict[str, Any]) -> dict[str, list[float]]:
    """Return the mean validation accuracy after each epoch of one network, by its data."""
    rows = [row for row in summary["networks"] if row["curves"]]
    network = compared_network(rows)
    return {
        row["data"]: [_mean(values) for values in zip(*row["curves"], strict=True)]
        for row in rows
        if (row["model"], row["width"]) == network
    }


def draw_curves(summary: dict[str, Any]) -> Figure | None:
    """Draw how the same network learns on each kind of data, or nothing where nothing was run."""
    curves = _get_curves_info(summary)
    if not curves:
        return None
    traces = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": escaped(name),
            "x": list(range(1, len(values) + 1)),
            "y": values,
            "line": {"color": colour, "width": 2},
            "marker": {"size": 5},
            "hovertemplate": f"{escaped(name)}, epoch %{{x}}: %{{y:.2%}}<extra></extra>",
        }
        for (name, values), colour in zip(curves.items(), itertools.cycle(PALETTE))
    ]
    drawing = draw(
        traces,
        height=320 + 20 * len(traces),  # a name each over the plot
        x=axis_title("epoch"),
        y={**axis_title("accuracy on validation images"), "tickformat": ".0%"},
    )
    return Figure(
        "curves",
        "How does the same network learn on each?",
        "The study's protocol; mean over the trainings. An epoch of a proxy is a few steps only.",
        drawing,
    )


def draw_times(summary: dict[str, Any]) -> Figure | None:
    """Draw the seconds of searching, with those of distilling on top, or nothing."""
    searches = summary["searches"]
    if not searches:
        return None
    names = [escaped(row["data"]) for row in searches]
    parts = {
        "search": [row["seconds_per_seed"] for row in searches],
        "distilling": [row["distill_seconds"] for row in searches],
    }
    traces = [
        {
            "type": "bar",
            "name": part,
            "x": names,
            "y": seconds,
            "marker": {"color": colour},
            "hovertemplate": f"%{{x}}, {part}: %{{y:,.1f}} s<extra></extra>",
        }
        for (part, seconds), colour in zip(parts.items(), PALETTE, strict=False)
    ]
    drawing = draw(traces, barmode="group", y={**axis_title("seconds"), "type": "log"})
    places = {machine(row["versions"]) for row in searches}
    places |= {row["distilled_on"] for row in searches if row.get("distilled_on")}
    caption = "Logarithmic scale; one seed."
    if len(places) > 1:
        caption += " Not all on one machine: see the notes."
    return Figure("times", "What does searching 20 MLPs cost?", caption, drawing)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
