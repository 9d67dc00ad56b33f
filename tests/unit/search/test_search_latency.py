from __future__ import annotations

import json

import pytest

from nasproxy._files import read_json, write_json
from nasproxy.errors import ArtifactError
from nasproxy.search import latency, limit
from nasproxy.search.latency import measure_latencies
from nasproxy.search.space import SearchSpace, point_key

SPACE = SearchSpace(family="mlp", parameters={"hidden.0": (2, 4, 8)})
POINTS = list(SPACE.points())


def test_every_architecture_is_measured_once(digits, tmp_path):
    found = measure_latencies(SPACE, POINTS[:2], digits, tmp_path)
    assert list(found) == [point_key(point) for point in POINTS[:2]]
    assert all(0 < value < 1000 for value in found.values())
    record = read_json(tmp_path / "latency.json")
    assert {"hardware", "device", "batch", "threads", "image_shape"} <= set(record)
    more = measure_latencies(SPACE, POINTS, digits, tmp_path)
    assert {key: more[key] for key in found} == found
    assert len(read_json(tmp_path / "latency.json")["architectures"]) == 3
    before = (tmp_path / "latency.json").stat().st_mtime_ns
    assert measure_latencies(SPACE, POINTS, digits, tmp_path) == more
    assert (tmp_path / "latency.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("begun", [False, True])
def test_a_run_that_has_begun_keeps_what_another_machine_measured(digits, tmp_path, begun):
    first = measure_latencies(SPACE, POINTS, digits, tmp_path)
    record = read_json(tmp_path / "latency.json")
    record["hardware"] = "another machine"
    for entry in record["architectures"]:
        entry["latency_ms"] = 123.0
    write_json(tmp_path / "latency.json", record)
    if begun:
        (tmp_path / "run.json").write_text("{}")
    again = measure_latencies(SPACE, POINTS, digits, tmp_path)
    assert set(again) == set(first)
    assert all((value == 123.0) == begun for value in again.values())


def test_an_interrupted_measurement_is_not_lost(digits, tmp_path, monkeypatch):
    monkeypatch.setattr(latency, "SAVE_SECONDS", -1.0)
    monkeypatch.setattr(limit, "PATIENCE_SECONDS", -1.0)

    def stop(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_latencies(SPACE, POINTS, digits, tmp_path, stop)
    (entry,) = read_json(tmp_path / "latency.json")["architectures"]
    assert entry["architecture"] == SPACE.architecture(POINTS[0])


@pytest.mark.parametrize(
    "content",
    [
        [], {}, {"architectures": 3}, {"architectures": [{"latency_ms": 1}]},
        {"architectures": [{"architecture": {}, "latency_ms": -1}]},
        {"architectures": [{"architecture": {}, "latency_ms": True}]},
    ],
)  # fmt: skip
def test_a_damaged_file(digits, tmp_path, content):
    (tmp_path / "latency.json").write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match=r"latency\.json must hold architectures .*restore it"):
        measure_latencies(SPACE, POINTS, digits, tmp_path)
