"""Whole evaluations of candidates: our engine against a plain loop and the study's way."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from typing import Any

import torch

from nasproxy.bench.clock import ratios, spread
from nasproxy.bench.crew import Crew, Done, Several, crew
from nasproxy.bench.material import Material
from nasproxy.bench.plain import STUDY_BATCH
from nasproxy.bench.way import Evaluated, Way, plain_way, study_way
from nasproxy.config import AUGMENTATIONS, Recipe
from nasproxy.models.family import Architecture
from nasproxy.scores.cost import measure_cost
from nasproxy.search.objective import ProxyObjective
from nasproxy.search.space import Params, load_space
from nasproxy.training.network import TrainingSet

SPACE = "convnet"


def stratified_points(points: list[Params], count: int) -> list[Params]:
    """Choose points so that depths and norms occur in all pairs and widths equally often.

    Args:
        points: of the space `convnet`.
        count: how many, at most one for each pair of depth and norm.
    """
    pairs: dict[tuple[Any, Any], list[Params]] = defaultdict(list)
    for point in points:
        pairs[point["depth"], point["norm"]].append(point)
    # a step of 3 runs through the 7 widths, so that no width sticks to a depth or norm
    chosen = [widths[3 * n % len(widths)] for n, widths in enumerate(pairs.values())]
    count = min(count, len(chosen))
    return [chosen[index * len(chosen) // count] for index in range(count)]


def measure_evaluation(material: Material) -> dict[str, Any]:
    """Measure candidates per minute, without augmentation and with it."""
    recipe = search_recipe(material)
    variants = {
        name: objective(material, material.proxy(AUGMENTATIONS[name]), recipe)
        for name in ("none", "digits")
    }
    candidates = _candidates(material)
    others = {name: {"plain": plain_way(work)} for name, work in variants.items()}
    others["none"]["study"] = study_way(variants["none"], material.dataset.normalization)
    rounds = {name: Rounds(name, work, candidates, others[name]) for name, work in variants.items()}
    with crew(Several(dict(variants)), material.device, material.num_workers) as workers:
        # all start, and each evaluates once
        _, started = workers.run([("none", candidates[-1])] * workers.num_workers)
        for repeat in range(material.config.repeats):
            for one in rounds.values():
                one.turn(workers)
            material.tell("evaluation", repeat + 1)
    plain, augmented = (one.result(workers.num_workers) for one in rounds.values())
    return {
        "evaluation": {
            **plain,
            "ratio_to_plain_augmented": augmented["ratio_to_plain"],
            "augmented": augmented,
            "epochs": recipe.epochs,
            "num_images": len(variants["none"].data.images),
            "validation_images": len(variants["none"].validation),
            "workers": workers.num_workers,
            "worker_start_seconds": started,
            "plain_threads": torch.get_num_threads(),
            "study_batch": STUDY_BATCH,
            "fairness": "same networks, first weights, batches, epochs and validation images; "
            "no re-estimated BatchNorm statistics on either side; augmentation none, and apart "
            "from that ours per image against torchvision's RandomAffine per batch; our worker "
            "processes are started before the clock, the largest candidates go first; freed "
            "memory is kept on our side only, as our commands do; the study's way, without "
            "augmentation: the plain loop over pictures that are decoded one by one, in training "
            f"and in scoring, in batches of {STUDY_BATCH}, so that an epoch may have more steps",
        }
    }


def objective(material: Material, data: TrainingSet, recipe: Recipe) -> ProxyObjective:
    """Return our evaluation of a candidate."""
    return ProxyObjective(
        data=data,
        validation=material.validation(),
        calibration=material.dataset.calibration_part(0),
        recipe=recipe,
        seeds=1,
        seed=material.config.seed,
        metric="accuracy",
        watched=None,
    )


def search_recipe(material: Material) -> Recipe:
    """Return the search's recipe with the epochs of the bench."""
    config = material.config
    return Recipe(
        epochs=config.epochs, recalibrate_images=0, validation_images=config.validation_images
    )


