"""Whole evaluations of candidates: our engine against a plain loop."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from typing import Any, NamedTuple

import torch

from nasproxy._memory import usual_memory
from nasproxy._random import named_seed
from nasproxy.bench.clock import Reading, ratios, read, spread
from nasproxy.bench.crew import Crew, Done, Several, crew
from nasproxy.bench.material import Material
from nasproxy.bench.plain import batches_of, build_plain, random_affine, score_plain, train_plain
from nasproxy.config import AUGMENTATIONS, Augmentation, Recipe
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
    rounds = {name: Rounds(name, work, candidates) for name, work in variants.items()}
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
            "fairness": "same networks, first weights, batches, epochs and validation images; "
            "no re-estimated BatchNorm statistics on either side; augmentation none, and apart "
            "from that ours per image against torchvision's RandomAffine per batch; our worker "
            "processes are started before the clock, the largest candidates go first; freed "
            "memory is kept on our side only, as our commands do",
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
    """The two sides of one comparison, turn by turn.

    Args:
        name: of our work.
        work: our evaluation of a candidate.
        candidates: architectures, in the order they are handed out.
    """

    def __init__(self, name: str, work: ProxyObjective, candidates: list[Architecture]) -> None:
        self._name, self._work, self._candidates = name, work, candidates
        self._walls: list[float] = []
        self._cpus: list[float] = []
        self._ours: list[list[Done]] = []
        self._plain: list[list[Plain]] = []

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
        self._plain.append([evaluate_plain(self._work, one) for one in self._candidates])

    def result(self, num_workers: int) -> dict[str, Any]:
        """Return ratio, seconds of both sides, accuracies and the architectures one by one."""
        walls = [sum(one.reading.wall for one in repeat) for repeat in self._plain]
        cpus = [sum(one.reading.cpu for one in repeat) for repeat in self._plain]
        ratio = ratios(self._walls, walls)
        count = len(self._candidates)
        return {
            "ratio_to_plain": ratio["median"],
            "ratio": ratio,
            "ours": _side(self._walls, self._cpus, count),
            "plain": _side(walls, cpus, count),
            "accuracy": {
                "ours": statistics.mean(one.value.mean("accuracy") for one in self._ours[-1]),
                "plain": statistics.mean(one.accuracy for one in self._plain[-1]),
            },
            "candidates": [
                self._row(index, architecture, num_workers)
                for index, architecture in enumerate(self._candidates)
            ],
        }

    def _row(self, index: int, architecture: Architecture, num_workers: int) -> dict[str, Any]:
        """Compare one architecture: ours counts as its share of the time of all workers."""
        ours = [repeat[index].wall for repeat in self._ours]
        theirs = [repeat[index].reading.wall for repeat in self._plain]
        return {
            "architecture": architecture,
            "seconds_in_worker": spread(ours),
            "seconds_plain": spread(theirs),
            "ratio": ratios([seconds / num_workers for seconds in ours], theirs),
        }


class Plain(NamedTuple):
    """What the plain loop took for one candidate, and the accuracy it reached."""

    reading: Reading
    accuracy: float


def evaluate_plain(work: ProxyObjective, architecture: Architecture) -> Plain:
    """Train and score one architecture the usual way, on what our work trains and scores on."""
    data, recipe = work.data, work.recipe
    accuracies: list[float] = []
    seed = named_seed(work.seed, "candidate", 0)
    change = None if data.augmentation == Augmentation() else random_affine(data.augmentation)

    def whole() -> None:
        model = build_plain(architecture, data, seed)
        batches = batches_of(data.images, data.targets, recipe.batch_size, seed)
        train_plain(model, batches, recipe, change=change)
        accuracies.append(score_plain(model, work.validation))

    with usual_memory():
        reading = read(whole, data.images.device)
    return Plain(reading, accuracies[0])


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
