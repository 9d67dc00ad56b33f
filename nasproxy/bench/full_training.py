"""Training on full data, per epoch: our loop against a plain loop and against the study's way."""

from __future__ import annotations

import contextlib
import math
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from nasproxy._memory import usual_memory
from nasproxy.bench.clock import ratios, read, spread
from nasproxy.bench.crew import Crew, Several, crew
from nasproxy.bench.epochs import Epochs
from nasproxy.bench.material import Material, convnet
from nasproxy.bench.plain import (
    STUDY_BATCH,
    batches_of,
    build_plain,
    shuffled,
    to_pictures,
    train_plain,
)
from nasproxy.bench.table import name_network
from nasproxy.config import FULL_RECIPE, Recipe
from nasproxy.executors.base import Work
from nasproxy.models.family import Architecture

MEASURED_EPOCHS = 2
"""Of our loop, after a first one that also compiles."""


def measure_full_training(material: Material) -> dict[str, Any]:
    """Measure ConvNets in batches of 256, and the study's MLP in batches of 64."""
    plans = [_plan_convnet(material, convnet(*one)) for one in material.config.convnets]
    plans.append(_plan_study(material))
    works: dict[str, Work] = {plan.name: plan.work for plan in plans}
    with _crews(material, Several(works)) as crews:
        *networks, study = [_take_turns(material, plan, crews) for plan in plans]
    workers = material.num_workers
    return {
        "full_training": {
            "ratio_to_plain": statistics.median(n["to_plain"]["median"] for n in networks),
            "ratio_to_plain_one_worker": statistics.median(
                n["one_worker_to_plain"]["median"] for n in networks
            ),
            "ratio_to_study": study["to_study"]["median"],
            "ratio_to_study_one_worker": study["one_worker_to_study"]["median"],
            "workers": workers,
            "plain_threads": torch.get_num_threads(),
            "epoch_images": len(material.dataset.train),
            "networks": networks,
            "study": study,
            "meaning": "seconds of an epoch the other way (one process, default threads) over ours "
            f"with {workers} one-thread workers busy, each with a training of its own: seconds of "
            "an epoch over workers; `_one_worker`: over ours with one such worker alone; of the "
            "ConvNets the median; seconds are extrapolated from measured_images to all "
            "epoch_images, compiling stands apart in first_epoch_seconds; freed memory is kept on "
            "our side only, as our commands do",
        }
    }


def long_recipe(measured: int, total: int) -> Recipe:
    """Return the recipe of full training with as many steps on fewer images.

    So what depends on the length of a training, such as compiling, stays as it is there.
    """
    return FULL_RECIPE.replace(
        epochs=math.ceil(FULL_RECIPE.epochs * total / measured), augmentation="none"
    )


@dataclass(frozen=True)
class Plan:
    """One network, our way of training it, and others: each does one epoch when called."""

    name: str
    architecture: Architecture
    work: Epochs
    others: dict[str, Callable[[], None]]


def _plan_convnet(material: Material, architecture: Architecture) -> Plan:
    """Plan a ConvNet; the other side has tensors in a DataLoader."""
    work = _work(material, material.config.full_images)
    return Plan(
        name_network(architecture),
        architecture,
        work,
        {"plain": _plain(material, architecture, work)},
    )


def _plan_study(material: Material) -> Plan:
    """Plan the MLP; another side decodes pictures one by one, as the study did."""
    architecture: Architecture = {"family": "mlp", "hidden": list(material.config.hidden)}
    work = _work(material, material.config.study_images, batch_size=STUDY_BATCH)
    data, seed = work.data, work.seed
    pictures = to_pictures(data.images, data.targets, material.dataset.normalization)
    loader = shuffled(pictures, STUDY_BATCH, seed)
    model = build_plain(architecture, data, seed)
    others = {
        "plain": _plain(material, architecture, work),
        "study": lambda: train_plain(model, loader, work.recipe, epochs=1),
    }
    return Plan(name_network(architecture), architecture, work, others)


def _work(material: Material, images: int, **changes: Any) -> Epochs:
    data = material.full(images)
    recipe = long_recipe(len(data.images), len(material.dataset.train)).replace(**changes)
    return Epochs(data, recipe, material.config.seed, 1 + MEASURED_EPOCHS)


def _plain(material: Material, architecture: Architecture, work: Epochs) -> Callable[[], None]:
    model = build_plain(architecture, work.data, work.seed)
    loader = batches_of(work.data.images, work.data.targets, work.recipe.batch_size, work.seed)
    return lambda: train_plain(model, loader, work.recipe, epochs=1)


@contextlib.contextmanager
def _crews(material: Material, work: Work) -> Iterator[dict[str, Crew]]:
    """Hire one worker, and as many as there may be; where that is one, it is the same."""
    with contextlib.ExitStack() as stack:
        one = stack.enter_context(crew(work, material.device, 1))
        most = one
        if material.num_workers > 1:
            most = stack.enter_context(crew(work, material.device, material.num_workers))
        yield {"one_worker": one, "all_workers": most}


def _take_turns(material: Material, plan: Plan, crews: dict[str, Crew]) -> dict[str, Any]:
    """Measure an epoch of all sides, repeat by repeat.

    Returns:
        The wall seconds of an epoch over all images, by side; `all_workers` is shared by as many
        trainings as there are workers.
    """
    scale = len(material.dataset.train) / len(plan.work.data.images)
    seconds: dict[str, list[float]] = {name: [] for name in (*crews, *plan.others)}
    cpu: dict[str, list[float]] = {name: [] for name in plan.others}
    firsts: list[float] = []
    for repeat in range(material.config.repeats):
        for name, workers in crews.items():
            first, epoch = _our_epoch(workers, plan)
            seconds[name].append(scale * epoch / workers.num_workers)
            firsts.append(first)
        for name, other in plan.others.items():
            with usual_memory():
                reading = read(other, material.device)
            seconds[name].append(scale * reading.wall)
            cpu[name].append(scale * reading.cpu)
        material.tell(f"full training, {plan.name}", repeat + 1)
    ratio = {
        (ours, theirs): ratios(seconds[ours], seconds[theirs])
        for ours in crews
        for theirs in plan.others
    }
    return {
        "architecture": plan.architecture,
        "batch_size": plan.work.recipe.batch_size,
        "measured_images": len(plan.work.data.images),
        "measured_epochs": MEASURED_EPOCHS,
        "first_epoch_seconds": spread(firsts),
        "epoch_seconds": {name: spread(values) for name, values in seconds.items()},
        "epoch_cpu_seconds": {name: spread(values) for name, values in cpu.items()},
        **{f"to_{theirs}": ratio["all_workers", theirs] for theirs in plan.others},
        **{f"one_worker_to_{theirs}": ratio["one_worker", theirs] for theirs in plan.others},
    }


def _our_epoch(workers: Crew, plan: Plan) -> tuple[float, float]:
    """Train one network a worker; return seconds of the first epoch and, mean, of a later one."""
    done, _ = workers.run([(plan.name, plan.architecture)] * workers.num_workers)
    later = [epoch for one in done for epoch in one.value[1:]]
    return statistics.mean(one.value[0] for one in done), statistics.mean(later)
