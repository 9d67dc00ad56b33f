"""The tables of a report, as plain text cells; how they are drawn is left to the format."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nasproxy.report.record import Candidate, Records, Verified
from nasproxy.report.summary import by_full_accuracy, by_proxy_accuracy
from nasproxy.report.wording import (
    UNKNOWN,
    count,
    duration,
    interval,
    percent,
    points,
    rho,
    size,
    times,
    varied_parameters,
)

MAX_ROWS = 15


@dataclass(frozen=True)
class Table:
    """A title, the names of the columns, and rows of text."""

    title: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def ranking_table(summary: dict[str, Any]) -> Table:
    """List the rank statistics."""
    named = (
        ("proxy", "spearman_rho"),
        ("parameter count", "spearman_rho_params"),
        ("FLOPs", "spearman_rho_flops"),
    )
    rows = [(name, rho(summary[key]), interval(summary[f"{key}_ci"])) for name, key in named]
    rows += [
        ("proxy, given the parameter count", rho(summary["spearman_rho_given_params"]), ""),
        ("proxy, Kendall's tau-b", rho(summary["kendall_tau"]), ""),
        ("full training, seed against seed", rho(summary["noise_ceiling"]), ""),
        ("attainable by a proxy, at most", rho(summary["attainable_rho"]), ""),
    ]
    title = f"Ranking ({summary['num_uniform']} uniformly drawn candidates)"
    return Table(title, ("Spearman's rho of", "value", "95% interval"), rows)


def time_table(summary: dict[str, Any]) -> Table:
    """List the times and the speed-ups."""
    full_is = f" ({summary['full_search_is']})" if summary["full_search_is"] else ""
    rows = [
        ("search", duration(summary["search_seconds"]), times(summary["speedup_search_only"])),
        (
            "+ distillation",
            duration(summary["distill_seconds"]),
            times(summary["speedup_with_distillation"]),
        ),
        (
            "+ verifying the top",
            duration(summary["verify_top_seconds"]),
            times(summary["speedup_end_to_end"]),
        ),
        (f"full search{full_is}", duration(summary["full_search_seconds"]), ""),
        ("one candidate on the proxy", duration(summary["proxy_seconds_per_candidate"]), ""),
        ("one full training", duration(summary["full_seconds_per_candidate"]), ""),
    ]
    return Table("Time", ("step", "seconds", "speed-up"), rows)


def candidate_table(records: Records) -> Table:
    """List the best candidates: by full accuracy where verified, else by proxy accuracy."""
    parameters = varied_parameters(c.architecture for c in records.candidates)
    trained = by_full_accuracy([v for v in records.verified if v.full_accuracies])
    header = ("trial", "/".join(parameters), "params", "proxy %")
    if not trained:
        best = by_proxy_accuracy(records.candidates)[:MAX_ROWS]
        return Table("Best on the proxy", header, [_proxy_row(c, parameters) for c in best])
    rows = [
        (*_proxy_row(v.candidate, parameters), _spread(v), _hundredths(v.test_accuracy), _from(v))
        for v in trained[:MAX_ROWS]
    ]
    return Table("Best on the full data", (*header, "full %", "test %", "from"), rows)


def key_figures(summary: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return (name, value, remark) of what to look at first."""
    best = summary["best"]
    space = f" of {count(summary['space_size'])}" if summary["space_size"] else ""
    regret = summary["top_k_regret"]
    figures = [
        ("rank correlation", rho(summary["spearman_rho"]), interval(summary["spearman_rho_ci"])),
        ("parameter count's", rho(summary["spearman_rho_params"]), "the baseline"),
        ("speed-up end to end", times(summary["speedup_end_to_end"]), "over full search"),
        (
            "regret",
            UNKNOWN if regret is None else points(regret).replace("percentage ", ""),
            f"trusting its {summary['top_k']} best" if summary["top_k"] else "no sample",
        ),
        ("candidates", count(summary["num_candidates"]), f"architectures{space}"),
        ("verified", count(summary["num_verified"]), "on the full data"),
    ]
    if best is not None:
        remark = f"validation {percent(best['full_accuracy'], 2)}, trial {best['trial']}"
        figures.append(("best, on the test", percent(best["test_accuracy"], 2), remark))
    needed = summary["break_even_end_to_end_candidates"]
    if needed is not None:
        figures.append(("pays from", count(needed), "candidates on"))
    return figures


def _proxy_row(candidate: Candidate, parameters: Sequence[str]) -> tuple[str, ...]:
    values = (str(candidate.architecture.get(name, UNKNOWN)) for name in parameters)
    return (
        str(candidate.trial),
        "/".join(values),
        size(candidate.num_params),
        _hundredths(candidate.proxy_accuracy),
    )


def _spread(v: Verified) -> str:
    """Render mean and, over several seeds, standard deviation, in percent."""
    mean = _hundredths(v.full_accuracy)
    if len(v.full_accuracies) == 1:
        return mean
    return f"{mean} ±{_hundredths(statistics.stdev(v.full_accuracies))}"


def _hundredths(fraction: float | None) -> str:
    return percent(fraction, 2).rstrip("%")


def _from(v: Verified) -> str:
    """Say why a candidate was verified."""
    if len(set(v.selected_by)) > 1:
        return "both"
    return "sample" if "uniform" in v.selected_by else "top"
