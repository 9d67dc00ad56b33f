"""What a driver does for each trial, as trials and workers grow: no network is trained.

    python tests/scale/simulate.py one --storage own --sampler random --workers 1000 --trials 100000
    python tests/scale/simulate.py all --out results/scale
    python tests/scale/simulate.py show results/scale

`one` measures the driver of a study that has `--trials` finished trials already, over some more;
`all` takes each row of ROWS at each size, in a process of its own; `show` writes the table and the
picture of docs/scale.md. The driver is the search's own, from the proposal to `candidates.json`;
only the workers are not there: a training takes seconds of a clock that costs nothing. The earlier
trials are copies of one that the same driver finished (`prefill.py`). Counted are the processor's
seconds of the driver, since disks and other programs make wall seconds differ; those of a database
server are not among them. SCALE_FOLDER names a folder for the storages.
"""

from __future__ import annotations

import argparse
import contextlib
import heapq
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from growth import SIZES, name_of, picture, table
from prefill import multiply_lines, multiply_rows

HERE = Path(__file__).parent
WIDTHS = tuple(range(2, 20))
NUM_LAYERS = 4
"""18^4 = 104,976 architectures: more than there are trials."""
ROWS: tuple[dict[str, Any], ...] = (
    {"storage": "own", "sampler": "random", "workers": 1, "sizes": SIZES},
    {"storage": "own", "sampler": "random", "workers": 1000, "sizes": (100, 10_000)},
    {"storage": "own", "sampler": "tpe", "workers": 8, "sizes": SIZES},
    {"storage": "journal", "sampler": "random", "workers": 100, "sizes": SIZES},
    {"storage": "journal", "sampler": "random", "workers": 1000, "sizes": (100_000,)},
    {"storage": "sqlite", "sampler": "random", "workers": 100, "sizes": (100, 10_000)},
    {"storage": "postgresql", "sampler": "random", "workers": 100, "sizes": (100, 10_000)},
    {"storage": "postgresql", "sampler": "random", "workers": 1000, "sizes": (100, 10_000)},
)


class VirtualCrew:
    """An executor whose workers take virtual seconds, a second on average, in random order."""

    def __init__(self, num_workers: int, seed: int = 0) -> None:
        self.num_workers = num_workers
        self._chance = random.Random(seed)
        self._clock = 0.0

    def run(self, next_task: Callable[[], Any]) -> Iterator[Any]:
        from nasproxy.executors.base import Outcome

        busy: list[tuple[float, int, Any]] = []
        while True:
            while len(busy) < self.num_workers and (task := next_task()) is not None:
                ends = self._clock + self._chance.lognormvariate(-0.125, 0.5)
                heapq.heappush(busy, (ends, task.key, task))
            if not busy:
                return
            self._clock, key, task = heapq.heappop(busy)
            yield Outcome(key, value=self._result(task.payload))

    def _result(self, architecture: dict[str, Any]) -> Any:
        from nasproxy.search.objective import CandidateResult
        from nasproxy.training.metric import Score

        worth = sum(math.log(width) for width in architecture["hidden"]) / (4 * math.log(20))
        accuracy = min(1.0, max(0.0, worth + self._chance.gauss(0, 0.02)))
        return CandidateResult((Score(accuracy, accuracy, None),), 1.0)


class EnoughError(Exception):
    """So many trials have been watched, or the time for it is over."""


class Meter:
    """Watches trials once all workers are busy; each ends one trial and begins another."""

    def __init__(self, num_trials: int, limit_seconds: float) -> None:
        self._num_trials = num_trials
        self._limit = limit_seconds
        self.trial_seconds: list[float] = []
        self._begun = self._last = 0.0

    def __call__(self, progress: Any) -> None:
        now = time.process_time()
        if self._last:  # the first has waited for all workers to be fed
            self.trial_seconds.append(now - self._last)
        self._begun = self._begun or now
        self._last = now
        if len(self.trial_seconds) >= self._num_trials or now - self._begun > self._limit:
            raise EnoughError


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class Bench:
    """One driver on one study in a temporary folder."""

    def __init__(self, url: str | None, folder: Path, sampler: str, workers: int) -> None:
        from nasproxy.config import DataConfig, SearchConfig
        from nasproxy.data.dataset import load_dataset
        from nasproxy.search.space import SearchSpace

        self._url, self._folder = url, folder
        parameters = {f"hidden.{i}": WIDTHS for i in range(NUM_LAYERS)}
        self.space = SearchSpace(family="mlp", parameters=parameters)
        self.points = list(self.space.points())
        self._config = SearchConfig(
            trials=len(self.points), sampler=sampler, uniform_trials=100, lag=max(8, workers)
        )
        self._dataset = load_dataset(DataConfig(dataset="digits"))

    def open(self, home: str) -> Any:
        from nasproxy.search.session import own_storage
        from nasproxy.search.shared import SharedStudy
        from nasproxy.search.study import ArchitectureStudy

        known = (self.space, self.points, self._config)
        if self._url is None:
            return ArchitectureStudy(*known, storage=own_storage(self._folder), name="s")
        return SharedStudy(*known, storage=self._url, name="s", home=home)

    def prefill(self, trials: int) -> None:
        """Finish one trial and copy it, with the points that a uniform search would have."""
        study = self.open("before")
        self.drive(study, 1, Meter(1, math.inf), only_first=True)
        points = study.proposer._shuffled[1:trials]
        if self._url is not None and self._url.startswith("journal"):
            multiply_lines(self._folder / "s.log", self.space, points)
        else:
            multiply_rows(study._storage, self.space, points)

    def drive(self, study: Any, workers: int, meter: Meter, *, only_first: bool = False) -> None:
        from nasproxy.search.session import _drive

        if only_first:
            study.num_trials = 1
        with contextlib.suppress(EnoughError), study.driving():
            _drive(
                study, VirtualCrew(workers), self._dataset, self._folder, latencies={}, watch=meter
            )


