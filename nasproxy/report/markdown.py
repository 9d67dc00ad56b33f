"""A report as Markdown that is also readable as plain text, 80 columns wide."""

from __future__ import annotations

import html
import re
import textwrap
from typing import Any

from nasproxy.report.record import Records
from nasproxy.report.table import (
    Table,
    calibration_table,
    candidate_table,
    front_table,
    key_figures,
    ranking_table,
    time_table,
    trust_table,
)

WIDTH = 80


def render_markdown(summary: dict[str, Any], records: Records) -> str:
    """Render a report: the verdict first, the command to get it again last."""
    tables = [
        Table("Key figures", ("figure", "value", "remark"), list(key_figures(summary))),
        candidate_table(records),
        front_table(records),
        time_table(summary),
        calibration_table(records),
        trust_table(records),
    ]
    if summary["num_uniform"]:
        tables.insert(1, ranking_table(summary))
    parts = [
        "# nasproxy report",
        _wrap(_clean(f"{summary['dataset']}, space {summary['space']}, {proxy_name(summary)}.")),
        _wrap(f"**{_clean(summary['verdict'])}**"),
        *(_render_table(table) for table in tables if table.rows),
        "## Notes" if summary["notes"] else "",
        "\n".join(_wrap(_clean(note), bullet=True) for note in summary["notes"]),
        "## Made with",
        _wrap(_clean(made_with(summary))),
        "## Reproduce",
        f"    {' '.join(summary['command'].split())}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def made_with(summary: dict[str, Any]) -> str:
    """Say on what and with what the run was made."""
    versions = ", ".join(f"{name} {value}" for name, value in summary["versions"].items())
    return f"{summary['hardware']}; {versions}" if versions else str(summary["hardware"])


def is_early(summary: dict[str, Any]) -> bool:
    """Say whether candidates were trained on the full data, and stopped early."""
    return summary["proxy"]["kind"] == "full" and summary["recipe"].get("steps") is not None


def proxy_name(summary: dict[str, Any]) -> str:
    """Name the proxy by kind, method and size."""
    proxy = summary["proxy"]
    if is_early(summary):
        return f"early stopping after {summary['recipe']['steps']} steps on the full data"
    method = "" if proxy["method"] == proxy["kind"] else f" ({proxy['method']})"
    size = "" if proxy["ipc"] is None else f", {proxy['ipc']} images per class"
    return f"{proxy['kind']} proxy{method}{size}"


def _render_table(table: Table) -> str:
    rows = [[_cell(text) for text in row] for row in (table.header, *table.rows)]
    widths = [max(3, *(len(row[column]) for row in rows)) for column in range(len(rows[0]))]
    excess = sum(widths) + 3 * len(widths) + 1 - WIDTH
    if excess > 0:
        widest = widths.index(max(widths))
        widths[widest] = max(8, widths[widest] - excess)
    lines = [
        "| " + " | ".join(_fit(text, width) for text, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return f"## {_clean(table.title)}\n\n" + "\n".join(lines)


def _fit(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"


def _cell(text: str) -> str:
    return _clean(text).replace("|", "\\|")


def _clean(text: Any) -> str:
    """Make text of a file harmless: one line, no tags."""
    return html.escape(re.sub(r"\s+", " ", str(text)), quote=False)


def _wrap(text: str, *, bullet: bool = False) -> str:
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent="- " if bullet else "",
        subsequent_indent="  " if bullet else "",
        break_long_words=False,
        break_on_hyphens=False,
    )
