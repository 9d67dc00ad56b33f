"""The tables of a report, as plain text cells; how they are drawn is left to the format."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nasproxy.report.cost import LEAST_SECONDS
from nasproxy.report.record import Candidate, Records, Verified
from nasproxy.report.summary import by_full_score, by_proxy_score
from nasproxy.report.wording import (
    UNKNOWN,
    by_metric,
    count,
    counted,
    duration,
    interval,
    percent,
    points,
    rho,
    size,
    times,
    varied_parameters,
)
from nasproxy.training.metric import (
    METRIC_NAMES,
    majority_class_rate,
    mean_score,
    short_name,
    shown_metrics,
)

MAX_ROWS = 15
COST_NAMES = {"params": "params", "flops": "FLOPs", "latency": "ms"}


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
    title = f"Ranking{by_metric(summary['metric'])}"
    title += f" ({summary['num_uniform']} uniformly drawn candidates)"
    return Table(title, ("Spearman's rho of", "value", "95% interval"), rows)


def trust_table(records: Records) -> Table:
    """List the architectures of the check before the search, the best on all data first."""
    check = records.trust
    entries = sorted(check.entries, key=lambda e: -(e.full or 0.0)) if check else []
    parameters = varied_parameters(e.architecture for e in entries)
    rows = [
        (
            "/".join(str(e.architecture.get(name, UNKNOWN)) for name in parameters),
            _hundredths(e.proxy),
            _hundredths(e.full),
        )
        for e in entries
    ]
    title = f"Trust check before the search{by_metric(check.metric) if check else ''}"
    return Table(title, ("/".join(parameters), "proxy %", "all data, shortly %"), rows)


def calibration_table(records: Records) -> Table:
    """List the recipes that were tried before the search, the best first."""
    found = records.calibration
    options = found.options if found else ()
    ordered = sorted(options, key=lambda o: (o.rho is None, -(o.rho or 0.0), -o.first_rho))
    rows = [
        (o.name, rho(o.first_rho), rho(o.rho), UNKNOWN if o.p_value is None else f"{o.p_value:.3f}")
        for o in ordered
    ]
    first, total = (found.num_first, found.num_architectures) if found else (0, 0)
    header = ("recipe", f"rho, first {first}", f"rho, all {total}", "p")
    return Table("Recipes before the search", header, rows)


def time_table(summary: dict[str, Any]) -> Table:
    """List the times and the speed-ups."""
    full_is = f" ({summary['full_search_is']})" if summary["full_search_is"] else ""
    rows = [
        ("search", duration(summary["search_seconds"]), times(summary["speedup_search_only"])),
        *_distillation_row(summary),
        *_check_rows(summary),
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


def _distillation_row(summary: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return the row of what the proxy took to make, where it took any time."""
    seconds = summary["distill_seconds"]
    if seconds < LEAST_SECONDS:
        return []
    return [("+ distillation", duration(seconds), times(summary["speedup_with_distillation"]))]


