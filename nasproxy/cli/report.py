"""`nasproxy report`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nasproxy.cli import options
from nasproxy.cli.terminal import Terminal, guarded


@guarded
def report_command(
    folder: options.RunFolder,
    seed: options.Seed = None,
    device: options.Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write report.json, report.md and report.html."""
    from nasproxy.report.session import report

    terminal = Terminal(as_json=as_json, quiet=quiet)
    summary = report(folder)
    show(terminal, summary, folder)
    terminal.finish(summary)


def show(terminal: Terminal, summary: dict[str, Any], folder: Path) -> None:
    """Show the key figures of a report, the verdict last."""
    from rich.table import Table

    table = Table(show_header=False, title="Report", title_justify="left")
    for name, value in key_figures(summary):
        table.add_row(name, value)
    terminal.say(table)
    terminal.say(summary["verdict"])
    picture = folder / "proxy" / "final.png"
    if picture.exists():
        terminal.say(f"Images:     {picture}")
    terminal.say(f"Reports:    {folder / 'report.html'}, report.md, report.json")


def key_figures(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """Choose and word what a person wants to know first."""
    from nasproxy.report.cost import LEAST_SECONDS
    from nasproxy.training.metric import METRIC_NAMES, shown_metrics

    def with_interval(name: str, found: dict[str, Any] = summary) -> str:
        value, interval = found[name], found.get(f"{name}_ci")
        if value is None:
            return "unknown"
        return f"{value:.2f}" + (f"  [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else "")

    def seconds(name: str) -> str:
        return "unknown" if summary[name] is None else f"{summary[name]:.1f} s"

    def times(name: str) -> str:
        return "unknown" if summary[name] is None else f"{summary[name]:.1f}x"

    best = summary["best"] or {}
    trust = summary["trust"]
    checked = [("trust check, Spearman", with_interval("spearman_rho", trust))] if trust else []
    made = summary["distill_seconds"] >= LEAST_SECONDS
    how = f" ({summary['full_search_is']})" if summary["full_search_is"] else ""
    rows = [
        ("candidates, verified", f"{summary['num_candidates']}, {summary['num_verified']}"),
        ("Spearman, 95% interval", with_interval("spearman_rho")),
        ("  parameter count alone", with_interval("spearman_rho_params")),
        ("  FLOPs alone", with_interval("spearman_rho_flops")),
        ("  noise ceiling", with_interval("noise_ceiling")),
        *checked,
        *(
            (name, seconds(key))
            for name, key in (
                ("distilling", "distill_seconds"),
                ("choice of recipe", "calibration_seconds"),
                ("trust check", "trust_seconds"),
            )
            if summary[key] is not None and summary[key] >= LEAST_SECONDS
        ),
        ("search on the proxy", seconds("search_seconds")),
        ("verification", seconds("verify_seconds")),
        (f"search on full data{how}", seconds("full_search_seconds")),
        ("speed-up, search alone", times("speedup_search_only")),
        *([("  with distilling", times("speedup_with_distillation"))] if made else []),
        ("  with verified top, too", times("speedup_end_to_end")),
    ]
    shown = shown_metrics(summary["metric"], summary["class_counts"])
    for metric in shown:
        if best.get(f"test_{metric}") is not None:
            name = f"best network, test {METRIC_NAMES[metric]}"
            rows.append((name, f"{best[f'test_{metric}']:.2%}"))
    if len(shown) > 1 and summary["majority_class_rate"] is not None:
        rows.append(("majority class, validation", f"{summary['majority_class_rate']:.2%}"))
    return rows
