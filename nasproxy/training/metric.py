"""What a trained network is worth: fractions in [0, 1], and which of them a person is shown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from nasproxy.data.inspection import is_unbalanced
from nasproxy.errors import ArtifactError


class Score(NamedTuple):
    """One network on some images; `auc` is None unless there are exactly two classes."""

    accuracy: float
    balanced_accuracy: float
    auc: float | None


METRICS: tuple[str, ...] = Score._fields
METRIC_NAMES = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "auc": "AUC"}


def majority_class_rate(class_counts: Sequence[int]) -> float | None:
    """Return what naming the largest class always is right in; None where no count is known."""
    return max(class_counts) / sum(class_counts) if sum(class_counts) else None


def shown_metrics(metric: str, class_counts: Sequence[int]) -> tuple[str, ...]:
    """Name the scores to show: accuracy is alone only where classes are balanced and it decides.

    Args:
        metric: that decides.
        class_counts: images per class, (K,); empty where not known, which counts as balanced.
    """
    if metric == METRICS[0] and not is_unbalanced(class_counts):
        return METRICS[:1]
    return METRICS if len(class_counts) == 2 else METRICS[:2]


def mean_score(values: Sequence[float | None]) -> float | None:
    """Return the mean over seeds, None where there is none or one is not known."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(values) else None


def short_name(metric: str) -> str:
    """Name a metric in a word."""
    return METRIC_NAMES[metric].removesuffix(" accuracy")


def score_text(scores: Mapping[str, float | None], shown: Sequence[str], digits: int = 1) -> str:
    """Word the shown scores: `93.1%` where it is one, else `accuracy 93.1%, balanced 52.0%`."""
    texts = {name: "-" if scores[name] is None else f"{scores[name]:.{digits}%}" for name in shown}
    if len(texts) == 1:
        return texts[shown[0]]
    return ", ".join(f"{short_name(name)} {text}" for name, text in texts.items())


def recorded_metric(run: dict[str, Any], where: str) -> str:
    """Return the metric of a run's record; a run made before there was a choice has accuracy.

    Raises:
        ArtifactError: it is none of METRICS.
    """
    search = run["config"].get("search")
    metric = search.get("metric", METRICS[0]) if isinstance(search, dict) else None
    if metric not in METRICS:
        raise ArtifactError(
            f"{where}: config.search.metric must be {', '.join(METRICS)}, got {metric!r}"
        )
    return str(metric)
