"""Fuzz one loader with atheris, led by what its code does: `make fuzz`, never in CI.

    python tests/fuzz/harness.py TARGET SECONDS
    python tests/fuzz/harness.py --runs TARGET COUNT
    python tests/fuzz/harness.py --random TARGET COUNT

The second form ends after COUNT inputs. The third needs no atheris: it damages the valid artifact
COUNT times, as the tests do, and says how many were taken and refused. A crash is written to
`tests/fuzz/corpus/TARGET/`, from where the fast tests load it for ever; an input that takes more
than two seconds counts as one.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
import warnings
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "property"))
MAX_SECONDS = 2
MAX_MEBIBYTES = 500


def keep(name: str, content: bytes) -> Path:
    """Write what crashed where the tests find it."""
    import hashlib

    path = HERE / "corpus" / name / hashlib.sha256(content).hexdigest()[:16]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def fuzz_randomly(name: str, count: int, folder: Path) -> int:
    """Load `count` damaged artifacts; return how many crashed."""
    from fuzz_targets import TARGETS, Range, damage

    ground = Range(TARGETS[name], folder)
    taken = crashed = 0
    slowest = 0.0
    for seed in range(count):
        content = damage(ground.target, ground.content, random.Random(seed))
        start = time.process_time()
        try:
            taken += ground.try_content(content)
        except Exception as error:
            crashed += 1
            print(f"{name}: {type(error).__name__}: {error}"[:300], keep(name, content), flush=True)
        slowest = max(slowest, time.process_time() - start)
        if slowest > MAX_SECONDS:
            print(f"{name}: {slowest:.1f} s", keep(name, content), flush=True)
            slowest = 0.0
    refused = count - taken - crashed
    print(f"{name}: {count} inputs, {taken} taken, {refused} refused, {crashed} crashed")
    return crashed


def fuzz_led_by_coverage(name: str, limits: list[str], folder: Path) -> None:
    """Let atheris change the valid artifact and what crashed before; it ends the process."""
    import atheris

    with atheris.instrument_imports(include=["nasproxy", "json", "tomllib", "zipfile", "csv"]):
        from fuzz_targets import TARGETS, Range
    ground = Range(TARGETS[name], folder)
    seeds = folder.parent / "seeds"
    seeds.mkdir()
    (seeds / "valid").write_bytes(ground.content)
    known = HERE / "corpus" / name
    known.mkdir(parents=True, exist_ok=True)
    limits += ["-rss_limit_mb=4096"]
    limits += [f"-malloc_limit_mb={MAX_MEBIBYTES}", f"-artifact_prefix={known}/", "-max_len=65536"]

    def shoot(content: bytes) -> None:
        ground.try_content(content)

    atheris.Setup([sys.argv[0], *limits, str(seeds), str(known)], shoot)
    atheris.Fuzz()


def main() -> int:
    """Run a loader's fuzzing in a folder that goes away."""
    way = sys.argv[1] if sys.argv[1:2] in (["--random"], ["--runs"]) else ""
    words = sys.argv[2:] if way else sys.argv[1:]
    if len(words) != 2 or not words[1].isdecimal():
        print(__doc__)
        return 2
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        os.environ["NASPROXY_CACHE"] = str(Path(name) / "cache")
        folder = Path(name) / "artifact"
        folder.mkdir()
        if way == "--random":
            return 1 if fuzz_randomly(words[0], int(words[1]), folder) else 0
        limits = [f"-max_total_time={words[1]}", f"-timeout={MAX_SECONDS}"]
        if way == "--runs":  # counted, beside other programs that may slow it down
            limits = [f"-runs={words[1]}", f"-timeout={10 * MAX_SECONDS}", "-seed=1"]
        fuzz_led_by_coverage(words[0], limits, folder)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
