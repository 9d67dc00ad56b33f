from __future__ import annotations

from typing import get_args

import pytest

from nasproxy.config import SearchConfig
from nasproxy.errors import ArtifactError
from nasproxy.training.metric import (
    METRIC_NAMES,
    METRICS,
    Score,
    is_unbalanced,
    majority_class_rate,
    mean_score,
    recorded_metric,
    score_text,
    shown_metrics,
)


def test_the_names_are_the_settings():
    assert get_args(SearchConfig.model_fields["metric"].annotation) == METRICS == Score._fields
    assert set(METRIC_NAMES) == set(METRICS)


@pytest.mark.parametrize(
    ("counts", "rate", "unbalanced"),
    [
        ((), None, False),
        ((0, 0), None, False),
        ((5, 5), 0.5, False),
        ((6, 4), 0.6, False),  # 1.5 times, and no more
        ((61, 39), 0.61, True),
        ((617, 360), 617 / 977, True),  # MHIST's test split
        ((1135, 892, 980), 1135 / 3007, False),  # MNIST's extremes
        ((10, 10, 10, 6), 10 / 36, True),  # a rare class
        ((9, 0), 1.0, True),
    ],
)
def test_balance_by_hand(counts, rate, unbalanced):
    assert majority_class_rate(counts) == rate
    assert is_unbalanced(counts) is unbalanced


def test_accuracy_is_shown_alone_only_where_it_does_not_mislead():
    assert shown_metrics("accuracy", (5, 5)) == ("accuracy",)
    assert shown_metrics("accuracy", ()) == ("accuracy",)
    assert shown_metrics("accuracy", (8, 2)) == METRICS
    assert shown_metrics("accuracy", (8, 2, 2)) == ("accuracy", "balanced_accuracy")
    assert shown_metrics("balanced_accuracy", (5, 5, 5)) == ("accuracy", "balanced_accuracy")
    assert shown_metrics("auc", (5, 5)) == METRICS


def test_a_mean_of_what_is_not_known_is_not_known():
    assert mean_score([0.25, 0.75]) == 0.5
    assert mean_score([]) is None
    assert mean_score([0.5, None]) is None
    assert mean_score([0.0]) == 0.0


def test_scores_in_words():
    scores = Score(0.9, 0.5, None)._asdict()
    assert score_text(scores, ("accuracy",)) == "90.0%"
    assert score_text(scores, METRICS, 2) == "accuracy 90.00%, balanced 50.00%, AUC -"


def test_the_metric_of_a_record():
    assert recorded_metric({"config": {"search": {"metric": "auc"}}}, "run.json") == "auc"
    assert recorded_metric({"config": {"search": {}}}, "run.json") == "accuracy"
    for search in ({"metric": "f1"}, {"metric": None}, {"metric": ["auc"]}, None, 3):
        with pytest.raises(ArtifactError, match=r"run.json: config.search.metric must be acc"):
            recorded_metric({"config": {"search": search}}, "run.json")
