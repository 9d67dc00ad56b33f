"""Which architecture a numbered trial has: a function of the results up to `lag` trials before.

Whoever computes it, and whenever, finds the same; so several drivers agree without talking.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import optuna
import torch
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from nasproxy._random import named_generator, named_seed
from nasproxy.config import SearchConfig
from nasproxy.search.distance import PointDistances
from nasproxy.search.objective import directions
from nasproxy.search.sampler import build_sampler, describe_place
from nasproxy.search.space import Params, SearchSpace, is_ordered, point_key


class Proposer:
    """Proposes the points of trials in the order of their numbers, none twice.

    Attributes:
        memory: the study on which the sampler works, in main memory.
        num_uniform: trials drawn uniformly first.
    """

    def __init__(self, space: SearchSpace, points: Sequence[Params], config: SearchConfig) -> None:
        self.memory = optuna.create_study(directions=directions(config))
        self.num_uniform = config.num_uniform()
        self._space = space
        self._points = points
        self._config = config
        self._remembered = self._num_scored = 0
        order = torch.randperm(
            len(points), generator=named_generator(config.seed, "uniform-order")
        ).tolist()
        self._shuffled: list[Params] = [points[index] for index in order]
        self._index = {point_key(point): index for index, point in enumerate(self._shuffled)}
        self._is_new = np.ones(len(points), dtype=bool)
        self._num_seen = 0

    def num_needed(self, number: int) -> int:
        """Return how many trials, from the first, have to be finished before one is proposed.

        None need be where results decide nothing: then any number of workers finds work at once.
        """
        if self._config.sampler in ("grid", "random") or number < self.num_uniform:
            return 0
        return max(0, number - self._config.lag + 1)

    def propose(
        self, earlier: Sequence[Params], trials: Mapping[int, FrozenTrial]
    ) -> tuple[Params, str]:
        """Return a trial's point and where it is from.

        Args:
            earlier: points of all trials before it; those of the last call, and others after them.
            trials: of which the first `num_needed` are finished.
        """
        number = len(earlier)
        for point in earlier[self._num_seen :]:
            index = self._index.get(point_key(point))
            if index is not None:
                self._is_new[index] = False
        self._num_seen = number
        if self._config.sampler == "grid":
            return self._points[number], "grid"
        if number < self.num_uniform:
            return self._next_uniform(), "uniform"
        if self._config.sampler == "random":  # what a pruner leaves is no uniform sample
            origin = "uniform" if self._config.pruner == "none" else "random"
            return self._next_uniform(), origin
        self._remember(self.num_needed(number), trials)
        return self._ask(number)

    def _ask(self, number: int) -> tuple[Params, str]:
        """Ask the sampler, and take what is nearest to its answer among what is new.

        Optuna's samplers know nothing of architectures that are not to be asked for again. To ask
        until one is new took up to twenty times as long and found no better ones (docs/log.md).
        """
        self.memory.sampler = build_sampler(
            self._config, named_seed(self._config.seed, "propose", number)
        )
        trial = self.memory.ask()
        distances = self._distances.from_point(self._suggest(trial))
        self.memory.tell(trial, state=TrialState.FAIL)  # what is scored follows as a copy
        nearest = np.where(self._is_new, distances, np.inf).argmin()
        return self._shuffled[nearest], self._config.sampler

    @cached_property
    def _distances(self) -> PointDistances:
        return PointDistances(self._space, self._shuffled)

    def _next_uniform(self) -> Params:
        return self._shuffled[self._is_new.argmax()]

    def _remember(self, up_to: int, trials: Mapping[int, FrozenTrial]) -> None:
        """Copy finished trials into the sampler's memory, in the order of their numbers."""
        while self._remembered < up_to:
            trial = trials[self._remembered]
            if trial.state is TrialState.COMPLETE:
                self.memory.add_trial(self._encode(trial, self._num_scored))
                self._num_scored += 1
            self._remembered += 1

    def _encode(self, trial: FrozenTrial, index: int) -> FrozenTrial:
        """Copy the index-th scored trial, numbers as ranks: 16 should lie between 8 and 32."""
        params: dict[str, Any] = {}
        distributions: dict[str, BaseDistribution] = {}
        for name, values in self._space.choices.items():
            if name not in trial.params:
                continue
            value = trial.params[name]
            ordered = is_ordered(values)
            params[name] = values.index(value) if ordered else value
            distributions[name] = (
                IntDistribution(0, len(values) - 1) if ordered else CategoricalDistribution(values)
            )
        return optuna.trial.create_trial(
            params=params,
            distributions=distributions,
            values=trial.values,
            system_attrs=describe_place(self._config, index),
        )

    def _suggest(self, trial: optuna.Trial) -> Params:
        chosen: Params = {}
        for name, values in self._space.choices.items():
            if not self._space.exists(name, chosen):
                continue
            if is_ordered(values):
                chosen[name] = values[trial.suggest_int(name, 0, len(values) - 1)]
            else:
                value = trial.suggest_categorical(name, list(values))
                assert value is not None
                chosen[name] = value
        return chosen
