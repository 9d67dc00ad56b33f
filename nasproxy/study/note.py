"""How the numbers of a study were got and what to mind; its pages share the words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nasproxy.study.plan import FULL

CONVERGENCE = (
    "Converged: the first epoch at which the mean accuracy on validation images is within a point "
    "of that after the last epoch."
)
NOT_COMPARED = "Seconds of different machines or versions of torch do not compare."


def network_notes(summary: dict[str, Any]) -> list[str]:
    """List what to mind with the networks trained on each kind of data."""
    rows = summary["networks"]
    if not rows:
        return []
    notes = [
        "n trainings a row, mean and standard deviation; seconds are of one training, "
        f"multiply-adds of one image. {CONVERGENCE}"
    ]
    if len({machine(row["versions"]) for row in rows}) > 1:
        notes.append(f"Not all rows were made on one machine (see the end). {NOT_COMPARED}")
    if rate := rows[0].get("majority_class_rate"):
        notes.append(f"The largest class makes up {rate:.1%} of the test images.")
    return notes


def search_notes(summary: dict[str, Any]) -> list[str]:
    """List what to mind with the searches."""
    notes = timing_notes(summary)
    ceilings = [row["noise_ceiling"] for row in summary["searches"] if row.get("noise_ceiling")]
    if ceilings:
        notes.append(
            f"Noise ceiling of the searches (full data, seed against seed): {ceilings[0]:.2f}. "
            "The study's way: candidates scored on their own training images with one seed, kept "
            "as a contrast; it says nothing about unseen images."
        )
    return notes


def timing_notes(summary: dict[str, Any]) -> list[str]:
    """Say why speed-ups are left out: times were taken elsewhere than on full data."""
    rows = summary["searches"]
    full = next((row for row in rows if row["data"] == FULL), None)
    if full is None:
        return []
    here = machine(full["versions"])
    machines = {row["data"]: machine(row["versions"]) for row in rows}
    searched = _elsewhere(machines, here)
    distilled = _elsewhere({row["data"]: row.get("distilled_on") for row in rows}, here)
    notes = []
    if searched:
        notes.append(
            f"No speed-up where machine or torch differ: full data was searched on {here}; "
            f"{searched}. {NOT_COMPARED}"
        )
    if distilled:
        notes.append(
            "No speed-up with distilling where that was timed elsewhere than the search on full "
            f"data: {distilled}."
        )
    return notes


def made_with(summary: dict[str, Any]) -> list[str]:
    """List the versions and machines that rows were made with."""
    rows = [*summary["networks"], *summary["searches"]]
    return sorted({", ".join(f"{k} {v}" for k, v in row["versions"].items()) for row in rows})


def machine(versions: Mapping[str, str]) -> str:
    """Name what seconds depend on: the hardware and torch."""
    torch = f"torch {versions.get('torch') or 'of unknown version'}"
    return f"{versions.get('hardware') or 'unknown hardware'}, {torch}"


def _elsewhere(machines: Mapping[str, str | None], here: str) -> str:
    """Word what was made elsewhere, and where: `pad and random on A; datadam-real on B`."""
    places: dict[str, list[str]] = {}
    for name, place in machines.items():
        if place not in (None, here):
            places.setdefault(str(place), []).append(name)
    return "; ".join(f"{_listed(names)} on {place}" for place, names in places.items())


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
