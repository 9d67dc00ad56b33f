"""What the measurements of a driver come to: the table and the picture of docs/scale.md."""

from __future__ import annotations

import itertools
import math
import statistics
from typing import Any

SIZES = (100, 1000, 10_000, 100_000)
TWICE = 2.0


def name_of(row: dict[str, Any]) -> str:
    return "{storage}-{sampler}-{workers}".format(**row)


def milliseconds(record: dict[str, Any]) -> float:
    """Return the mean processor milliseconds of a trial: rare costs are part of it."""
    return 1000 * statistics.fmean(record["trial_cpu_seconds"])


def groups(records: list[dict[str, Any]]) -> dict[str, dict[int, dict[str, Any]]]:
    """Return the records of each row by the number of trials."""
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for record in records:
        found.setdefault(name_of(record), {})[record["trials"]] = record
    return found


def twice_as_slow(by_size: dict[int, dict[str, Any]]) -> float | None:
    """Return from how many trials on each takes twice what it does at first, by a line between.

    Both axes of the line are logarithms; None where it is not reached.
    """
    sizes = sorted(by_size)
    limit = TWICE * milliseconds(by_size[sizes[0]])
    for low, high in itertools.pairwise(sizes):
        before, after = milliseconds(by_size[low]), milliseconds(by_size[high])
        if after > limit >= before:
            share = math.log(limit / before) / math.log(after / before)
            return math.exp(math.log(low) + share * math.log(high / low))
    return None


def whole_seconds(by_size: dict[int, dict[str, Any]]) -> float:
    """Return the processor seconds of a search of the largest size: its trials, one by one.

    Between two sizes a trial's time is taken to grow as a power of the number of trials.
    """
    sizes = sorted(by_size)
    total = sizes[0] * milliseconds(by_size[sizes[0]]) / 1000
    for low, high in itertools.pairwise(sizes):
        a, b = (milliseconds(by_size[size]) / 1000 for size in (low, high))
        power = math.log(b / a) / math.log(high / low)
        whole = (
            a * low * ((high / low) ** (power + 1) - 1) / (power + 1) if power != -1 else a * low
        )
        total += whole
    return total


def bytes_per_trial(by_size: dict[int, dict[str, Any]]) -> float:
    """Return how much a trial takes of the driver's memory, from the smallest to the largest.

    Of a single size it is the memory over that of the driver before it opened the study.
    """
    low, high = min(by_size), max(by_size)
    if low == high:
        one = by_size[high]
        grown = one["resident_bytes"] - one.get("resident_bytes_before", one["resident_bytes"])
        return float(grown / max(1, one["trials_in_study"]))
    grown = by_size[high]["resident_bytes"] - by_size[low]["resident_bytes"]
    return grown / max(1, by_size[high]["trials_in_study"] - by_size[low]["trials_in_study"])


def table(records: list[dict[str, Any]]) -> str:
    """Return the table of docs/scale.md."""
    head = " | ".join(f"{size:,}" for size in SIZES)
    lines = [
        f"| storage, sampler, workers | {head} | twice as slow from | a whole search | "
        "KiB a trial | to open |",
        "|---" * (len(SIZES) + 5) + "|",
    ]
    for name, by_size in groups(records).items():
        storage, sampler, workers = name.split("-")
        cells = [_cell(by_size.get(size)) for size in SIZES]
        slow = twice_as_slow(by_size)
        largest = by_size[max(by_size)]
        lines.append(
            f"| {storage}, {sampler}, {int(workers):,} | {' | '.join(cells)} | "
            f"{'-' if slow is None else f'{_round(slow):,} trials'} | "
            f"{max(by_size):,} trials: {whole_seconds(by_size):,.0f} s | "
            f"{bytes_per_trial(by_size) / 1024:.1f} | {largest['opening_cpu_seconds']:.0f} s |"
        )
    return "\n".join(lines) + "\n"


def _cell(record: dict[str, Any] | None) -> str:
    if record is None:
        return ""
    value = milliseconds(record)
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _round(value: float) -> int:
    digits = 10 ** (int(math.log10(value)) - 1)
    return round(value / digits) * digits


COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's, which the colour-blind tell apart."""
WIDTH, HEIGHT, LEFT, BOTTOM, RIGHT, TOP = 720, 400, 60, 350, 480, 20
DECADES_X, DECADES_Y = (2, 5), (1, 5)


def _x(trials: float) -> float:
    low, high = DECADES_X
    return LEFT + (RIGHT - LEFT) * (math.log10(trials) - low) / (high - low)


def _y(value: float) -> float:
    low, high = DECADES_Y
    return BOTTOM - (BOTTOM - TOP) * (math.log10(max(value, 10**low)) - low) / (high - low)


def picture(records: list[dict[str, Any]]) -> str:
    """Draw milliseconds a trial over the number of trials, both by powers of ten, as SVG."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        "<title>Driver milliseconds a trial by the number of trials</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        *_grid(),
    ]
    for index, (name, by_size) in enumerate(groups(records).items()):
        color = COLORS[index % len(COLORS)]
        places = [(_x(size), _y(milliseconds(by_size[size]))) for size in sorted(by_size)]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        parts.append(f'<path d="M{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in places]
        at = TOP + 10 + 20 * index
        parts.append(
            f'<path d="M{RIGHT + 15} {at}h25" stroke="{color}" stroke-width="2"/>'
            f'<text x="{RIGHT + 46}" y="{at + 4}">{name.replace("-", ", ")}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _grid() -> list[str]:
    parts = []
    for power in range(DECADES_X[0], DECADES_X[1] + 1):
        at = _x(10**power)
        parts.append(f'<path d="M{at:.0f} {TOP}V{BOTTOM}" stroke="#ddd"/>')
        label = f'<text x="{at:.0f}" y="{BOTTOM + 18}" text-anchor="middle">{10**power:,}</text>'
        parts.append(label)
    for power in range(DECADES_Y[0], DECADES_Y[1] + 1):
        at = _y(10**power)
        parts.append(f'<path d="M{LEFT} {at:.0f}H{RIGHT}" stroke="#ddd"/>')
        label = f'<text x="{LEFT - 6}" y="{at + 4:.0f}" text-anchor="end">{10**power:,}</text>'
        parts.append(label)
    across, down = (LEFT + RIGHT) // 2, (TOP + BOTTOM) // 2
    return [
        *parts,
        f'<text x="{across}" y="{HEIGHT - 8}" text-anchor="middle">trials</text>',
        f'<text x="14" y="{down}" text-anchor="middle" transform="rotate(-90 14 {down})">'
        "driver milliseconds a trial</text>",
    ]
