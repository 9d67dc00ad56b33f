"""Numbers of a comparison as people read them."""

from __future__ import annotations

from nasproxy.compare.cost import Cost
from nasproxy.compare.pairing import Pairing
from nasproxy.compare.resample import Estimate
from nasproxy.compare.role import BASELINE_NAMES, Role
from nasproxy.report.wording import UNKNOWN, duration, interval, rho, times


def found(estimate: Estimate) -> str:
    """Render a rank correlation in a sentence."""
    return f"rank correlation {rho(estimate.value)} (95% interval {interval(estimate.interval)})"


def signed(value: float | None, digits: int = 2) -> str:
    """Render a difference with its sign."""
    return UNKNOWN if value is None else f"{value:+.{digits}f}"


def p_text(value: float) -> str:
    """Render a p-value."""
    return f"p = {value:.3f}" if value >= 0.0095 else f"p = {value:.2g}"


def difference(pairing: Pairing) -> str:
    """Render a difference of two correlations with what is known of it."""
    low, high = pairing.difference.interval or (0.0, 0.0)
    p = pairing.p_value if pairing.holm_p is None else pairing.holm_p
    corrected = "" if pairing.holm_p is None else ", Holm"
    return (
        f"difference {signed(pairing.difference.value, 3)}, 95% interval {signed(low, 3)} to "
        f"{signed(high, 3)}, {p_text(p)}{corrected}"
    )


def draws(number: int) -> str:
    """Say that several draws were averaged."""
    return "" if number == 1 else f" (average of {number} draws)"


def cost_clause(cost: Cost) -> str:
    """Render what a contestant costs in a sentence."""
    setup = f" after {duration(cost.setup_seconds)} of setup" if cost.setup_seconds >= 0.1 else ""
    return f"{duration(cost.seconds_per_candidate)} a candidate{setup}"


def cost_ratio(pairing: Pairing) -> str:
    """Say how the costs of a pair relate."""
    if pairing.cost_ratio is None:
        return "at unknown cost"
    if pairing.is_equal_cost:
        return "at equal cost"
    if pairing.cost_ratio < 1e-3:
        return "at next to no cost"
    return f"at {times(pairing.cost_ratio)} its cost"


def pair_clause(pairing: Pairing, role: Role) -> str:
    """Say how a contestant does against a baseline."""
    words = {
        "better": "it is significantly better than",
        "worse": "it is significantly worse than",
        "level": "it cannot be told from",
    }
    number = "" if pairing.their_draws == 1 else f", average of {pairing.their_draws} draws"
    return (
        f"{words[pairing.outcome]} {BASELINE_NAMES.get(role, pairing.theirs)} "
        f"{cost_ratio(pairing)} ({pairing.theirs}{number}: {rho(pairing.their_rho)}; "
        f"{difference(pairing)})"
    )
