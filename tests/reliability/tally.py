"""What became of injected faults: a row for each kind, and the table of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import struck


@dataclass
class Tally:
    """A kind of fault.

    Attributes:
        fault: in words.
        injected: faults that met a process at work.
        survived: after which the same command, or another driver, found what an undisturbed one
            finds.
        lost: finished results that were gone afterwards.
        repeated: finished results that were made again.
        half_written: files that could not be read under their names.
        orphans: processes that outlived their driver.
        strays: temporary files left behind by a kill in the middle of writing.
        problems: what did not go as it should, in words.
    """

    fault: str
    injected: int = 0
    survived: int = 0
    lost: int = 0
    repeated: int = 0
    half_written: int = 0
    orphans: int = 0
    strays: int = 0
    seconds: float = 0.0
    skipped: str | None = None
    problems: list[str] = field(default_factory=list)

    def look_at(self, folder: Path, before: dict[str, Any]) -> dict[str, Any]:
        """Compare a folder after a fault with the results before; return those that are there."""
        whole = struck.half_written(folder)
        self.half_written += len(whole)
        self.problems += [f"half-written: {name}" for name in whole]
        after = struck.results(folder)
        self.lost += sum(name not in after for name in before)
        self.repeated += sum(after.get(name, made) != made for name, made in before.items())
        return after

    def judge(self, faults: int, found: Any, expected: Any) -> None:
        """Count faults as survived if the result is as expected."""
        self.injected += faults
        if found == expected:
            self.survived += faults
        else:
            self.problems.append(f"other result after {faults} faults")

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        begun = time.monotonic()
        try:
            yield
        finally:
            self.seconds = round(self.seconds + time.monotonic() - begun, 1)

    @property
    def is_good(self) -> bool:
        bad = self.lost + self.repeated + self.half_written + self.orphans + len(self.problems)
        return self.skipped is not None or (self.survived == self.injected > 0 and not bad)


def table(tallies: list[Tally]) -> str:
    """Return the tallies as Markdown, with their sum."""
    names = ("injected", "survived", "lost", "repeated", "half_written", "orphans", "strays")
    heads = ("injected", "survived", "results lost", "evaluated twice", "half-written files",
             "orphans", "temporary files left")  # fmt: skip
    lines = [f"| fault | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for tally in tallies:
        cells = [str(getattr(tally, name)) for name in names]
        if tally.skipped is not None:
            cells = [f"skipped: {tally.skipped}", *[""] * (len(names) - 1)]
        lines.append(f"| {tally.fault} | {' | '.join(cells)} |")
    sums = [str(sum(getattr(tally, name) for tally in tallies)) for name in names]
    lines.append(f"| **all** | {' | '.join(sums)} |")
    return "\n".join(lines) + "\n"


def as_records(tallies: list[Tally]) -> list[dict[str, Any]]:
    return [asdict(tally) for tally in tallies]