def measure(
    *, storage: str, sampler: str, workers: int, trials: int, steps: int, limit_seconds: float
) -> dict[str, Any]:
    """Open a study of so many finished trials and drive it for `steps` more."""
    import optuna

    from nasproxy._environment import versions

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    place = tempfile.TemporaryDirectory(dir=os.environ.get("SCALE_FOLDER"))
    with place as name, _server(storage, Path(name)) as url:
        bench = Bench(url, Path(name), sampler, workers)
        bench.prefill(trials)
        before, begun = resident_bytes(), time.process_time()
        study = bench.open("after")
        opening = time.process_time() - begun
        meter = Meter(steps, limit_seconds)
        bench.drive(study, workers, meter)
        files = sum(path.stat().st_size for path in Path(name).glob("*") if path.is_file())
        return {
            "storage": storage, "sampler": sampler, "workers": workers, "trials": trials,
            "opening_cpu_seconds": opening, "trial_cpu_seconds": meter.trial_seconds,
            "trials_in_study": len(study.trials), "resident_bytes": resident_bytes(),
            "resident_bytes_before": before, "file_bytes": files, "space_size": len(bench.points),
            "versions": versions(), "load_average": os.getloadavg()[0],
            "command": f"python tests/scale/simulate.py one --storage {storage} "
            f"--sampler {sampler} --workers {workers} --trials {trials} --steps {steps}",
        }  # fmt: skip


@contextlib.contextmanager
def _server(storage: str, folder: Path) -> Iterator[str | None]:
    """Have the storage there and give its URL; None: the search's own."""
    if storage == "postgresql":
        sys.path.insert(0, str(HERE.parent / "integration"))
        from postgres_server import serving

        with serving() as server:
            yield server.url
        return
    urls = {"sqlite": f"sqlite:///{folder}/s.db", "journal": f"journal://{folder}/s.log"}
    yield urls.get(storage)


def measure_all(out: Path, only: str | None, rest: list[str]) -> None:
    """Measure each row in a process of its own, so that memory begins anew."""
    out.mkdir(parents=True, exist_ok=True)
    for size in SIZES:
        for row in ROWS:
            name = f"{name_of(row)}-{size}"
            if size not in row["sizes"] or (only is not None and only not in name):
                continue
            words = [f"--{key}={row[key]}" for key in ("storage", "sampler", "workers")]
            words.append(f"--trials={size}")
            command = [sys.executable, __file__, "one", *words, *rest, f"--out={out / name}.json"]
            print(f"{name} ...", file=sys.stderr, flush=True)
            subprocess.run(command, check=True)


def show(folder: Path, drawing: Path | None) -> None:
    """Write `scale.md` beside the measurements, and the picture."""
    order = [name_of(row) for row in ROWS]
    records = [json.loads(path.read_text()) for path in folder.glob("*-*-*-*.json")]
    records.sort(key=lambda record: (order.index(name_of(record)), record["trials"]))
    (folder / "scale.md").write_text(table(records))
    (drawing or folder / "scale.svg").write_text(picture(records))
    print(table(records))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("one")
    one.add_argument("--storage", choices=("own", "sqlite", "journal", "postgresql"), default="own")
    one.add_argument("--sampler", choices=("random", "tpe", "grid"), default="random")
    one.add_argument("--workers", type=int, default=1000)
    one.add_argument("--trials", type=int, default=100_000)
    every = commands.add_parser("all")
    every.add_argument("--only")
    for command in (one, every):
        command.add_argument("--steps", type=int, default=50)
        command.add_argument("--limit-seconds", type=float, default=60)
        command.add_argument("--out", type=Path)
    shown = commands.add_parser("show")
    shown.add_argument("folder", type=Path)
    for command in (every, shown):
        command.add_argument("--picture", type=Path)
    words = vars(parser.parse_args())
    command, out = words.pop("command"), words.pop("out", None)
    if command == "show":
        show(words["folder"], words["picture"])
    elif command == "all":
        rest = [f"--steps={words['steps']}", f"--limit-seconds={words['limit_seconds']}"]
        measure_all(out or Path("results/scale"), words["only"], rest)
        show(out or Path("results/scale"), words["picture"])
    else:
        text = json.dumps(measure(**words), indent=1)
        print(text) if out is None else out.write_text(text + "\n")


if __name__ == "__main__":
    main()
