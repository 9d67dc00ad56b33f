"""Searches with several objectives and with limits, from the first trial to the last record."""

from __future__ import annotations

import pytest

from nasproxy._files import read_json, write_json
from nasproxy.errors import ArtifactError, ConfigError, SearchSpaceError
from nasproxy.scores.cost import measure_cost
from nasproxy.search.session import search


class KilledError(Exception):
    pass


def results(candidates):
    return [{k: v for k, v in c.items() if k not in ("seconds", "latency_ms")} for c in candidates]


@pytest.fixture(scope="module")
def compromise(searched, digits, random_proxy, tmp_path_factory):
    """A search for accuracy and few parameters among the smaller networks."""
    config = searched.make_config(objectives=("accuracy", "params"), max_params=1500, trials=9)
    folder = tmp_path_factory.mktemp("compromise") / "run"
    candidates = search(digits, random_proxy, config, folder, engine="serial")
    return config, folder, candidates


def test_the_front_is_marked(compromise):
    _, folder, candidates = compromise
    assert read_json(folder / "candidates.json") == candidates
    points = {c["trial"]: (c["proxy_score"], c["num_params"]) for c in candidates}
    for candidate in candidates:
        score, size = points[candidate["trial"]]
        beaten = any(
            s >= score and n <= size and (s, n) != (score, size) for s, n in points.values()
        )
        assert candidate["pareto"] is not beaten
        assert candidate["proxy_score"] == candidate["proxy_accuracy"]
        assert "latency_ms" not in candidate
    assert sum(c["pareto"] for c in candidates) >= 1


def test_no_candidate_breaks_a_limit(compromise, searched, digits):
    _, folder, candidates = compromise
    small = [c for c in searched.candidates if c["num_params"] <= 1500]
    assert 0 < len(small) < len(searched.candidates)
    assert all(c["num_params"] <= 1500 for c in candidates)
    space = read_json(folder / "run.json")["space"]
    assert (space["size"], space["fitting"]) == (12, 12)
    assert len(candidates) == min(9, space["feasible"])
    assert space["feasible"] < 12


@pytest.mark.parametrize("stop", [1, 4])
def test_interrupted_and_gone_on_with(compromise, digits, random_proxy, tmp_path, stop):
    config, _, candidates = compromise

    def kill(progress):
        if progress.done == stop:
            raise KilledError

    with pytest.raises(KilledError):
        search(digits, random_proxy, config, tmp_path / "run", engine="serial", watch=kill)
    again = search(digits, random_proxy, config, tmp_path / "run", engine="serial")
    assert results(again) == results(candidates)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_params": 1600}, "search.max_params 1500 instead of 1600"),
        ({"objectives": ("accuracy", "flops")}, "search.objectives"),
    ],
)
def test_another_goal_is_another_run(  # noqa: PLR0917
    compromise, searched, digits, random_proxy, change, message
):
    config, folder, _ = compromise
    changed = config.replace(**change)
    with pytest.raises(ArtifactError, match=f"holds another run.*{message}"):
        search(digits, random_proxy, changed, folder, engine="serial")


def test_latency_is_measured_once_and_kept(searched, digits, random_proxy, tmp_path):
    config = searched.make_config(objectives=("accuracy", "latency"), trials=3)
    first = search(digits, random_proxy, config, tmp_path / "run", engine="serial")
    measured = read_json(tmp_path / "run" / "latency.json")["architectures"]
    assert len(measured) == 12
    known = {str(entry["architecture"]): entry["latency_ms"] for entry in measured}
    assert [c["latency_ms"] for c in first] == [known[str(c["architecture"])] for c in first]
    longer = search(
        digits, random_proxy, config.replace(trials=5), tmp_path / "run", engine="serial"
    )
    assert read_json(tmp_path / "run" / "latency.json")["architectures"] == measured
    assert [c["latency_ms"] for c in longer[:3]] == [c["latency_ms"] for c in first]
    assert read_json(tmp_path / "run" / "timings.json")["search_seconds"] > 0


def test_what_is_too_slow_is_left_out(searched, digits, random_proxy, tmp_path):
    """By latencies written by hand, as an interrupted measurement would have left them."""
    config = searched.make_config(max_latency_ms=2.0, trials=99)
    with pytest.raises(SearchSpaceError, match=r"max_latency_ms 1e-06: the smallest has"):
        search(digits, random_proxy, config.replace(max_latency_ms=1e-6), tmp_path / "run")
    record = read_json(tmp_path / "run" / "latency.json")
    for entry in record["architectures"]:
        entry["latency_ms"] = 1.0 if entry["architecture"]["width"] == 4 else 3.0
    write_json(tmp_path / "run" / "latency.json", record)
    candidates = search(digits, random_proxy, config, tmp_path / "run", engine="serial")
    assert [c["architecture"]["width"] for c in candidates] == [4] * 4
    assert "pareto" not in candidates[0]


@pytest.mark.parametrize(
    ("change", "storage", "error", "message"),
    [
        ({"max_params": 3}, None, SearchSpaceError, "max_params 3: the smallest has"),
        (
            {"max_latency_ms": 9.0}, "sqlite:///{}/shared.db", ConfigError,
            "--max-latency-ms is measured on this machine",
        ),
    ],
)  # fmt: skip
def test_refused_before_anything_is_written(  # noqa: PLR0917
    searched, digits, random_proxy, tmp_path, change, storage, error, message
):
    with pytest.raises(error, match=message):
        search(
            digits, random_proxy, searched.make_config(**change), tmp_path / "run",
            storage=storage and storage.format(tmp_path),
        )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_one_objective_has_no_front(searched, digits):
    assert all("pareto" not in c and "latency_ms" not in c for c in searched.candidates)
    for candidate in searched.candidates:
        cost = measure_cost(candidate["architecture"], digits.image_shape, 10)
        assert (candidate["num_params"], candidate["num_flops"]) == cost


def test_a_shared_study_has_objectives_and_limits_too(compromise, digits, random_proxy, tmp_path):
    config, _, candidates = compromise
    shared = search(
        digits, random_proxy, config, tmp_path / "run", engine="serial",
        storage=f"sqlite:///{tmp_path / 'shared.db'}",
    )  # fmt: skip
    assert results(shared) == results(candidates)