def _check_rows(summary: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return the rows of what came before the search, where it did."""
    named = (("+ choice of recipe", "calibration_seconds"), ("+ trust check", "trust_seconds"))
    return [(name, duration(summary[key]), "") for name, key in named if summary[key] is not None]


def candidate_table(records: Records) -> Table:
    """List the best candidates: by full score where verified, else by score on the proxy.

    A candidate has a row for each score that is shown.
    """
    run = records.run
    shown = shown_metrics(run.metric, run.class_counts)
    parameters = varied_parameters(c.architecture for c in records.candidates)
    trained = by_full_score([v for v in records.verified if v.full_scores])
    best: Sequence[Verified | Candidate] = trained or by_proxy_score(records.candidates)
    names = ["trial", "/".join(parameters), "params", "proxy %"]
    if trained:
        names += ["full %", "test %", "from"]
    if len(shown) > 1:
        names.insert(3, "score")
        names = [name for name in names if name != "from"]  # both do not fit in 80 columns
    rows = [_cells(one, metric, parameters) for one in best[:MAX_ROWS] for metric in shown]
    title = f"Best on the {'full data' if trained else 'proxy'}{by_metric(run.metric)}"
    if len(shown) > 1 and run.class_counts:
        title += f" (majority class {percent(majority_class_rate(run.class_counts))})"
    return Table(title, tuple(names), [tuple(row[name] for name in names) for row in rows])


def front_table(records: Records) -> Table:
    """List the Pareto front, the best score first; it is empty where there was one objective."""
    goal, metric = records.goal, records.run.metric
    front = by_proxy_score([c for c in records.candidates if c.trial in goal.front])
    trained = {v.candidate.trial: v for v in records.verified if v.full_scores}
    parameters = varied_parameters(c.architecture for c in records.candidates)
    names = ["trial", "/".join(parameters), *(COST_NAMES[name] for name in goal.costs), "proxy %"]
    if any(candidate.trial in trained for candidate in front):
        names += ["full %", "test %"]
    rows = []
    for candidate in front[:MAX_ROWS]:
        cells = _cells(trained.get(candidate.trial, candidate), metric, parameters)
        cells |= {COST_NAMES[name]: _cost(name, goal.cost(candidate, name)) for name in goal.costs}
        rows.append(tuple(cells.get(name, UNKNOWN) for name in names))
    left_out = f", {len(front) - MAX_ROWS} more in candidates.json" if front[MAX_ROWS:] else ""
    title = f"Pareto front{by_metric(metric)} ({counted(len(front), 'candidate')}{left_out})"
    return Table(title, tuple(names), rows)


def key_figures(summary: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return (name, value, remark) of what to look at first."""
    best = summary["best"]
    space = f" of {count(summary['space_size'])}" if summary["space_size"] else ""
    regret = summary["top_k_regret"]
    figures = [
        ("rank correlation", rho(summary["spearman_rho"]), interval(summary["spearman_rho_ci"])),
        ("parameter count's", rho(summary["spearman_rho_params"]), "the baseline"),
        *_trust_figure(summary),
        ("speed-up end to end", times(summary["speedup_end_to_end"]), "over full search"),
        (
            "regret",
            UNKNOWN if regret is None else points(regret).replace("percentage ", ""),
            f"trusting its {summary['top_k']} best" if summary["top_k"] else "no sample",
        ),
        ("candidates", count(summary["num_candidates"]), f"architectures{space}"),
        ("verified", count(summary["num_verified"]), "on the full data"),
    ]
    shown = shown_metrics(summary["metric"], summary["class_counts"])
    for name in shown if best is not None else ():
        what = "best, on the test" if len(shown) == 1 else f"best, test {METRIC_NAMES[name]}"
        remark = f"validation {percent(best.get(f'full_{name}'), 2)}, trial {best['trial']}"
        figures.append((what, percent(best.get(f"test_{name}"), 2), remark))
    if len(shown) > 1:
        rate = percent(summary["majority_class_rate"])
        figures.append(("majority class", rate, "of the validation images"))
    needed = summary["break_even_end_to_end_candidates"]
    if needed is not None:
        figures.append(("pays from", count(needed), "candidates on"))
    return figures


def _trust_figure(summary: dict[str, Any]) -> list[tuple[str, str, str]]:
    trust = summary["trust"]
    if trust is None:
        return []
    found = interval(None if trust["spearman_rho_ci"] is None else tuple(trust["spearman_rho_ci"]))
    return [("trust check", rho(trust["spearman_rho"]), found)]


def _cells(one: Verified | Candidate, metric: str, parameters: Sequence[str]) -> dict[str, str]:
    """Return the cells of a candidate and one of its scores by the name of the column."""
    candidate = one.candidate if isinstance(one, Verified) else one
    values = (str(candidate.architecture.get(name, UNKNOWN)) for name in parameters)
    cells = {
        "trial": str(candidate.trial),
        "/".join(parameters): "/".join(values),
        "params": size(candidate.num_params),
        "score": short_name(metric),
        "proxy %": _hundredths(candidate.proxy[metric]),
    }
    if isinstance(one, Verified):
        cells["full %"] = _spread(one.full[metric])
        cells["test %"] = _hundredths(mean_score(one.test[metric]))
        cells["from"] = _from(one)
    return cells


def _cost(name: str, value: float | None) -> str:
    """Render milliseconds, or a number of parameters or FLOPs."""
    if value is None:
        return UNKNOWN
    return f"{value:.3g}" if name == "latency" else size(round(value))


def _spread(scores: Sequence[float]) -> str:
    """Render mean and, over several seeds, standard deviation, in percent."""
    mean = _hundredths(mean_score(scores))
    return mean if len(scores) < 2 else f"{mean} ±{_hundredths(statistics.stdev(scores))}"


def _hundredths(fraction: float | None) -> str:
    return percent(fraction, 2).rstrip("%")


def _from(v: Verified) -> str:
    """Say why a candidate was verified."""
    if len(set(v.selected_by)) > 1:
        return "both"
    return "sample" if "uniform" in v.selected_by else "top"
