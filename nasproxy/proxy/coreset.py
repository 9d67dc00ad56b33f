"""Proxies made of real images: random, herding, k-center, full."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from nasproxy._random import named_generator
from nasproxy._timing import Stopwatch
from nasproxy.data.dataset import Dataset, LabelledImages
from nasproxy.errors import ConfigError, unknown_name
from nasproxy.progress import Watch, unwatched
from nasproxy.proxy.dataset import Kind, ProxyDataset, describe
from nasproxy.proxy.teacher import TEMPERATURE, teach


def check_ipc(dataset: Dataset, ipc: int) -> None:
    """Refuse to take more images per class than the smallest class has.

    Raises:
        ConfigError: naming the class and its size.
    """
    if ipc < 1:
        raise ConfigError(f"ipc must be >= 1, got {ipc} (--ipc)")
    smallest = int(dataset.class_counts().argmin())
    size = int(dataset.class_counts()[smallest])
    if ipc > size:
        raise ConfigError(
            f"ipc {ipc} is more than class {dataset.class_names[smallest]!r} has to give "
            f"({size} training images): use --ipc {size} or less"
        )


def choose_random(data: LabelledImages, ipc: int, seed: int) -> LabelledImages:
    """Return `ipc` random images of each class, ordered by class."""
    generator = named_generator(seed, "coreset", "random")
    shuffled = torch.randperm(len(data), generator=generator)
    labels = data.labels.cpu()[shuffled]
    classes = labels.unique().tolist()
    return data.take(torch.cat([shuffled[labels == label][:ipc] for label in classes]))


def choose_k_center(data: LabelledImages, ipc: int, seed: int) -> LabelledImages:
    """Return `ipc` images a class by greedy k-center on pixels, from the one nearest the mean.

    Source: Sener & Savarese 2018 (arXiv 1708.00489), algorithm 1. Deviation: distances between
    pixels instead of a trained network's features, so that no training is hidden in it.
    """
    del seed  # nothing here is left to chance
    chosen = []
    for label in data.labels.unique().tolist():
        members = (data.labels == label).nonzero().flatten()
        chosen.append(members[_greedy_k_center(data.images[members].flatten(1), ipc)])
    return data.take(torch.cat(chosen))


def _greedy_k_center(points: Tensor, k: int) -> Tensor:
    """Return the indices int64 (k,) of centers among points (N, D)."""
    centers = [int((points - points.mean(0)).square().sum(1).argmin())]
    distance = torch.full((len(points),), float("inf"), device=points.device)
    while len(centers) < k:
        distance = torch.minimum(distance, (points - points[centers[-1]]).square().sum(1))
        centers.append(int(distance.argmax()))
    return torch.tensor(centers, device=points.device)


def choose_herding(data: LabelledImages, ipc: int, seed: int) -> LabelledImages:
    """Return `ipc` images a class whose mean stays nearest to the class's mean, on pixels.

    Source: Welling 2009, "Herding dynamical weights to learn", as written down for images by
    Rebuffi et al. 2017 (arXiv 1611.07725), algorithm 4. Deviation: pixels instead of a trained
    network's features, as for k-center.
    """
    del seed  # nothing here is left to chance
    chosen = []
    for label in data.labels.unique().tolist():
        members = (data.labels == label).nonzero().flatten()
        chosen.append(members[_herd(data.images[members].flatten(1), ipc)])
    return data.take(torch.cat(chosen))


def _herd(points: Tensor, k: int) -> Tensor:
    """Return the indices int64 (k,) of different points among (N, D), in the order chosen."""
    mean, total = points.mean(0), torch.zeros_like(points[0])
    free = torch.ones(len(points), dtype=torch.bool, device=points.device)
    chosen: list[int] = []
    while len(chosen) < k:
        # the k-th choice: argmin || mean - (x + chosen ones) / k ||
        distance = (mean - (points + total) / (len(chosen) + 1)).square().sum(1)
        chosen.append(int(distance.masked_fill(~free, float("inf")).argmin()))
        free[chosen[-1]] = False
        total = total + points[chosen[-1]]
    return torch.tensor(chosen, device=points.device)


SELECTIONS = {"random": choose_random, "herding": choose_herding, "kcenter": choose_k_center}
LABELS = ("hard", "soft")


def make_baseline(
    dataset: Dataset,
    kind: str,
    ipc: int | None,
    seed: int,
    *,
    labels: str = "hard",
    num_teachers: int | None = None,
    teacher_epochs: int | None = None,
    temperature: float | None = None,
    experts: Path | None = None,
    workers: int | None = None,
    watch: Watch = unwatched,
) -> ProxyDataset:
    """Make a proxy of real images, the rival that a synthetic proxy has to beat.

    Args:
        dataset: on the device to work on.
        kind: `random`, `herding`, `kcenter` or `full`.
        ipc: images per class; None for `full`.
        seed: root of chance.
        labels: `hard`, or `soft`: the mean probabilities of teachers trained on the full
            training split, whose training counts towards the proxy's seconds.
        num_teachers: trained for soft labels; None: 2.
        teacher_epochs: of their training; None: as many as verification takes.
        temperature: that their logits are divided by, above 1 for softer labels; None: 4.
        experts: folder of networks to reuse as teachers, or to train teachers into; None: none is
            kept.
        workers: processes that train teachers; None: one a core on a CPU, this one on a GPU.
        watch: told of the teachers' training.

    Raises:
        ConfigError: the kind is not one of real images, or `ipc`, `labels` or what teachers are
            to be does not fit.
        ArtifactError: `experts` holds networks of other data, or damaged ones.
        EvaluationError: a teacher's training failed.
    """
    clock = Stopwatch()
    if labels not in LABELS:
        raise ConfigError(unknown_name("kind of labels", labels, LABELS) + " (--labels)")
    _check_teachers(labels, num_teachers, teacher_epochs, temperature)
    if kind == "full":
        data, ipc = dataset.train, None
    elif kind in SELECTIONS:
        if ipc is None:
            raise ConfigError(f"a {kind} proxy needs a number of images per class (--ipc)")
        check_ipc(dataset, ipc)
        data = SELECTIONS[kind](dataset.train, ipc, seed)
    else:
        raise ConfigError(unknown_name("kind of baseline proxy", kind, (*SELECTIONS, "full")))
    seconds = clock.seconds()
    config: dict[str, Any] = {}
    soft_labels: Tensor | None = None
    if labels == "soft":
        clock = Stopwatch(dataset.train.labels.device)
        teaching = teach(
            dataset,
            data.images,
            experts=experts,
            num_teachers=num_teachers,
            epochs=teacher_epochs,
            temperature=TEMPERATURE if temperature is None else temperature,
            seed=seed,
            workers=workers,
            watch=watch,
        )
        # teachers that were there already have cost something, too
        seconds += max(teaching.seconds, clock.seconds())
        soft_labels = teaching.soft_labels
        config = {"labels": labels, "teachers": teaching.record}
    known: Kind = cast(Kind, kind)
    manifest = describe(
        dataset, kind=known, method=kind, ipc=ipc, seed=seed, config=config, seconds=seconds
    )
    return ProxyDataset(data.images, data.labels, manifest, soft_labels)


def _check_teachers(
    labels: str, num_teachers: int | None, epochs: int | None, temperature: float | None
) -> None:
    """Refuse what teachers are to be where it is out of range, or nobody teaches."""
    options = {"teachers": num_teachers, "teacher-epochs": epochs, "temperature": temperature}
    for option, value in options.items():
        if value is None:
            continue
        if labels == "hard":
            raise ConfigError(
                f"hard labels have no teachers: leave out --{option} {value}, or use --labels soft"
            )
        if option == "temperature" and not 0 < value < math.inf:
            raise ConfigError(f"temperature must be > 0, got {value} (--temperature)")
        if option != "temperature" and value < 1:
            raise ConfigError(f"{option} must be >= 1, got {value} (--{option})")
