"""Other ways of evaluating a candidate than ours: a plain loop, and the study's way."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from nasproxy._memory import usual_memory
from nasproxy._random import named_seed
from nasproxy.bench.clock import Reading, read
from nasproxy.bench.plain import (
    STUDY_BATCH,
    Batches,
    batches_of,
    build_plain,
    in_order,
    random_affine,
    score_plain,
    shuffled,
    tensors_of,
    to_pictures,
    train_plain,
)
from nasproxy.config import Augmentation
from nasproxy.data.pixels import Normalization
from nasproxy.models.family import Architecture
from nasproxy.search.objective import ProxyObjective


class Evaluated(NamedTuple):
    """What another way than ours took for one candidate, and the accuracy it reached."""

    reading: Reading
    accuracy: float


Way = Callable[[Architecture], Evaluated]
"""Another way of evaluating a candidate."""


def plain_way(work: ProxyObjective) -> Way:
    """Return the plain loop on what our work trains and scores on, tensors in a DataLoader."""
    data, seed = work.data, _training_seed(work)
    return lambda architecture: _evaluate(
        work,
        architecture,
        lambda: batches_of(data.images, data.targets, work.recipe.batch_size, seed),
        lambda: tensors_of(work.validation),
    )


def study_way(work: ProxyObjective, normalization: Normalization) -> Way:
    """Return the same loop on pictures, which lie ready undecoded as a data set's do."""
    seed = _training_seed(work)
    trained = to_pictures(work.data.images, work.data.targets, normalization)
    scored = to_pictures(work.validation.images, work.validation.labels, normalization)
    return lambda architecture: _evaluate(
        work,
        architecture,
        lambda: shuffled(trained, STUDY_BATCH, seed),
        lambda: in_order(scored, STUDY_BATCH),
    )


def _evaluate(
    work: ProxyObjective,
    architecture: Architecture,
    trained: Callable[[], Batches],
    scored: Callable[[], Batches],
) -> Evaluated:
    """Train and score one architecture the usual way; making the loaders counts."""
    data = work.data
    accuracies: list[float] = []
    change = None if data.augmentation == Augmentation() else random_affine(data.augmentation)

    def whole() -> None:
        model = build_plain(architecture, data, _training_seed(work))
        train_plain(model, trained(), work.recipe, change=change)
        accuracies.append(score_plain(model, scored()))

    with usual_memory():
        reading = read(whole, data.images.device)
    return Evaluated(reading, accuracies[0])


def _training_seed(work: ProxyObjective) -> int:
    """Return the seed of a candidate's only training."""
    return named_seed(work.seed, "candidate", 0)
