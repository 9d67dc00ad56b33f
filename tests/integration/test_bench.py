"""`nasproxy bench --quick`: every key that the contract promises."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import invoke, invoke_json


def leaves(value: Any) -> Iterator[float]:
    for part in value.values() if isinstance(value, dict) else [value]:
        if isinstance(part, dict):
            yield from leaves(part)
        else:
            yield part


@pytest.mark.slow
def test_quick(tmp_path: Path) -> None:
    out = tmp_path / "bench"
    found = invoke_json("bench", "--quick", "--out", out)
    promised = [
        found["evaluation"]["ratio_to_plain"],
        found["evaluation"]["ratio_to_plain_augmented"],
        found["evaluation"]["ratio_to_study"],
        found["full_training"]["ratio_to_plain"],
        found["full_training"]["ratio_to_study"],
        found["distillation"]["seconds_per_iteration"],
        found["distillation"]["pad_seconds_per_iteration"],
        found["gemm_gflops"],
        found["share_of_gemm_peak"],
        found["overhead_ms_per_trial"],
        {name: one["median"] for name, one in found["startup_seconds"].items()},
        found["peak_memory_bytes"]["driver"],
        found["peak_memory_bytes"]["worker"],
        found["scaling"]["candidates_per_minute"],
    ]
    values = [value for one in promised for value in leaves(one)]
    assert all(math.isfinite(value) and value > 0 for value in values), promised
    assert found["growth"]["width"]["exponent"] is not None
    record = json.loads((out / "bench.json").read_text())
    assert record == {name: value for name, value in found.items() if name != "out"}
    text = (out / "bench.md").read_text()
    assert text.count("\n## ") == 7
    page = (out / "bench.html").read_text()
    for title in ("How much longer", "How near is training", "How does cost grow?"):
        assert title in page


def test_one_section_and_words(tmp_path: Path) -> None:
    arguments = ("bench", "--quick", "--only", "gemm", "--repeats", "1", "--out", tmp_path / "b")
    result = invoke(*arguments)
    assert result.exit_code == 0, result.stderr
    assert "matrix product" in result.stdout
    wrong = invoke("bench", "--quick", "--only", "speed", "--out", tmp_path / "b", "--quiet")
    assert wrong.exit_code == 2
    assert "unknown section 'speed'" in wrong.stderr
