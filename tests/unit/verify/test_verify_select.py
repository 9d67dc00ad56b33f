from __future__ import annotations

import pytest

from nasproxy.errors import ArtifactError, ConfigError
from nasproxy.verify.select import check_candidates, select_top, select_uniform


def candidate(trial, accuracy, params=100, *, status="complete", origin="uniform"):
    return {
        "trial": trial, "proxy_accuracy": accuracy, "num_params": params,
        "status": status, "origin": origin,
    }  # fmt: skip


CANDIDATES = [
    candidate(0, 0.5),
    candidate(1, 0.9, 300),
    candidate(2, 0.9, 200, origin="tpe"),
    candidate(3, None, status="failed"),
    candidate(4, 0.9, 200),
    candidate(5, None, status="pruned"),
    candidate(6, 0.7, origin="tpe"),
    candidate(7, 0.6, origin="uniform-fallback"),
    candidate(8, 0.1),
]


@pytest.mark.parametrize(
    ("count", "trials"),
    [(0, []), (1, [2]), (3, [2, 4, 1]), (5, [2, 4, 1, 6, 7]), (99, [2, 4, 1, 6, 7, 0, 8])],
)
def test_top_of_equals_the_smaller_then_the_earlier(count, trials):
    assert [c["trial"] for c in select_top(CANDIDATES, count)] == trials


def test_top_by_the_metric_where_accuracy_says_otherwise():
    scores = [(0.9, 0.5), (0.6, 0.8), (0.7, 0.8)]
    candidates = [
        {**candidate(trial, accuracy), "proxy_score": score}
        for trial, (accuracy, score) in enumerate(scores)
    ]
    assert [c["trial"] for c in select_top(candidates, 2)] == [1, 2]


def test_uniform_never_takes_what_a_sampler_proposed():
    for seed in range(20):
        chosen = select_uniform(CANDIDATES, 3, seed, covers_space=False)
        trials = [c["trial"] for c in chosen]
        assert set(trials) <= {0, 1, 4, 8}
        assert trials == sorted(trials)
        assert chosen == select_uniform(CANDIDATES, 3, seed, covers_space=False)


def test_every_uniform_candidate_is_as_likely():
    counts = dict.fromkeys((0, 1, 4, 8), 0)
    for seed in range(400):
        (chosen,) = select_uniform(CANDIDATES, 1, seed, covers_space=False)
        counts[chosen["trial"]] += 1
    assert all(60 < count < 140 for count in counts.values())


def test_a_space_covered_is_uniform_whoever_proposed():
    chosen = select_uniform(CANDIDATES, 7, 0, covers_space=True)
    assert [c["trial"] for c in chosen] == [0, 1, 2, 4, 6, 7, 8]


def test_too_few_uniform_candidates():
    with pytest.raises(ConfigError, match=r"5 uniformly .* 4 are there: use --uniform 4"):
        select_uniform(CANDIDATES, 5, 0, covers_space=False)
    assert select_uniform([], 0, 0, covers_space=False) == []


def test_the_pareto_front_comes_first():
    on_front = {0, 6, 8}
    candidates = [{**c, "pareto": c["trial"] in on_front} for c in CANDIDATES]
    assert [c["trial"] for c in select_top(candidates, 5)] == [6, 0, 8, 2, 4]
    assert [c["trial"] for c in select_top(candidates, 2)] == [6, 0]


def test_a_front_that_is_no_truth_value():
    entry = {**candidate(4, 0.5), "architecture": {}, "pareto": "yes"}
    with pytest.raises(ArtifactError, match="entry 0: pareto cannot be 'yes'"):
        check_candidates([entry], "candidates.json")
