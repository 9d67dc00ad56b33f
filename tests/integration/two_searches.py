"""Two `nasproxy search`, each a process, on one study of the embedded digits."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

TRIALS = 10
SEARCH = f"--dataset digits --proxy random --ipc 2 --epochs 1 --trials {TRIALS} --trust 0 --quiet"


def search_twice(storage: str, folder: Path) -> list[list[dict]]:
    """Return the candidates that the two list."""
    outs = [folder / name for name in ("one", "two")]
    searches = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "nasproxy", "search", *SEARCH.split(), "--workers", "1"),
                *("--storage", storage, "--study-name", "searched", "--out", str(out)),
            ],
            stderr=subprocess.PIPE, text=True,
        )
        for out in outs
    ]  # fmt: skip
    try:
        for search in searches:
            _, said = search.communicate(timeout=600)
            assert search.returncode == 0, said
    finally:
        for search in searches:
            search.kill()
            search.communicate()
    return [json.loads((out / "candidates.json").read_text()) for out in outs]


def check_candidates(one: list[dict], two: list[dict]) -> None:
    """Check that both list all trials, the same ones, and no architecture twice."""
    assert one == two
    assert [candidate["trial"] for candidate in one] == list(range(TRIALS))
    assert {candidate["status"] for candidate in one} == {"complete"}
    assert len({json.dumps(candidate["architecture"]) for candidate in one}) == TRIALS
