"""Readings, their spread, ratios and powers."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from nasproxy.bench.clock import (
    exponent,
    ratios,
    read,
    spread,
    threads,
)


def test_a_reading_holds_wall_and_processor_seconds():
    reading = read(lambda: sum(range(200_000)))
    assert reading.wall > 0
    assert reading.cpu > 0


def test_spread():
    found = spread([3.0, 1.0, 2.0, 10.0])
    assert found == {"median": 2.5, "min": 1.0, "max": 10.0, "n": 4, "values": [3, 1, 2, 10]}


def test_ratios_are_taken_repeat_by_repeat():
    assert ratios([1.0, 2.0, 4.0], [3.0, 4.0, 4.0])["values"] == [3, 2, 1]


def test_exponent_against_polyfit():
    sizes, seconds = [1, 2, 4, 16], [0.5, 1.3, 2.9, 20.0]
    assert exponent(sizes, seconds) == pytest.approx(
        np.polyfit(np.log(sizes), np.log(seconds), 1)[0]
    )
    assert exponent([3], [1.0]) is None


def test_threads_are_given_back():
    before = torch.get_num_threads()
    with threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


ALLOCATION = """
import torch
from nasproxy.bench.clock import forget_peak, peak_bytes
forgot = forget_peak()
before = peak_bytes()
block = torch.ones(2**24)
print(int(forgot), before, peak_bytes())
"""


def test_peak_memory_follows_an_allocation():
    """64 MiB, in a process of its own: another test's freed memory may hold them already."""
    done = subprocess.run(
        [sys.executable, "-c", ALLOCATION], check=True, capture_output=True, text=True
    )
    forgot, before, after = map(int, done.stdout.split())
    assert after > 2**20
    if forgot:
        assert after >= before + 2**25
