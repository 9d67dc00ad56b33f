"""The tables of a study, as cells of text and as Markdown."""

from __future__ import annotations

from typing import Any

from nasproxy.data.inspection import is_unbalanced
from nasproxy.report.table import Table
from nasproxy.study.note import made_with, network_notes, search_notes


def network_table(summary: dict[str, Any]) -> Table:
    """Lay out the networks trained on each kind of data, tested on the real test split."""
    two_classes = any("auc_mean" in row for row in summary["networks"])
    unbalanced = two_classes or any(
        is_unbalanced(row.get("test_class_counts") or ()) for row in summary["networks"]
    )
    more = (*(("balanced",) if unbalanced else ()), *(("AUC",) if two_classes else ()))
    header = (
        "trained on", "network", "epochs", "n", "test", *more, "seconds", "multiply-adds",
        "converged", "the study",
    )  # fmt: skip
    rows = [
        (
            row["data"],
            row["model"] + (f" w{row['width']}" if row["width"] else ""),
            str(row["epochs"]),
            str(row["num_seeds"]),
            _spread(row, "accuracy"),
            *((_spread(row, "balanced_accuracy"),) if unbalanced else ()),
            *((_spread(row, "auc"),) if two_classes else ()),
            f"{row['seconds_mean']:.0f}",
            _amount(row.get("multiply_adds")),
            str(row.get("converged_epochs") or ""),
            row["reported"],
        )
        for row in summary["networks"]
    ]
    return Table("Networks trained on full data and on proxies, test %", header, rows)


def search_table(summary: dict[str, Any]) -> Table:
    """Lay out the searches over the 20 MLPs."""
    header = ("search on", "seconds", "speed-up", "with distilling", "Spearman", "95% interval",
              "regret", "the study's way: rho, same best", "the study")  # fmt: skip
    return Table(
        "The 20 MLPs searched on each kind of data, scored on validation images",
        header,
        [_search_cells(row) for row in summary["searches"]],
    )


def proxy_table(summary: dict[str, Any]) -> Table:
    """Lay out what making each proxy cost."""
    rows = [
        (name, f"{facts['seconds']:,.0f}", facts["made_on"])
        for name, facts in summary["proxies"].items()
    ]
    return Table("What the proxies cost", ("proxy", "seconds", "on"), rows)


def render_markdown(summary: dict[str, Any]) -> str:
    """Render a study."""
    title = f"# The study on {summary['dataset']}, {summary['ipc']} images per class"
    tables: tuple[tuple[Table, list[str]], ...] = (
        (network_table(summary), network_notes(summary)),
        (search_table(summary), search_notes(summary)),
        (proxy_table(summary), []),
    )
    pictures = [
        f"### {name}\n\n" + "\n".join(f"![{name}]({path})" for path in facts["pictures"])
        for name, facts in summary["proxies"].items()
        if facts["pictures"]
    ]
    missing = summary["missing"]
    left = f"Not run yet: {', '.join(missing)}." if missing else ""
    commands = sorted({row["command"] for row in [*summary["networks"], *summary["searches"]]})
    parts = [
        title,
        *("\n\n".join((_markdown(table), *notes)) for table, notes in tables if table.rows),
        left,
        "## Pictures\n\nOne row a class; start left, final right." if pictures else "",
        *pictures,
        "## Made with",
        "\n".join(f"- {text}" for text in made_with(summary)),
        "## Commands",
        "\n".join(f"    {text}" for text in commands),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _markdown(table: Table) -> str:
    rows = [table.header, tuple("---" for _ in table.header), *table.rows]
    lines = ("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
    return f"## {table.title}\n\n" + "\n".join(lines)


def _search_cells(row: dict[str, Any]) -> tuple[str, ...]:
    interval = row.get("spearman_rho_ci")
    own = row.get("own_images_spearman_rho")
    contrast = "" if own is None else f"{own:.2f}, "
    same = {True: "yes", False: "no", None: ""}[row.get("same_best_by_own_images")]
    return (
        row["data"],
        f"{row['seconds_per_seed']:.1f}",
        _times(row.get("speedup")),
        _times(row.get("speedup_with_distilling")),
        _number(row.get("spearman_rho")),
        "" if interval is None else f"{interval[0]:.2f} to {interval[1]:.2f}",
        "" if row.get("regret") is None else f"{row['regret']:.2%}",
        contrast + same if row["data"] != "full" else "",
        row["reported"],
    )


def _spread(row: dict[str, Any], name: str) -> str:
    if f"{name}_mean" not in row:
        return ""
    mean = f"{row[f'{name}_mean']:.2%}"
    return mean if row["num_seeds"] == 1 else f"{mean} ({row[f'{name}_std']:.2%})"


def _amount(value: int | None) -> str:
    if value is None:
        return ""
    return f"{value / 1e9:.2f} G" if value >= 1e9 else f"{value / 1e6:.1f} M"


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}x"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
