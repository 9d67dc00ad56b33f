"""Signals that meet commands at work, and two commands that meet in one folder."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import struck
from tally import Tally

SPACE = 'family = "convnet"\n[parameters]\ndepth = [1, 2]\nwidth = [4, 6, 8]\nnorm = ["none"]\n'
DISTILL = "distill --dataset digits --ipc 1 --iterations 60 --width 4 --depth 1"
SEARCH = (
    "search --dataset digits --proxy random --ipc 2 --trials 6 --epochs 20 --trust 0 --uniform 3"
)
VERIFY = "--top 2 --uniform 3 --seeds 2 --epochs 1"


class Ground:
    """The undisturbed commands: what they find, and how long they take."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.space = folder / "tiny.toml"
        self.space.write_text(SPACE)
        self.seconds: dict[str, float] = {}
        self.expected: dict[str, Any] = {}
        for stage in ("distill", "search", "verify"):
            place = self.new(stage)
            begun = time.monotonic()
            struck.finish(self.words(stage, place, 1), place)
            self.seconds[stage] = time.monotonic() - begun
            self.expected[stage] = struck.outcome(place)
            if stage == "search":
                shutil.copytree(place, folder / "searched")

    def new(self, stage: str) -> Path:
        """Return a folder in which a stage can begin."""
        place = Path(tempfile.mkdtemp(dir=self.folder))
        if stage == "verify":
            shutil.copytree(self.folder / "searched" / "run", place / "run")
        return place

    def words(self, stage: str, place: Path, workers: int) -> list[str]:
        more = ["--workers", str(workers), "--quiet"]
        if stage == "distill":
            return [*DISTILL.split(), "--out", str(place / "proxy"), "--quiet"]
        if stage == "search":
            return [*SEARCH.split(), "--space", str(self.space), "--out", str(place / "run"), *more]
        return ["verify", str(place / "run"), *VERIFY.split(), *more]


def strike_commands(ground: Ground, tally: Tally, count: int, number: int, code: int) -> None:
    """Strike a stage one to four times at random moments, then let it end, until so many hit."""
    chance = random.Random(number)
    while tally.injected < count:
        stage = chance.choice(("distill", "search", "verify"))
        workers = 2 if stage != "distill" and chance.random() < 0.15 else 1
        place, known, hits = ground.new(stage), {}, 0
        for _ in range(min(chance.randint(1, 4), count - tally.injected)):
            command = struck.begin(ground.words(stage, place, workers), place)
            time.sleep(chance.uniform(0, ground.seconds[stage] + 4 * (workers - 1)))
            if not command.strike(number):
                break
            if not command.wait(60) or command.code != code:
                tally.problems.append(f"{stage} ended with {command.code} instead of {code}")
            if code == 130 and "same command goes on" not in command.said.read_text():
                tally.problems.append(f"{stage} did not say how to go on")
            hits += 1
            tally.orphans += struck.orphans(command.mark)
            known = tally.look_at(place, known)
        struck.finish(ground.words(stage, place, 1), place)
        tally.look_at(place, known)
        tally.strays += struck.strays(place)
        tally.judge(hits, struck.outcome(place), ground.expected[stage])
        shutil.rmtree(place)


def kill_drivers(ground: Ground, tally: Tally, count: int) -> None:
    strike_commands(ground, tally, count, signal.SIGKILL, -signal.SIGKILL)


def interrupt(ground: Ground, tally: Tally, count: int) -> None:
    strike_commands(ground, tally, (count + 1) // 2, signal.SIGINT, 130)
    strike_commands(ground, tally, count, signal.SIGTERM, 130)


def kill_workers(ground: Ground, tally: Tally, count: int) -> None:
    """Kill one of two worker processes of a search or a verification; the driver goes on."""
    chance = random.Random(2)
    while tally.injected < count:
        stage = chance.choice(("search", "verify"))
        place, hits = ground.new(stage), 0
        command = struck.begin(ground.words(stage, place, 2), place)
        until = time.monotonic() + 300
        while hits == 0 and not command.wait(chance.uniform(0.1, 2)) and time.monotonic() < until:
            workers = struck.workers_of(command)
            if workers and chance.random() < 0.5:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(chance.choice(workers), signal.SIGKILL)
                    hits += 1
        if not command.wait(300) or command.code != 0:
            tally.problems.append(f"{stage} ended with {command.code}: {command.said.read_text()}")
        tally.orphans += struck.orphans(command.mark)
        tally.look_at(place, {})
        tally.judge(hits, struck.outcome(place), ground.expected[stage])
        shutil.rmtree(place)


def share_a_folder(ground: Ground, tally: Tally, count: int) -> None:
    """Begin the same command twice at once on one folder: one of them works."""
    for index in range(count):
        stage = ("search", "distill", "verify")[index % 3]
        place = ground.new(stage)
        commands = [struck.begin(ground.words(stage, place, 1), place) for _ in range(2)]
        for command in commands:
            command.wait(300)
            refused = "another process works on" in command.said.read_text()
            if (command.code, refused) not in ((0, False), (2, True)):
                tally.problems.append(f"ended with {command.code}: {command.said.read_text()}")
        if all(command.code for command in commands):
            tally.problems.append("none of the two did the work")
        tally.look_at(place, {})
        tally.judge(1, struck.outcome(place), ground.expected[stage])
