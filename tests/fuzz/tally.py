"""Fuzz every loader so many times and write down what was found.

    python tests/fuzz/tally.py --out results/reliability [--count 10000] [TARGET ...]

Each loader gets COUNT damaged artifacts and then as many inputs led by coverage (atheris), in
processes of their own, one after another. `fuzz.json` and `fuzz.md` hold inputs, seconds, failures
and when they were found; what is not done again stays. The exit code says whether there were none.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "property"))
WAYS = {"random": "--random", "atheris": "--runs"}
_TOLD = re.compile(r": (\d+) inputs, (\d+) taken, (\d+) refused, (\d+) crashed")
_DONE = re.compile(r"^Done (\d+) runs in", re.MULTILINE)


def fuzz(target: str, way: str, count: int) -> dict[str, Any]:
    """Fuzz a loader in one way; an atheris run ends with its first failure."""
    from nasproxy._environment import versions

    words = [sys.executable, str(HERE / "harness.py"), WAYS[way], target, str(count)]
    begun = time.monotonic()
    ended = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)
    text = ended.stdout + ended.stderr
    found: dict[str, Any] = {"inputs": 0, "failures": int(ended.returncode != 0)}
    if told := _TOLD.search(text):
        names = ("inputs", "taken", "refused", "failures")
        found |= dict(zip(names, map(int, told.groups()), strict=True))
    elif done := _DONE.search(text):
        found["inputs"] = int(done[1])
    if ended.returncode:
        found["said"] = text[-2000:]
    return {
        **found,
        "seconds": round(time.monotonic() - begun, 1),
        "date": date.today().isoformat(),
        "versions": {**versions(), "atheris": version("atheris")},
    }


def write(out: Path, target: str, way: str, found: dict[str, Any]) -> None:
    """Write the record and the table, earlier ones of other loaders among them."""
    from fuzz_targets import TARGETS

    path = out / "fuzz.json"
    known = json.loads(path.read_text())["targets"] if path.exists() else {}
    known.setdefault(target, {})[way] = found
    record = {
        "command": "python tests/fuzz/tally.py --out results/reliability",
        "targets": {name: known[name] for name in TARGETS if name in known},
    }
    path.write_text(json.dumps(record, indent=1) + "\n")
    (out / "fuzz.md").write_text(table(record["targets"]))


def table(targets: dict[str, dict[str, Any]]) -> str:
    """Return the counts as Markdown, with their sums; what was not done is left empty."""
    lines = [
        "| loader | damaged | taken | refused | failures | s | led by coverage | failures | s |",
        "|---" * 9 + "|",
    ]
    rows = {name: _cells(target) for name, target in targets.items()}
    rows["**all**"] = [
        sum(cell or 0 for cell in column) for column in zip(*rows.values(), strict=True)
    ]
    for name, row in rows.items():
        cells = ["" if cell is None else f"{cell:,.0f}" for cell in row]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cells(target: dict[str, Any]) -> list[float | None]:
    chance, led = target.get("random", {}), target.get("atheris", {})
    names = ("inputs", "taken", "refused", "failures", "seconds")
    return [*map(chance.get, names), *map(led.get, ("inputs", "failures", "seconds"))]


def main() -> int:
    """Fuzz, write after each loader, and say whether all went well."""
    from fuzz_targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], metavar="TARGET")
    parser.add_argument("--out", type=Path, default=Path("results/reliability"))
    parser.add_argument("--count", type=int, default=10_000)
    words = parser.parse_args()
    failures = 0
    for way in WAYS:
        for target in words.targets or TARGETS:
            found = fuzz(target, way, words.count)
            write(words.out, target, way, found)
            failures += found["failures"]
            print(target, way, json.dumps(found), file=sys.stderr, flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
