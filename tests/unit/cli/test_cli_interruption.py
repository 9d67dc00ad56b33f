"""Signals at commands that are processes of their own."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

MESSAGE = "Interrupted: the same command goes on where it stopped.\n"
HEAD = """
import os, signal, sys, time, weakref
from nasproxy.cli.terminal import guarded

class Thing:
    pass

def strike(*_):
    os.kill(os.getpid(), signal.{name})

@guarded
def command():
{body}

command()
"""
WAIT = """
    for _ in range(6000):
        time.sleep(0.01)
"""
CATCH = """
    try:
        strike()
        time.sleep(60)
    except BaseException:
        {}
"""
BODIES = {
    "raised at once": "    strike()" + WAIT,
    "in a weak reference's callback": """
    thing = Thing()
    reference = weakref.ref(thing, strike)
    del thing
"""
    + WAIT,
    "in a destructor": "    Thing.__del__ = strike\n    Thing()" + WAIT,
    "swallowed by a library": CATCH.format("pass") + WAIT,
    "made another error": CATCH.format("raise RuntimeError('broken pool') from None"),
    "the command had ended": CATCH.format("pass"),
}


def run(body: str, name: str = "SIGINT") -> subprocess.CompletedProcess[str]:
    code = HEAD.format(name=name, body=body)
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=False
    )


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_an_interrupt_ends_the_command_wherever_it_comes(body, name):
    ended = run(body, name)
    assert (ended.returncode, ended.stderr) == (130, MESSAGE)


def test_what_is_put_away_is_not_interrupted_again():
    body = """
    try:
        strike()
    finally:
        time.sleep(2.5)
        print('put away')
"""
    ended = run(body)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "put away\n", MESSAGE)


def test_without_a_signal_nothing_is_different():
    assert run("    print('done')").stdout == "done\n"
    ended = run("    raise ValueError('ours')")
    assert ended.returncode == 1
    assert "ValueError: ours" in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_a_search_ends_at_any_moment(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    words = ["search", "--dataset", "digits", "--proxy", "random", "--ipc", "10",
             "--epochs", "200", "--trials", "50", "--trust", "0", "--quiet", "--workers", "1",
             "--out", "run"]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "nasproxy", *words], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    try:
        wait_until((tmp_path / "run" / "candidates.json").exists)
        time.sleep(chance.uniform(0, 2))
        process.send_signal(chance.choice([signal.SIGINT, signal.SIGTERM]))
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, said) == (130, MESSAGE)


def wait_until(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not there() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert there()


def test_what_the_caller_ignores_is_ignored() -> None:
    """As shells let jobs in the background ignore Ctrl-C."""
    code = HEAD.format(name="SIGINT", body="    strike()\n    print('done')")
    ignoring = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", ignoring], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "done\n")
