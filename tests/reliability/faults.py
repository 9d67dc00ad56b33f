"""Inject faults and count what is lost: nothing should be.

    python tests/reliability/faults.py --out results/reliability [--only NAME] [--times 0.2]

Each kind of fault strikes nasproxy at seeded random moments; then the same command is given again,
or another driver goes on, and has to find what an undisturbed one finds. `reliability.json` and
`.md` hold the counts. All is on the embedded digits with tiny settings; commands are forks of this
process, so that start-up takes no time and most faults meet work; their workers, and drivers of
shared studies, are processes that start anew. `--times` scales how often each kind is injected. The
exit code says whether all went well.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import warnings
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from strikes import Ground, interrupt, kill_drivers, kill_workers, share_a_folder
from tally import Tally, as_records, table


def _misbehave(ground: Ground, tally: Tally, count: int) -> None:
    from misbehaviour import misbehave

    misbehave(ground, tally, count)


def _drivers(name: str) -> Callable[[Ground, Tally, int], None]:
    def strike(ground: Ground, tally: Tally, count: int) -> None:
        import drivers

        getattr(drivers, name)(ground, tally, count)

    return strike


def _disks(name: str) -> Callable[[Ground, Tally, int], None]:
    def strike(ground: Ground, tally: Tally, count: int) -> None:
        import disks

        getattr(disks, name)(ground, tally, count)

    return strike


KINDS: dict[str, tuple[str, Callable[[Ground, Tally, int], None], int]] = {
    "kill": ("SIGKILL of distill, search, verify", kill_drivers, 50),
    "interrupt": ("SIGINT and SIGTERM of the same", interrupt, 20),
    "worker": ("SIGKILL of a worker of search or verify", kill_workers, 10),
    "folder": ("two processes on one --out", share_a_folder, 6),
    "candidate": (
        "candidates that raise, are NaN, allocate, hang, leave or kill themselves", _misbehave, 18,
    ),
    "full": ("a full disk in a search", _disks("fill_disk"), 6),
    "read-only": ("a disk that is read-only when a killed search goes on", _disks("lock_disk"), 4),
    "driver": ("SIGKILL of one of two drivers", _drivers("kill_shared_drivers"), 6),
    "database": ("PostgreSQL gone and back under 4 drivers", _drivers("take_database_away"), 4),
    "clock": ("wall clocks moved by up to a day", _drivers("move_clocks"), 20),
}  # fmt: skip


def inject(names: list[str], times: float) -> dict[str, Tally]:
    """Inject the kinds of faults in a folder that goes away."""
    import nasproxy.cli.app  # what commands import is here before they are forked
    import nasproxy.search.session
    import nasproxy.verify.session  # noqa: F401
    from nasproxy.distill import session

    session.CHECKPOINT_SECONDS = 0.2  # else there would be nothing to go on from
    with tempfile.TemporaryDirectory(prefix="nasproxy-faults-") as name:
        ground = Ground(Path(name))
        tallies = {}
        for kind in names:
            words, strike, count = KINDS[kind]
            tally = tallies[kind] = Tally(words)
            with tally.timed():
                strike(ground, tally, max(1, round(times * count)))
            print(json.dumps(as_records([tally])[0]), file=sys.stderr, flush=True)
    return tallies


def write(out: Path, tallies: dict[str, Tally]) -> list[Tally]:
    """Write the records and the table, earlier ones of other kinds among them."""
    from nasproxy._environment import versions

    path = out / "reliability.json"
    known = json.loads(path.read_text())["faults"] if path.exists() else {}
    known |= {kind: as_records([tally])[0] for kind, tally in tallies.items()}
    ordered = {kind: Tally(**known[kind]) for kind in KINDS if kind in known}
    out.mkdir(parents=True, exist_ok=True)
    record: dict[str, Any] = {
        "command": "python tests/reliability/faults.py --out results/reliability",
        "date": date.today().isoformat(),
        "versions": versions(),
        "system": platform.platform(),
        "load_average": os.getloadavg()[0],
        "faults": {kind: as_records([tally])[0] for kind, tally in ordered.items()},
    }
    path.write_text(json.dumps(record, indent=1) + "\n")
    (out / "reliability.md").write_text(table(list(ordered.values())))
    return list(ordered.values())


def main() -> int:
    """Inject, write, and say whether all went well."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results/reliability"))
    parser.add_argument("--only", action="append", choices=KINDS, default=[])
    parser.add_argument("--times", type=float, default=1.0)
    words = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    warnings.simplefilter("ignore")
    tallies = inject(words.only or list(KINDS), words.times)
    print(table(write(words.out, tallies)))
    return 0 if all(tally.is_good for tally in tallies.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
