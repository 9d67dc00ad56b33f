"""A bench as one HTML file: key figures, plots and tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nasproxy.bench.table import QUICK_NOTE, all_tables, made_with, name_network, notes
from nasproxy.report.figures.base import QUIET, TOP, UNIFORM, Figure, axis_title, draw, escaped
from nasproxy.report.html import Page, render_page

GROWING = ("width", "depth", "ipc", "candidates")
COLOURS = ("#3b6fb6", UNIFORM, "#8a6fc0", TOP)


def render_html(record: dict[str, Any]) -> str:
    """Render a bench."""
    figures = (draw_ratios(record), draw_shares(record), draw_growth(record))
    sections = record["sections"].values()
    return render_page(
        Page(
            heading="What this machine does",
            subtitle=f"{record['hardware']}; device {record['device']}",
            verdict=_sentence(record),
            tiles=_tiles(record),
            figures=[figure for figure in figures if figure],
            tables=all_tables(record),
            notes=notes(record),
            command="\n".join(sorted({made["command"] for made in sections})),
            made_with=made_with(record),
        )
    )


def _get_ratio_info(record: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return name and spread of each ratio to another way of training."""
    found: list[tuple[str, dict[str, Any]]] = []
    if "evaluation" in record:
        rows = record["evaluation"]["candidates"]
        found += [(name_network(one["architecture"]), one["ratio"]) for one in rows]
        found.append(("all candidates", record["evaluation"]["ratio"]))
        found.append(("all, augmented", record["evaluation"]["augmented"]["ratio"]))
        if "to_study" in record["evaluation"]:
            found.append(("all, the study's way", record["evaluation"]["to_study"]))
    if "full_training" in record:
        for one in record["full_training"]["networks"]:
            found.append((f"full epoch: {name_network(one['architecture'])}", one["to_plain"]))
        study = record["full_training"]["study"]
        found.append(("full epoch: MLP, the study's way", study["to_study"]))
    return found


def draw_ratios(record: dict[str, Any]) -> Figure | None:
    """Draw how many times longer the other ways take."""
    ratios = _get_ratio_info(record)
    if not ratios:
        return None
    medians = [found["median"] for _, found in ratios]
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": medians,
        "y": [escaped(name) for name, _ in ratios],
        "marker": {"color": UNIFORM},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [found["max"] - found["median"] for _, found in ratios],
            "arrayminus": [found["median"] - found["min"] for _, found in ratios],
            "color": QUIET,
        },
        "hovertemplate": "%{y}: %{x:.2f}x<extra></extra>",
    }
    drawing = draw(
        [trace],
        height=140 + 26 * len(ratios),
        x={**axis_title("times as long as ours"), "rangemode": "tozero"},
        y={"autorange": "reversed"},
    )
    return Figure(
        "ratios",
        "How much longer do other ways take?",
        "Medians, with the lowest and highest of the repeats.",
        drawing,
    )


def draw_shares(record: dict[str, Any]) -> Figure | None:
    """Draw the shares of the matrix product's speed by width."""
    shares = record.get("share_of_gemm_peak")
    if not shares:
        return None
    dashes = {"train": "solid", "train_compiled": "dash", "evaluate": "dot"}
    traces = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": f"{kind.replace('_', ' ')}, norm {escaped(norm)}",
            "x": list(by_width),
            "y": list(by_width.values()),
            "line": {"color": colour, "dash": dashes[kind]},
            "hovertemplate": "width %{x}: %{y:.0%}<extra></extra>",
        }
        for kind, norms in shares.items()
        for (norm, by_width), colour in zip(norms.items(), (UNIFORM, TOP), strict=False)
    ]
    drawing = draw(
        traces,
        x={**axis_title("width of a ConvNet-3"), "type": "category"},
        y={**axis_title("share of the matrix product"), "tickformat": ".0%", "rangemode": "tozero"},
    )
    return Figure(
        "shares",
        "How near is training to what the machine can compute?",
        "One thread; the matrix product is measured between the epochs.",
        drawing,
    )


def draw_growth(record: dict[str, Any]) -> Figure | None:
    """Draw seconds against what was varied, both logarithmic."""
    if "growth" not in record:
        return None
    traces = []
    for axis, colour in zip(GROWING, COLOURS, strict=True):
        seconds = record["growth"][axis]["seconds"]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": axis,
                "x": [int(size) for size in seconds],
                "y": [found["median"] for found in seconds.values()],
                "line": {"color": colour},
                "hovertemplate": f"{axis} %{{x}}: %{{y:.3g}} s<extra></extra>",
            }
        )
    drawing = draw(
        traces,
        x={**axis_title("size"), "type": "log"},
        y={**axis_title("seconds"), "type": "log"},
    )
    return Figure("growth", "How does cost grow?", "One thing varied at a time.", drawing)


def _tiles(record: dict[str, Any]) -> list[tuple[str, str, str]]:
    tiles = []
    if "evaluation" in record:
        found = record["evaluation"]
        rate = f"{found['ours']['candidates_per_minute']:.0f} candidates a minute"
        tiles.append(("evaluation", f"{found['ratio_to_plain']:.2f}x", f"a plain loop; {rate}"))
    if "full_training" in record:
        full = record["full_training"]
        tiles.append(("full training", f"{full['ratio_to_plain']:.2f}x", "a plain loop"))
        tiles.append(("the study's MLP", f"{full['ratio_to_study']:.1f}x", "the study's way"))
    if "distillation" in record:
        for width, seconds in record["distillation"]["seconds_per_iteration"].items():
            tiles.append((f"DataDAM, width {width}", f"{seconds:.2f} s", "an iteration"))
    if "gemm" in record:
        tiles.append(("matrix product", f"{record['gemm_gflops']:.0f}", "GFLOP/s, all threads"))
    if "overhead" in record:
        tiles.append(("overhead", f"{record['overhead_ms_per_trial']:.1f} ms", "a trial"))
    return tiles


def _sentence(record: dict[str, Any]) -> str:
    """Say the most important thing."""
    if record["quick"]:
        return QUICK_NOTE
    if "evaluation" not in record:
        return f"Measured: {_listed(list(record['sections']))}."
    found = record["evaluation"]
    return (
        f"{found['workers']} workers evaluate {found['ratio_to_plain']:.1f} times as many "
        f"candidates as a plain loop with {found['plain_threads']} threads on the same machine."
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(name.replace("_", " ") for name in names) or "nothing"
