"""What a contestant costs, with and without what had to be made first."""

from __future__ import annotations

import math

import numpy as np

from nasproxy.compare.record import Comparison, Contestant
from nasproxy.config import Config

EQUAL_COST = 1.25
"""Totals up to this ratio count as equal."""
NUM_VERIFIED = 5
"""Favourites that a search trains in full at its end."""


class Cost(Config):
    """Seconds of one draw: of the processor on a CPU, on the wall on a GPU."""

    seconds_per_candidate: float
    setup_seconds: float
    num_setups: int
    """Different things that were made first for all draws, such as distilled proxies."""
    total_seconds: float
    """Of ranking the candidates that were compared, with setup."""
    total_seconds_without_setup: float
    space_seconds: float
    """Of ranking the whole space, with setup."""
    space_seconds_without_setup: float
    speedup: float | None
    """Over one full training of each candidate compared, with setup."""
    speedup_without_setup: float | None
    speedup_end_to_end: float | None
    """The same with the full training of the best `NUM_VERIFIED` counted in."""
    space_speedup: float | None
    space_speedup_end_to_end: float | None
    break_even_full: int | None
    """Candidates from which setup has paid for itself against full training; None: never."""


def measure_cost(comparison: Comparison, contestant: Contestant, num_candidates: int) -> Cost:
    """Work out the cost of one draw, the mean over the draws.

    Args:
        comparison: for the size of the space and the cost of full training.
        contestant: whose cost it is.
        num_candidates: that a search would rank.
    """
    draws = contestant.replicates
    each = float(np.mean([draw.seconds for draw in draws]))
    setup = math.fsum(draw.setup_seconds for draw in draws) / len(draws)
    full = full_seconds(comparison)
    verified = NUM_VERIFIED * full
    space, total = comparison.space_size * each, num_candidates * each
    return Cost(
        seconds_per_candidate=each,
        setup_seconds=setup,
        # draws `draw 0, seed 0` and `draw 0, seed 1` train on the same images
        num_setups=len({draw.name.partition(", seed")[0] for draw in draws}),
        total_seconds=setup + total,
        total_seconds_without_setup=total,
        space_seconds=setup + space,
        space_seconds_without_setup=space,
        speedup=_ratio(num_candidates * full, setup + total),
        speedup_without_setup=_ratio(num_candidates * full, total),
        speedup_end_to_end=_ratio(num_candidates * full, setup + total + verified),
        space_speedup=_ratio(comparison.space_size * full, setup + space),
        space_speedup_end_to_end=_ratio(comparison.space_size * full, setup + space + verified),
        break_even_full=break_even(setup, full - each),
    )


def full_seconds(comparison: Comparison) -> float:
    """Return the mean seconds of one training on the full data; 0 where none were recorded."""
    seconds = [value for one in comparison.truth for value in one.seconds]
    return math.fsum(seconds) / len(seconds) if seconds else 0.0


def total_of(cost: Cost, num_draws: int) -> float:
    """Return the seconds of ranking the candidates by the average of so many draws."""
    setups = min(num_draws, cost.num_setups)
    return setups * cost.setup_seconds + num_draws * cost.total_seconds_without_setup


def break_even(outlay: float, gain: float) -> int | None:
    """Return from how many candidates on an outlay has paid, None for never.

    Args:
        outlay: seconds more before the first candidate.
        gain: seconds less at each.
    """
    if outlay <= 0:
        return 0 if gain >= 0 else None
    return math.ceil(outlay / gain) if gain > 0 else None


def _ratio(more: float, less: float) -> float | None:
    return more / less if more > 0 and less > 0 else None
