"""The tables of a study, as cells of text and as Markdown."""

from __future__ import annotations

from typing import Any

from nasproxy.report.table import Table

CONVERGENCE = (
    "Converged: the first epoch at which the mean accuracy on validation images is within a point "
    "of that after the last epoch."
)


def network_table(summary: dict[str, Any]) -> Table:
    """Lay out the networks trained on each kind of data, tested on the real test split."""
    unbalanced = any("auc_mean" in row for row in summary["networks"])
    more = ("balanced", "AUC") if unbalanced else ()
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
            *((_spread(row, "balanced_accuracy"), _spread(row, "auc")) if unbalanced else ()),
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
        [_search_cells(row, summary) for row in summary["searches"]],
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
    notes = [
        "`n` trainings a row, mean and standard deviation; seconds are of one training, "
        f"multiply-adds of one image. {CONVERGENCE}"
    ]
    if summary["networks"] and "majority_class_rate" in summary["networks"][0]:
        rate = summary["networks"][0]["majority_class_rate"]
        notes.append(f"The largest class makes up {rate:.1%} of the test images.")
    ceilings = [row["noise_ceiling"] for row in summary["searches"] if row.get("noise_ceiling")]
    if ceilings:
        notes.append(
            f"Noise ceiling of the searches (full data, seed against seed): {ceilings[0]:.2f}. "
            "The study's way: candidates scored on their own training images with one seed, kept "
            "as a contrast; it says nothing about unseen images."
        )
    tables = [network_table(summary), search_table(summary), proxy_table(summary)]
    pictures = [
        f"### {name}\n\n" + "\n".join(f"![{name}]({path})" for path in facts["pictures"])
        for name, facts in summary["proxies"].items()
        if facts["pictures"]
    ]
    missing = summary["missing"]
    left = f"Not run yet: {', '.join(missing)}." if missing else ""
    made = sorted({_made(row) for row in [*summary["networks"], *summary["searches"]]})
    commands = sorted({row["command"] for row in [*summary["networks"], *summary["searches"]]})
    parts = [
        title,
        "\n\n".join(notes),
        *(_markdown(table) for table in tables if table.rows),
        left,
        "## Pictures\n\nOne row a class; start left, final right." if pictures else "",
        *pictures,
        "## Made with",
        "\n".join(f"- {text}" for text in made),
        "## Commands",
        "\n".join(f"    {text}" for text in commands),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _markdown(table: Table) -> str:
    rows = [table.header, tuple("---" for _ in table.header), *table.rows]
    lines = ("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
    return f"## {table.title}\n\n" + "\n".join(lines)


def _search_cells(row: dict[str, Any], summary: dict[str, Any]) -> tuple[str, ...]:
    per_seed, distilling = row["seconds_per_seed"], row["distill_seconds"]
    full = next((r for r in summary["searches"] if r["data"] == "full"), None)
    with_distilling = full["seconds_per_seed"] / (per_seed + distilling) if full else None
    interval = row.get("spearman_rho_ci")
    own = row.get("own_images_spearman_rho")
    contrast = "" if own is None else f"{own:.2f}, "
    same = {True: "yes", False: "no", None: ""}[row.get("same_best_by_own_images")]
    return (
        row["data"],
        f"{per_seed:.1f}",
        _times(row.get("speedup")),
        _times(with_distilling),
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


def _made(row: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in row["versions"].items())
