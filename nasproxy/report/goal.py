"""What a search was after besides the score: costs to be small, limits to be kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nasproxy.config import COST_FIELDS, LIMITS
from nasproxy.errors import ArtifactError, shown
from nasproxy.report.field import (
    take_count,
    take_list,
    take_number,
    take_object,
    take_optional_count,
    take_optional_object,
)

if TYPE_CHECKING:
    from nasproxy.report.record import Candidate


@dataclass(frozen=True)
class Goal:
    """The costs and limits of a search; by default it had none."""

    costs: tuple[str, ...] = ()
    """Keys of COST_FIELDS."""
    limits: dict[str, float] = field(default_factory=dict)
    """By setting: parameters, FLOPs of an image, milliseconds."""
    num_fitting: int | None = None
    """Architectures that fit the data, within the limits or not."""
    front: frozenset[int] = frozenset()
    """Trials that no other candidate beats, by their scores on the proxy and their costs."""
    latencies: dict[int, float] = field(default_factory=dict)
    """Milliseconds for one image, by trial, where they were measured."""

    def cost(self, candidate: Candidate, name: str) -> float | None:
        """Return one cost of a candidate, None where it is not known."""
        if name == "latency":
            return self.latencies.get(candidate.trial)
        return float(candidate.num_params if name == "params" else candidate.num_flops)


def parse_goal(run: dict[str, Any], candidates: list[dict[str, Any]], where: str) -> Goal:
    """Check what `run.json` and `candidates.json` say of it; older ones say nothing.

    Args:
        run: the content of `run.json`.
        candidates: the content of `candidates.json`, its trials checked.
        where: names the folder in messages.
    """
    search = take_object(take_object(run, "config", where), "search", where)
    costs = tuple(take_list(search, "objectives", where)[1:])
    if any(name not in COST_FIELDS for name in costs):
        raise ArtifactError(
            f"{where}: objectives after the first must be {', '.join(COST_FIELDS)}, got "
            f"{shown(list(costs))}"
        )
    for record in candidates:
        if not isinstance(record.get("pareto", False), bool):
            raise ArtifactError(
                f"{where}: trial {record['trial']}: pareto must be true or false, got "
                f"{shown(record['pareto'])}"
            )
    return Goal(
        costs=costs,
        limits={n: take_number(search, n, where) for n in LIMITS if search.get(n) is not None},
        num_fitting=take_optional_count(
            take_optional_object(run, "space", where), "fitting", where
        ),
        front=frozenset(take_count(r, "trial", where) for r in candidates if r.get("pareto")),
        latencies={
            r["trial"]: take_number(r, "latency_ms", f"{where}: trial {r['trial']}")
            for r in candidates
            if r.get("latency_ms") is not None
        },
    )
