"""Numbers and architectures as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nasproxy.report.record import Architecture
from nasproxy.report.statistic import Interval
from nasproxy.training.metric import METRIC_NAMES, METRICS

UNKNOWN = "-"


def percent(fraction: float | None, digits: int = 1) -> str:
    """Render a fraction as percent."""
    return UNKNOWN if fraction is None else f"{fraction:.{digits}%}"


def points(fraction: float) -> str:
    """Render a difference of two fractions."""
    return f"{100 * fraction:.2f} percentage points"


def rho(value: float | None) -> str:
    """Render a correlation; one below 1 never reads 1.00."""
    if value is None:
        return UNKNOWN
    return f"{value:.3f}" if 0.995 <= abs(value) < 1 else f"{value:.2f}"


def interval(value: Interval | None) -> str:
    """Render a 95% interval of a correlation."""
    return UNKNOWN if value is None else f"{rho(value[0])} to {rho(value[1])}"


def times(ratio: float | None) -> str:
    """Render a speed-up."""
    if ratio is None:
        return UNKNOWN
    return f"{ratio:.0f}x" if ratio >= 100 else f"{ratio:.2g}x" if ratio < 1 else f"{ratio:.1f}x"


def duration(seconds: float | None) -> str:
    """Render seconds in the two largest units that matter."""
    if seconds is None:
        return UNKNOWN
    if seconds < 1:
        return "0 s" if seconds < 5e-4 else f"{seconds:.2g} s"
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} d {hours} h"


def count(value: int | None) -> str:
    """Render a whole number."""
    return UNKNOWN if value is None else f"{value:,}"


def size(value: int) -> str:
    """Render a large number in three digits: 81.2k, 1.20M."""
    for power, unit in ((1e3, "k"), (1e6, "M"), (1e9, "G")):
        if 1 <= value / power < 999.5:
            return f"{value / power:#.3g}".rstrip(".") + unit
    return f"{value:,}"


def by_metric(metric: str) -> str:
    """Say what was ranked by, unless it is accuracy."""
    return "" if metric == METRICS[0] else f" by {METRIC_NAMES[metric]}"


def counted(value: int, noun: str) -> str:
    """Render a number with its noun: 1 seed, 2 seeds."""
    return f"{value:,} {noun}" if value == 1 else f"{value:,} {noun}s"


def varied_parameters(architectures: Iterable[Architecture]) -> list[str]:
    """Return the parameters in which architectures differ, in their order; all if none do."""
    listed = list(architectures)
    names = list(dict.fromkeys(name for architecture in listed for name in architecture))
    varied = [name for name in names if len({repr(a.get(name)) for a in listed}) > 1]
    return varied or names


def architecture_name(architecture: Architecture, parameters: Sequence[str]) -> str:
    """Name an architecture by some of its parameters."""
    return ", ".join(f"{name} {architecture[name]}" for name in parameters if name in architecture)
