"""Disks that fill up, or cannot be written any more, in the middle of a search."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import struck
from strikes import Ground
from tally import Tally

SCRIPT = Path(__file__).with_name("small_disk.sh")
CANNOT_MOUNT = 77


def fill_disk(ground: Ground, tally: Tally, count: int) -> None:
    """Give a search less space than it needs, and then enough."""
    chance = random.Random(5)
    for _ in range(3 * count):
        if tally.injected < count and tally.skipped is None:
            _search_on_disk(ground, tally, "full", f"{chance.randint(40, 150)}k", 0.0)


def lock_disk(ground: Ground, tally: Tally, count: int) -> None:
    """Make the disk of a search that was killed read-only, and then writable again."""
    chance = random.Random(6)
    for _ in range(3 * count):
        if tally.injected < count and tally.skipped is None:
            _search_on_disk(ground, tally, "read-only", "40m", chance.uniform(0.0, 1.0))


def _search_on_disk(ground: Ground, tally: Tally, kind: str, size: str, pause: float) -> None:
    """Run `small_disk.sh`: it mounts the disk in a namespace of its own, which needs root."""
    place = Path(tempfile.mkdtemp(dir=ground.folder))
    (place / "disk").mkdir()
    words = ground.words("search", place / "disk", 1)
    script = ["unshare", "--mount", "sh", str(SCRIPT), kind, str(place), size, f"{pause:.2f}"]
    command = [*script, sys.executable, "-m", "nasproxy", *words]
    if (
        shutil.which("unshare") is None
        or (done := subprocess.run(command, capture_output=True, text=True, check=False)).returncode
        == CANNOT_MOUNT
    ):
        tally.skipped = "a small disk cannot be mounted here (needs root)"
        return
    code, said = (place / "code").read_text().strip(), (place / "said").read_text()
    if code == "0":  # there was room enough, or it was over before
        return
    if code != "2" or said.count("\n") != 1:
        tally.problems.append(f"{kind} disk: ended with {code}: {said[-300:]}")
    if done.returncode != 0:
        again = (place / "said-again").read_text()
        tally.problems.append(f"{kind} disk: did not go on: {again[-300:]}")
    tally.look_at(place / "copy", {})
    tally.strays += struck.strays(place / "copy")
    tally.judge(1, struck.outcome(place / "copy"), ground.expected["search"])
