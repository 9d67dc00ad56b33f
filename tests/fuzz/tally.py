"""Fuzz every loader so many times and write down what was found.

    python tests/fuzz/tally.py --out results/reliability [--count 10000] [TARGET ...]

Each loader gets COUNT damaged artifacts and as many inputs led by coverage (atheris), in processes
of their own, one after another. `fuzz.json` and `fuzz.md` hold inputs, seconds and failures; those
of loaders that are not named stay. The exit code says whether there were none.
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
    words = [sys.executable, str(HERE / "harness.py"), WAYS[way], target, str(count)]
    begun = time.monotonic()
    ended = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)
    text = ended.stdout + ended.stderr
    found: dict[str, Any] = {"inputs": 0, "failures": int(ended.returncode != 0)}
    if told := _TOLD.search(text):
        found["inputs"], found["taken"], found["refused"], found["failures"] = map(
            int, told.groups()
        )
    elif done := _DONE.search(text):
        found["inputs"] = int(done[1])
    if ended.returncode:
        found["said"] = text[-2000:]
    return {**found, "seconds": round(time.monotonic() - begun, 1)}


def write(out: Path, count: int, found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Write the record and the table, earlier ones of other loaders among them."""
    from fuzz_targets import TARGETS

    from nasproxy._environment import versions

    path = out / "fuzz.json"
    known = json.loads(path.read_text())["targets"] if path.exists() else {}
    known |= found
    record = {
        "command": f"python tests/fuzz/tally.py --out results/reliability --count {count}",
        "date": date.today().isoformat(),
        "versions": {**versions(), "atheris": version("atheris")},
        "targets": {name: known[name] for name in TARGETS if name in known},
    }
    path.write_text(json.dumps(record, indent=1) + "\n")
    (out / "fuzz.md").write_text(table(record["targets"]))
    return record


def table(targets: dict[str, dict[str, Any]]) -> str:
    """Return the counts as Markdown, with their sums."""
    lines = [
        "| loader | damaged | taken | refused | failures | s | led by coverage | failures | s |",
        "|---" * 9 + "|",
    ]
    cells = {name: _cells(target) for name, target in targets.items()}
    for name, row in cells.items():
        lines.append(f"| {name} | {' | '.join(f'{value:,}' for value in row)} |")
    sums = [round(sum(column)) for column in zip(*cells.values(), strict=True)]
    lines.append(f"| **all** | {' | '.join(f'{value:,}' for value in sums)} |")
    return "\n".join(lines) + "\n"


def _cells(target: dict[str, Any]) -> list[float]:
    chance, led = target["random"], target["atheris"]
    shown = [chance.get(name, 0) for name in ("inputs", "taken", "refused", "failures", "seconds")]
    return [*shown, led["inputs"], led["failures"], led["seconds"]]


def main() -> int:
    """Fuzz, write after each loader, and say whether all went well."""
    from fuzz_targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], metavar="TARGET")
    parser.add_argument("--out", type=Path, default=Path("results/reliability"))
    parser.add_argument("--count", type=int, default=10_000)
    words = parser.parse_args()
    failures = 0
    for target in words.targets or TARGETS:
        found = {way: fuzz(target, way, words.count) for way in WAYS}
        write(words.out, words.count, {target: found})
        failures += sum(one["failures"] for one in found.values())
        print(target, json.dumps(found), file=sys.stderr, flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
