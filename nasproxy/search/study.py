"""The Optuna study: which architecture comes next, and what became of it.

Proposals do not depend on timing: trial n is drawn from the results of trials 0..n-lag alone,
so one worker or eight, interrupted or not, see the same candidates.
"""

from __future__ import annotations

import contextlib
import copy
import math
import warnings
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from operator import attrgetter
from typing import Any, TypeVar

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from nasproxy.config import COST_FIELDS, SearchConfig
from nasproxy.errors import ArtifactError
from nasproxy.run_folder import flat
from nasproxy.search.objective import CandidateResult, directions
from nasproxy.search.proposal import Proposer
from nasproxy.search.space import Params, SearchSpace
from nasproxy.search.storage import create_study, open_storage, quick_commits

T = TypeVar("T")
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


class ArchitectureStudy:
    """An Optuna study in which no architecture occurs twice, and this its only driver.

    What it writes it keeps, too, and reads nothing back: that took a fifth of a trial's overhead.

    Attributes:
        space: that is searched.
        num_trials: wanted.
        trials: by number, as far as they are known here.
    """

    def __init__(
        self,
        space: SearchSpace,
        points: list[Params],
        config: SearchConfig,
        *,
        storage: str,
        name: str,
    ) -> None:
        self.space = space
        self.num_trials = min(config.trials, len(points))
        self._config = config
        self._storage = self._database = open_storage(storage)
        self._study = create_study(
            self._storage, storage, name,
            directions=directions(config), pruner=_build_pruner(config),
        )  # fmt: skip
        self._storage = self._study._storage  # the same, behind Optuna's cache
        self._study_id = self._storage.get_study_id_from_name(name)
        self.proposer = Proposer(space, points, config)
        self._identify()
        self.trials: dict[int, FrozenTrial] = {}
        self._num_settled = 0  # trials below are finished: no later one changes them
        self._earlier: list[Params] = []  # points by number, as far as they were needed
        self._refresh()
        self._left_behind = self.unfinished()

    def identity(self) -> dict[str, Any]:
        """Return the settings that make this search and no other."""
        search = self._config.replace(trials=1).to_dict()
        return {"space": self.space.to_dict(), "search": search}

    def _identify(self) -> None:
        """Mark a new study as this search's.

        Raises:
            ArtifactError: the study is another search's.
        """
        found = self._study.user_attrs.get("identity")
        if found is None and not self._study.get_trials(deepcopy=False):
            self._name_objectives()
            self._study.set_user_attr("identity", self.identity())
        else:
            self._check_identity(found)

    def _name_objectives(self) -> None:
        """Tell other Optuna tools what the values of a trial are."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._study.set_metric_names([self.metric, *self.costs])

    def _check_identity(self, found: Any) -> None:
        wanted, known = flat(self.identity()), _with_defaults(found)
        if known == self.identity():
            return
        other = flat(known) if isinstance(known, dict) else {}
        different = [
            f"{name} {other.get(name)!r} instead of {wanted.get(name)!r}"
            for name in {**wanted, **other}
            if other.get(name) != wanted.get(name)
        ]
        raise ArtifactError(
            f"study {self._study.study_name!r} in this storage belongs to another search "
            f"({'; '.join(different)[:300]}): choose another --study-name"
        )

    @property
    def metric(self) -> str:
        """What the trials' first values are."""
        return self._config.metric

    @property
    def costs(self) -> tuple[str, ...]:
        """What their further values are."""
        return self._config.costs

    def driving(self) -> AbstractContextManager[None]:
        """Return a context in which this driver's trials stay its own."""
        return quick_commits(self._database)

    def take(self) -> int | None:
        """Return a trial to be run now, marked as running; None where there is none now."""
        if self._left_behind:
            return self._left_behind.pop(0)
        return self.propose() if self.may_propose() else None

    def is_over(self) -> bool:
        """Say whether all trials wanted are finished."""
        return self._num_settled >= self.num_trials

    def unfinished(self) -> list[int]:
        """Return the trials that an interrupted run left behind, to be run again."""
        return [n for n, trial in sorted(self.trials.items()) if trial.state not in FINISHED]

    def may_propose(self) -> bool:
        """Say whether the next trial's proposal can be drawn now."""
        number = len(self.trials)
        return number < self.num_trials and self._is_ready(number)

    def propose(self) -> int:
        """Add the next trial to the study, running, and return its number."""
        number = len(self.trials)
        self._earlier += [self.trials[n].params for n in range(len(self._earlier), number)]
        point, origin = self.proposer.propose(self._earlier, self.trials)
        trial = optuna.trial.create_trial(
            state=TrialState.RUNNING,
            params=point,
            distributions=self._distributions(point),
            user_attrs={"origin": origin, "architecture": self.space.architecture(point)},
        )
        trial._trial_id = self._storage.create_new_trial(self._study_id, trial)
        trial.number = number
        self._learn([trial])
        return number

    def point(self, number: int) -> Params:
        """Return a trial's point in the space."""
        return self.trials[number].params

    def note(self, number: int, **attributes: Any) -> None:
        """Attach facts to a running trial; one that another driver has finished stays as it is."""
        for name, value in attributes.items():
            with contextlib.suppress(UpdateFinishedTrialError):
                self._safely(partial(self._set, number, name, value))
        self._follow(number, user_attrs={**self.trials[number].user_attrs, **attributes})

    def should_prune(self, number: int, step: int, value: float) -> bool:
        """Record an intermediate score and ask the pruner; the uniform sample stays whole."""

        def ask() -> bool:
            if self._config.pruner == "none":  # Optuna's own way reads the trial three times
                known = self.trials[number]._trial_id
                self._storage.set_trial_intermediate_value(known, step, value)
                return False
            trial = optuna.trial.Trial(self._study, self.trials[number]._trial_id)
            with warnings.catch_warnings():
                # a trial that an interrupted run began reports its first steps again
                warnings.filterwarnings("ignore", message="The reported value is ignored")
                trial.report(value, step)
            return trial.should_prune()

        try:
            prune = self._safely(ask)
        except UpdateFinishedTrialError:  # by the driver that took it over
            return True
        curve = {**self.trials[number].intermediate_values, step: value}
        self._follow(number, intermediate_values=curve)
        return prune and self.trials[number].user_attrs["origin"] != "uniform"

    def complete(
        self, number: int, result: CandidateResult, costs: Mapping[str, float] | None = None
    ) -> None:
        """Record a result.

        Args:
            number: of the trial.
            result: of its trainings.
            costs: of its architecture by field of a candidate, those that are objectives at least.
        """
        scores, score = result.by_metric(), result.mean(self.metric)
        known = [value for values in scores.values() for value in values if value is not None]
        if score is None or not all(map(math.isfinite, known)):
            self.fail(number, f"its scores are no numbers: {scores}"[:500])
            return
        # one attribute for all scores: each is a transaction that waits for the disk
        self.note(number, proxy_scores=scores, seconds=round(result.seconds, 4))
        paid = [(costs or {})[COST_FIELDS[name]] for name in self.costs]
        self._tell(number, TrialState.COMPLETE, [score, *paid])

    def fail(self, number: int, reason: str) -> None:
        """Record a candidate that could not be evaluated, with the reason."""
        self.note(number, reason=reason)
        self._tell(number, TrialState.FAIL)

    def prune(self, number: int) -> None:
        """Record a candidate given up early; its last intermediate value stays in the study."""
        curve = self.trials[number].intermediate_values
        self._tell(number, TrialState.PRUNED, [curve[max(curve)]] if curve else None)

    def finished(self, start: int = 0) -> Iterator[FrozenTrial]:
        """Yield the finished trials in order, from a number on."""
        trials = (self.trials[number] for number in range(start, len(self.trials)))
        return (trial for trial in trials if trial.state in FINISHED)

    def _tell(self, number: int, state: TrialState, values: list[float] | None = None) -> None:
        trial_id = self.trials[number]._trial_id
        with contextlib.suppress(UpdateFinishedTrialError):  # the first result stays
            self._safely(lambda: self._storage.set_trial_state_values(trial_id, state, values))
        self._follow(number, state=state, values=values)

    def _follow(self, number: int, **written: Any) -> None:
        """Keep what was written of a trial."""
        trial = copy.copy(self.trials[number])
        for name, value in written.items():
            setattr(trial, name, value)
        self._learn([trial])

    def _is_ready(self, number: int) -> bool:
        """Say whether all trials on whose results a proposal depends are finished."""
        return self._num_settled >= self.proposer.num_needed(number)

    def _distributions(self, point: Params) -> dict[str, BaseDistribution]:
        choices = self.space.choices
        return {name: CategoricalDistribution(choices[name]) for name in point}

    def _set(self, number: int, name: str, value: Any) -> None:
        self._storage.set_trial_user_attr(self.trials[number]._trial_id, name, value)

    def _refresh(self) -> None:
        """Read what is new in the storage: what is settled stays."""
        trials = self._safely(lambda: self._study.get_trials(deepcopy=False))
        self._learn(trials[bisect_left(trials, self._num_settled, key=attrgetter("number")) :])

    def _learn(self, trials: Iterable[FrozenTrial]) -> None:
        self.trials.update((trial.number, trial) for trial in trials)
        while (known := self.trials.get(self._num_settled)) and known.state in FINISHED:
            self._num_settled += 1

    def _safely(self, action: Callable[[], T]) -> T:
        """Do something with the storage that may be done twice."""
        return action()


def _with_defaults(identity: Any) -> Any:
    """Add the settings that a search of an older version did not know."""
    if isinstance(identity, dict) and isinstance(identity.get("search"), dict):
        return {**identity, "search": {**SearchConfig().to_dict(), **identity["search"]}}
    return identity


def _build_pruner(config: SearchConfig) -> optuna.pruners.BasePruner:
    if config.pruner == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=10, n_min_trials=5)
    if config.pruner == "halving":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
    return optuna.pruners.NopPruner()