class Rounds:
    """The sides of one comparison, turn by turn.

    Args:
        name: of our work.
        work: our evaluation of a candidate.
        candidates: architectures, in the order they are handed out.
        others: other ways of evaluating one, by name, `plain` among them.
    """

    def __init__(
        self,
        name: str,
        work: ProxyObjective,
        candidates: list[Architecture],
        others: dict[str, Way],
    ) -> None:
        self._name, self._work, self._candidates = name, work, candidates
        self._others = others
        self._walls: list[float] = []
        self._cpus: list[float] = []
        self._ours: list[list[Done]] = []
        self._theirs: dict[str, list[list[Evaluated]]] = {name: [] for name in others}

    def turn(self, workers: Crew) -> None:
        """Evaluate all candidates once on each side."""
        before = time.process_time()
        done, wall = workers.run([(self._name, one) for one in self._candidates])
        cpu = time.process_time() - before
        if self._work.data.images.device.type == "cpu":  # else the worker is this process
            cpu += sum(one.cpu for one in done)
        self._ours.append(done)
        self._walls.append(wall)
        self._cpus.append(cpu)
        for name, evaluate in self._others.items():
            self._theirs[name].append([evaluate(one) for one in self._candidates])

    def result(self, num_workers: int) -> dict[str, Any]:
        """Return ratios, seconds of all sides, accuracies and the architectures one by one."""
        count = len(self._candidates)
        sides = {"ours": _side(self._walls, self._cpus, count)}
        accuracy = {"ours": statistics.mean(one.value.mean("accuracy") for one in self._ours[-1])}
        found: dict[str, Any] = {}
        for name, repeats in self._theirs.items():
            walls = [sum(one.reading.wall for one in repeat) for repeat in repeats]
            cpus = [sum(one.reading.cpu for one in repeat) for repeat in repeats]
            ratio = ratios(self._walls, walls)
            found |= {f"ratio_to_{name}": ratio["median"], _ratio_key(name): ratio}
            sides[name] = _side(walls, cpus, count)
            accuracy[name] = statistics.mean(one.accuracy for one in repeats[-1])
        return {
            **found,
            **sides,
            "accuracy": accuracy,
            "candidates": [
                self._row(index, architecture, num_workers)
                for index, architecture in enumerate(self._candidates)
            ],
        }

    def _row(self, index: int, architecture: Architecture, num_workers: int) -> dict[str, Any]:
        """Compare one architecture: ours counts as its share of the time of all workers."""
        ours = [repeat[index].wall for repeat in self._ours]
        shares = [seconds / num_workers for seconds in ours]
        row: dict[str, Any] = {"architecture": architecture, "seconds_in_worker": spread(ours)}
        for name, repeats in self._theirs.items():
            theirs = [repeat[index].reading.wall for repeat in repeats]
            row |= {f"seconds_{name}": spread(theirs), _ratio_key(name): ratios(shares, theirs)}
        return row


def _ratio_key(name: str) -> str:
    """Return the key of the ratios to another way; those to the plain loop were the first."""
    return "ratio" if name == "plain" else f"to_{name}"


def _candidates(material: Material) -> list[Architecture]:
    """Return the architectures of a stratified sample, the most costly first."""
    dataset = material.dataset
    space = load_space(SPACE)
    points = stratified_points(
        space.feasible_points(dataset.image_shape), material.config.candidates
    )
    architectures = [space.architecture(point) for point in points]
    return sorted(
        architectures,
        key=lambda one: -measure_cost(one, dataset.image_shape, dataset.num_classes).num_flops,
    )


def _side(walls: list[float], cpus: list[float], count: int) -> dict[str, Any]:
    return {
        "seconds_per_candidate": spread([wall / count for wall in walls]),
        "cpu_seconds_per_candidate": spread([cpu / count for cpu in cpus]),
        "candidates_per_minute": 60 * count / spread(walls)["median"],
    }
