"""Proxies made of real images: random, k-center, full."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from nasproxy._random import named_generator
from nasproxy._timing import Stopwatch
from nasproxy.data.dataset import Dataset, LabelledImages
from nasproxy.errors import ConfigError, unknown_name
from nasproxy.proxy.dataset import Kind, ProxyDataset, describe


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


SELECTIONS = {"random": choose_random, "kcenter": choose_k_center}


def make_baseline(dataset: Dataset, kind: str, ipc: int | None, seed: int) -> ProxyDataset:
    """Make a proxy of real images, the rival that a synthetic proxy has to beat.

    Raises:
        ConfigError: the kind is not one of real images, or `ipc` does not fit.
    """
    watch = Stopwatch()
    if kind == "full":
        data, ipc = dataset.train, None
    elif kind in SELECTIONS:
        if ipc is None:
            raise ConfigError(f"a {kind} proxy needs a number of images per class (--ipc)")
        check_ipc(dataset, ipc)
        data = SELECTIONS[kind](dataset.train, ipc, seed)
    else:
        raise ConfigError(unknown_name("kind of baseline proxy", kind, (*SELECTIONS, "full")))
    known: Kind = cast(Kind, kind)
    manifest = describe(
        dataset, kind=known, method=kind, ipc=ipc, seed=seed, config={}, seconds=watch.seconds()
    )
    return ProxyDataset(data.images, data.labels, manifest)
