from __future__ import annotations

import pytest

from nasproxy.report.markdown import _clean, _render_table
from nasproxy.report.table import Table
from nasproxy.report.wording import architecture_name, duration, rho, size, times, varied_parameters


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"), (0, "0 s"), (5e-6, "0 s"), (0.0044, "0.0044 s"),
        (12.34, "12.3 s"), (125, "2 min 5 s"),
        (3599.7, "1 h 0 min"), (7260, "2 h 1 min"), (200_000, "2 d 8 h"),
    ],
)  # fmt: skip
def test_duration(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.8, "0.80"), (-0.123, "-0.12"), (0.9961, "0.996"), (1.0, "1.00")]
)
def test_rho(value, text):
    assert rho(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.512, "0.51x"), (1.0, "1.0x"), (25.04, "25.0x"), (458.2, "458x")]
)
def test_times(value, text):
    assert times(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(7, "7"), (1954, "1.95k"), (112_330, "112k"), (1_200_000, "1.20M")]
)
def test_size(value, text):
    assert size(value) == text


def test_architectures_are_named_by_what_varies():
    small = {"family": "mlp", "width": 8}
    large = {"family": "mlp", "width": 16, "norm": "batch"}
    assert varied_parameters([small, large]) == ["width", "norm"]
    assert varied_parameters([small]) == ["family", "width"]
    assert architecture_name(small, ["width", "norm"]) == "width 8"


def test_tables_fit_in_80_columns():
    lines = _render_table(Table("T", ("a", "b"), [("x" * 200, "|")])).splitlines()
    assert {len(line) for line in lines[2:]} == {80}
    assert lines[-1].endswith("| \\|  |")


def test_clean_leaves_one_line_without_tags():
    assert _clean("a\n<b> & c") == "a &lt;b&gt; &amp; c"
