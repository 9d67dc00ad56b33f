"""Which candidates are worth, or needed, on the full data."""

from __future__ import annotations

from typing import Any

import torch

from nasproxy._random import named_generator
from nasproxy.errors import ArtifactError, ConfigError, shown

Candidate = dict[str, Any]


def check_candidates(candidates: list[Candidate], where: str) -> None:
    """Refuse records that could not be sorted or trained.

    Raises:
        ArtifactError: naming the entry and its field.
    """
    for index, candidate in enumerate(candidates):
        kinds = {"trial": int, "num_params": int, "status": str, "architecture": dict}
        wrong = [name for name, kind in kinds.items() if type(candidate[name]) is not kind]
        known = "proxy_score" if "proxy_score" in candidate else "proxy_accuracy"
        is_number = isinstance(candidate[known], int | float)
        if candidate["status"] == "complete" and not (is_number and 0 <= candidate[known] <= 1):
            wrong.append(known)
        if type(candidate.get("pareto", False)) is not bool:
            wrong.append("pareto")
        if wrong:
            raise ArtifactError(
                f"{where}: entry {index}: {wrong[0]} cannot be {shown(candidate[wrong[0]])}; "
                "restore the file, or search again"
            )


def select_top(candidates: list[Candidate], count: int) -> list[Candidate]:
    """Return the best candidates by the search's metric; of equals, the smaller network first.

    Where a search had several objectives, those on its Pareto front come before all others.
    """
    scored = [c for c in candidates if c["status"] == "complete"]
    scored.sort(
        key=lambda c: (not c.get("pareto", False), -proxy_score(c), c["num_params"], c["trial"])
    )
    return scored[:count]


def proxy_score(candidate: Candidate) -> float:
    """Return the metric's value in [0, 1] on the proxy; older searches knew accuracy alone."""
    known = "proxy_score" if "proxy_score" in candidate else "proxy_accuracy"
    return float(candidate[known])


def select_uniform(
    candidates: list[Candidate], count: int, seed: int, *, covers_space: bool, at_most: bool = False
) -> list[Candidate]:
    """Return a uniform sample of the space among the candidates.

    Candidates that a learning sampler proposed lean towards good ones, and a correlation over
    them says nothing of the space: only those drawn uniformly count, unless every architecture
    of the space was a candidate.

    Raises:
        ConfigError: unless `at_most`, fewer were drawn uniformly than are wanted.
    """
    drawn = [
        c
        for c in candidates
        if c["status"] == "complete" and (covers_space or c["origin"] == "uniform")
    ]
    if len(drawn) < count and not at_most:
        raise ConfigError(
            f"{count} uniformly drawn candidates are wanted, {len(drawn)} are there: use "
            f"--uniform {len(drawn)}, or search again with more trials or --sampler random"
        )
    generator = named_generator(seed, "verify", "uniform")
    chosen = torch.randperm(len(drawn), generator=generator)[:count].tolist()
    return [drawn[index] for index in sorted(chosen)]
