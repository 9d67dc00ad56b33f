from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nasproxy.config import STUDY_PROTOCOL, Recipe
from nasproxy.errors import ArtifactError, ConfigError, EvaluationError
from nasproxy.proxy.store import seal
from nasproxy.verify.quality import evaluate_proxy

ARCHITECTURE = {"family": "convnet", "depth": 1, "width": 8}


def evaluate(digits, proxy, recipe=STUDY_PROTOCOL, architecture=ARCHITECTURE, **options):
    return evaluate_proxy(digits, proxy, architecture, recipe, **{"workers": 1, **options})


def test_fields(digits, random_proxy):
    seen = []
    result = evaluate(digits, random_proxy, seeds=3, watch=seen.append)
    runs = result["runs"]
    assert len(runs) == result["num_seeds"] == 3
    for name in ("accuracy", "balanced_accuracy", "seconds"):
        values = np.array([run[name] for run in runs])
        assert result[f"{name}_mean"] == pytest.approx(values.mean())
        assert result[f"{name}_std"] == pytest.approx(values.std(ddof=1))
    assert 0.1 < result["accuracy_mean"] < 1
    assert "auc_mean" not in result  # ten classes
    assert result["majority_class_rate"] == pytest.approx(37 / 360)
    assert sum(result["test_class_counts"]) == 360
    assert result["architecture"] == ARCHITECTURE
    assert result["recipe"] == STUDY_PROTOCOL.to_dict()
    assert "hardware" in result["versions"]
    assert [p.done for p in seen] == [1, 2, 3]
    again = evaluate(digits, random_proxy, seeds=3)
    assert [r["accuracy"] for r in again["runs"]] == [r["accuracy"] for r in runs]
    other = evaluate(digits, random_proxy, seeds=1, seed=1)
    assert other["runs"][0]["accuracy"] != runs[0]["accuracy"]
    assert other["accuracy_std"] == 0


def test_the_proxy_is_named_by_its_hash_saved_or_not(digits, random_proxy):
    recipe = Recipe(epochs=1)
    expected = seal(random_proxy).manifest.tensors_sha256
    assert evaluate(digits, seal(random_proxy), recipe, seeds=1)["proxy_sha256"] == expected
    assert evaluate(digits, random_proxy, recipe, seeds=1)["proxy_sha256"] == expected


def test_errors(digits, make_dataset, random_proxy):
    with pytest.raises(EvaluationError, match="training 0 failed: diverged"):
        evaluate(digits, random_proxy, Recipe(epochs=3, lr=1e20), seeds=1)
    with pytest.raises(ConfigError, match="depth 4"):
        evaluate(digits, random_proxy, architecture={"depth": 4})
    with pytest.raises(ArtifactError, match="made from digits"):
        evaluate(make_dataset(), random_proxy)
    with pytest.raises(ConfigError, match="seeds"):
        evaluate(digits, random_proxy, seeds=0)


def test_soft_labels_are_trained_on(digits, random_proxy):
    import torch.nn.functional as F

    wrong = replace(random_proxy, soft_labels=F.one_hot((random_proxy.labels + 1) % 10, 10).float())
    recipe = STUDY_PROTOCOL.replace(lr=0.05)
    right = evaluate(digits, random_proxy, recipe, seeds=1)["accuracy_mean"]
    assert evaluate(digits, wrong, recipe, seeds=1)["accuracy_mean"] < 0.1 < right
