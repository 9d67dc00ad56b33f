"""What the rows of a study say together."""

from __future__ import annotations

from typing import Any

from nasproxy.report.cost import LEAST_SECONDS
from nasproxy.report.statistic import bootstrap_interval, noise_ceiling, spearman
from nasproxy.study.note import machine
from nasproxy.study.plan import FULL, StudyConfig, plan
from nasproxy.study.reported import reported

CONVERGED = 0.01
"""Distance in accuracy from the last epoch's within which a training has converged."""


def summarize(
    config: StudyConfig, finished: dict[str, dict[str, Any]], proxies: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Gather the rows, in the order of the plan; a row that was not run is not there.

    Args:
        config: of the study.
        finished: results by the name of the row.
        proxies: what was trained on, by name.
    """
    rows = [row for row in plan(config) if row.name in finished]
    full_search = finished.get(f"{FULL}/search")
    networks, searches = [], []
    for row in rows:
        result = finished[row.name]
        common = {
            "row": row.name,
            "data": row.data,
            "kind": row.kind,
            **_distillation(row.data, proxies),
            "reported": reported(config.data.dataset, row),
            "versions": result["versions"],
            "command": result["command"],
        }
        if row.kind == "search":
            judged = {**common, **_judge_search(result, full_search)}
            searches.append(judged | _with_distilling(judged))
        else:
            networks.append({**common, "model": row.model, "width": row.width, **_scores(result)})
    return {
        "dataset": config.data.dataset,
        "image_size": config.data.image_size,
        "ipc": config.ipc,
        "proxies": proxies,
        "networks": networks,
        "searches": searches,
        "missing": [row.name for row in plan(config) if row.name not in finished],
    }


def _distillation(data: str, proxies: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return what making a proxy cost, and on which machine: None where that does not matter."""
    if data == FULL:
        return {"distill_seconds": 0.0, "distilled_on": None}
    facts = proxies.get(data, {})
    seconds = facts.get("seconds", 0.0)
    made_on = machine({"hardware": facts.get("made_on", ""), "torch": facts.get("torch", "")})
    free = bool(facts) and seconds < LEAST_SECONDS
    return {"distill_seconds": seconds, "distilled_on": None if free else made_on}


def _scores(result: dict[str, Any]) -> dict[str, Any]:
    names = (
        "accuracy_mean", "accuracy_std", "balanced_accuracy_mean", "balanced_accuracy_std",
        "auc_mean", "auc_std", "majority_class_rate", "test_class_counts", "seconds_mean",
        "num_seeds", "num_params", "multiply_adds",
    )  # fmt: skip
    curves = [run["curve"] for run in result["runs"] if run.get("curve")]
    return {
        **{name: result[name] for name in names if name in result},
        "epochs": result["recipe"]["epochs"],
        "curves": curves,
        "converged_epochs": converged_epochs(curves),
    }


def converged_epochs(curves: list[list[float]]) -> int | None:
    """Return the first epoch, from 1, at which the mean curve is within a point of its last.

    Args:
        curves: validation accuracy in [0, 1] after each epoch, one a training; none: None is
            returned.
    """
    if not curves:
        return None
    means = [_mean(list(values)) for values in zip(*curves, strict=True)]
    return 1 + next(i for i, value in enumerate(means) if abs(value - means[-1]) <= CONVERGED)


def _judge_search(result: dict[str, Any], full: dict[str, Any] | None) -> dict[str, Any]:
    """Compare a search with the one on full data, on validation and in the study's own way.

    Their seconds are compared only where both were taken on one machine with one torch.
    """
    networks = result["networks"]
    means = [_mean(network["validation"]) for network in networks]
    best = max(range(len(networks)), key=lambda index: means[index])
    own = [network["own"][0] for network in networks]
    judged: dict[str, Any] = {
        "num_networks": len(networks),
        "num_seeds": result["num_seeds"],
        "epochs": result["recipe"]["epochs"],
        "seconds": result["seconds"],
        "seconds_per_seed": result["seconds"] / result["num_seeds"],
        "best": networks[best]["architecture"],
        "best_by_own_images": networks[own.index(max(own))]["architecture"],
        "validation_of_best": means[best],
    }
    if full is None:
        return judged
    truth = [network["validation"] for network in full["networks"]]
    true_means = [_mean(values) for values in truth]
    true_own = [network["own"][0] for network in full["networks"]]
    speedup = full["seconds"] / full["num_seeds"] / judged["seconds_per_seed"]
    alike = machine(result["versions"]) == machine(full["versions"])
    judged |= {
        "noise_ceiling": noise_ceiling(truth),
        "speedup": speedup if alike else None,
        "regret": max(true_means) - true_means[best],
        "same_best_by_own_images": own.index(max(own)) == true_own.index(max(true_own)),
    }
    if full is not result:
        judged["spearman_rho"] = spearman(means, true_means)
        judged["spearman_rho_ci"] = bootstrap_interval(means, truth)
        judged["own_images_spearman_rho"] = spearman(own, true_own)
    return judged


def _with_distilling(row: dict[str, Any]) -> dict[str, Any]:
    """Return the speed-up that is left once distilling counts, None where times do not compare."""
    if row.get("speedup") is None:
        return {}
    if row["distilled_on"] not in (None, machine(row["versions"])):
        return {"speedup_with_distilling": None}
    share = row["seconds_per_seed"] / (row["seconds_per_seed"] + row["distill_seconds"])
    return {"speedup_with_distilling": row["speedup"] * share}


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
