"""Sections are merged, kept, measured anew on demand, and shown."""

import json

import pytest

from nasproxy.bench.page import render_html
from nasproxy.bench.plan import BenchConfig
from nasproxy.bench.session import bench
from nasproxy.bench.table import all_tables, render_markdown
from nasproxy.errors import ArtifactError, ConfigError

QUICK = BenchConfig.make(quick=True)


def test_sections_are_merged_and_kept(tmp_path):
    first = bench(QUICK, tmp_path, only=["gemm"])
    assert set(first["sections"]) == {"gemm"}
    assert first["gemm"]["one_thread"]["n"] == 2
    second = bench(QUICK, tmp_path, only=["gemm", "throughput"])
    assert set(second["sections"]) == {"gemm", "throughput"}
    assert second["gemm"] == first["gemm"]
    assert second == json.loads((tmp_path / "bench.json").read_text())
    third = bench(QUICK.replace(repeats=1), tmp_path, only=["gemm"], again=True)
    assert third["gemm"]["one_thread"]["n"] == 1
    assert third["throughput"] == second["throughput"]
    assert 0 < third["share_of_gemm_peak"]["train"]["none"]["4"] < 1


def test_overhead_is_some_milliseconds(tmp_path):
    found = bench(QUICK, tmp_path, only=["overhead"])
    assert 0 < found["overhead_ms_per_trial"] < 10_000


def test_what_is_shown(tmp_path):
    record = bench(QUICK, tmp_path, only=["gemm", "throughput"])
    titles = [table.title for table in all_tables(record)]
    assert titles == ["Key figures", "ConvNet-3, GFLOP/s of one thread", "Sections"]
    text = render_markdown(record)
    assert "no figure here means anything" in text
    assert "| matrix product, one thread, GFLOP/s |" in text
    assert record["hardware"] in text
    assert "digits" in text
    record["data"]["dataset"] = "<script>"
    assert "<script>," not in render_html(record)
    assert "How near is training" in render_html(record)


def test_another_bench_is_refused(tmp_path):
    bench(QUICK, tmp_path, only=["gemm"])
    with pytest.raises(ArtifactError, match=r"quick 'True' instead of 'False'.*--out"):
        bench(QUICK.replace(quick=False), tmp_path, only=["gemm"])


def test_an_unknown_section(tmp_path):
    with pytest.raises(ConfigError, match=r"unknown section 'gem'.*did you mean 'gemm'.*--only"):
        bench(QUICK, tmp_path, only=["gem"])


@pytest.mark.parametrize(
    "damage", [{"sections": [1]}, {"sections": {"gemm": 3}}, {"gemm": []}, {"gemm": {"peak": None}}]
)
def test_a_damaged_bench_is_refused(tmp_path, damage):
    record = bench(QUICK, tmp_path, only=["gemm"])
    (tmp_path / "bench.json").write_text(json.dumps({**record, **damage}))
    with pytest.raises(ArtifactError, match=r"bench.json is damaged \(.*delete it"):
        bench(QUICK, tmp_path, only=["gemm"])
