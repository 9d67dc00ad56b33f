from __future__ import annotations

import pytest

from nasproxy.config import RunConfig, SearchConfig
from nasproxy.errors import ConfigError


@pytest.mark.parametrize(
    ("given", "objectives", "costs"),
    [
        ({}, ("accuracy",), ()),
        ({"objectives": ["accuracy", "params"]}, ("accuracy", "params"), ("params",)),
        ({"metric": "auc", "objectives": ["auc", "flops"]}, ("accuracy", "flops"), ("flops",)),
        ({"metric": "auc", "objectives": ["accuracy"]}, ("accuracy",), ()),
        (
            {"objectives": ["accuracy", "latency", "params"]},
            ("accuracy", "latency", "params"),
            ("latency", "params"),
        ),
    ],
)
def test_the_metric_is_written_in_one_way(given, objectives, costs):
    config = SearchConfig.parse(given)
    assert (config.objectives, config.costs) == (objectives, costs)
    assert SearchConfig.parse(config.to_dict()) == config
    assert config.replace(metric="balanced_accuracy").objectives == objectives


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"objectives": ["params"]},
            r"must be accuracy \(the metric\).*got params \(--objective\)",
        ),
        ({"objectives": []}, r"params, flops, latency, each once, got none \(--objective\)"),
        ({"objectives": ["auc", "params"]}, "must be accuracy .*got auc,params"),
        (
            {"metric": "auc", "objectives": ["balanced_accuracy"]},
            "must be accuracy or auc .*got balanced_accuracy",
        ),
        ({"objectives": ["accuracy", "flops", "flops"]}, "each once, got accuracy,flops,flops"),
        ({"objectives": ["accuracy", "auc"]}, "got accuracy,auc"),
        ({"objectives": ["accuracy", "size"]}, "objectives.1 must be .*'latency', got 'size'"),
        (
            {"objectives": ["accuracy", "params"], "pruner": "median"},
            r"got 'median' with accuracy,params \(--pruner, --objective\)",
        ),
        ({"max_params": 0}, r"max_params must be greater than or equal to 1, got 0"),
        ({"max_flops": 1.5}, "max_flops must be a valid integer"),
        ({"max_latency_ms": 0}, r"max_latency_ms must be greater than 0, got 0"),
    ],
)
def test_mistakes(given, message):
    with pytest.raises(ConfigError, match=message):
        SearchConfig.parse(given)
    with pytest.raises(ConfigError, match=message):
        RunConfig.parse({"data": {"dataset": "digits"}, "search": given})


def test_limits_and_what_they_need():
    assert SearchConfig().limits == {}
    config = SearchConfig(max_params=9, max_latency_ms=0.5)
    assert config.limits == {"max_params": 9, "max_latency_ms": 0.5}
    assert config.needs_latency
    assert SearchConfig(objectives=("accuracy", "latency")).needs_latency
    assert not SearchConfig(objectives=("accuracy", "flops"), max_flops=9).needs_latency
