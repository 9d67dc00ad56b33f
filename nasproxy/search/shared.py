"""A study that several drivers work on: each architecture once, and no driver in charge."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, TypeVar

import numpy as np
import optuna
from optuna.trial import TrialState

from nasproxy.config import SearchConfig
from nasproxy.errors import ArtifactError
from nasproxy.search.lease import LEASE_SECONDS, OWNER, Drivers
from nasproxy.search.space import Params, SearchSpace
from nasproxy.search.storage import patiently
from nasproxy.search.study import FINISHED, ArchitectureStudy

SETTINGS = "nasproxy:settings"
UNIFORM = "nasproxy:uniform"
"""System attributes of a trial: its creator's settings, and trials drawn uniformly first."""

MIN_PAUSE_SECONDS = 1.0
PAUSE_PER_READ = 20.0
"""A database hands out every unfinished trial each time: seconds of it, with a thousand workers."""

T = TypeVar("T")


class SharedStudy(ArchitectureStudy):
    """An Optuna study with several drivers, in which no architecture occurs twice.

    A driver claims a trial by creating it, empty: its number is the storage's to give, and the
    number alone decides on the architecture. A driver's trials are its own while it beats.
    """

    def __init__(
        self,
        space: SearchSpace,
        points: list[Params],
        config: SearchConfig,
        *,
        storage: str,
        name: str,
        home: str,
        facts: Mapping[str, Any] | None = None,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self._facts = {**(facts or {}), "versions": _versions()}
        self._running: set[int] = set()
        self._guessed: dict[int, tuple[Params, str]] = {}
        super().__init__(space, points, config, storage=storage, name=name)
        self._drivers = Drivers(self._study, self._storage, storage, home, lease_seconds)
        self._settings = self._digest()
        self._due = 0.0  # beats are not known yet
        self._settle()

    def driving(self) -> AbstractContextManager[None]:
        """Return a context in which this driver's lease is renewed."""
        return self._drivers.beating()

    def identity(self) -> dict[str, Any]:
        """Return the settings that make this search and no other, data and proxy among them."""
        return {**super().identity(), **self._facts}

    def _check_identity(self, found: Any) -> None:
        """Check a study's settings; those that an older version did not record are not known."""
        known = {**self._facts, **found} if isinstance(found, dict) else found
        super()._check_identity(known)

    def take(self) -> int | None:
        """Return a trial to be run now: one of ours, one of a dead driver's, or a new one."""
        if time.monotonic() >= self._due or self._waits_for_others():
            self._refresh()
            self._safely(self._drivers.look)
        for number in self._waiting():
            if self._drivers.is_mine(self.trials[number]) or self._take_over(number):
                return self._begin(number)
        if not self.may_propose():
            return None
        number = self._claim()
        if number >= self.num_trials or not self._is_ready(number):
            return None  # others were faster; it is ours for when its turn has come
        return self._begin(number)

    def is_over(self) -> bool:
        """Say whether all trials wanted are finished, by whomever."""
        self._refresh()
        return super().is_over()

    def _refresh(self) -> None:
        """Read what is new; not so often that reading takes more than a part of the time."""
        begun = time.monotonic()
        super()._refresh()
        ended = time.monotonic()
        self._due = ended + max(MIN_PAUSE_SECONDS, PAUSE_PER_READ * (ended - begun))

    def _waits_for_others(self) -> bool:
        """Say whether the next trial needs a result that, by what is known, others have not yet."""
        number = len(self.trials)
        is_early = number < self.num_trials and not self._is_ready(number)
        return is_early and self._num_settled not in self._running

    def _take_over(self, number: int) -> bool:
        """Take a trial over if its driver is dead by beats that are newer than the trial."""
        if not self._drivers.may_take(self.trials[number]):
            return False
        self._safely(self._drivers.look)
        if not self._drivers.may_take(self.trials[number]):
            return False
        self._read(self.trials[number]._trial_id)  # the last that its driver did
        trial = self.trials[number]
        return trial.state not in FINISHED and self._safely(partial(self._drivers.take_over, trial))

    def _waiting(self) -> list[int]:
        """Return the trials that somebody may begin now, in order."""
        return [
            number
            for number in range(self._num_settled, min(self.num_trials, len(self.trials)))
            if self.trials[number].state not in FINISHED
            and number not in self._running
            and self._is_ready(number)
        ]

    def _claim(self) -> int:
        """Create an empty trial and return the number that the storage has given it."""
        template = optuna.trial.create_trial(
            state=TrialState.WAITING,
            system_attrs={
                OWNER: list(self._drivers.me),
                SETTINGS: self._settings,
                UNIFORM: self.proposer.num_uniform,
            },
        )
        # done twice where the answer was lost: then both are ours
        key = self._safely(lambda: self._storage.create_new_trial(self._study_id, template))
        claimed = self._safely(lambda: self._storage.get_trial(key))
        for number in range(len(self.trials), claimed.number):  # others' since we last looked
            self._read(self._safely(partial(self._find, number)))
        self._learn([claimed])
        self._settle()
        return claimed.number

    def _find(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def _settle(self) -> None:
        """Follow the study's first trial where two drivers opened the study at once.

        Raises:
            ArtifactError: its creator has other settings.
        """
        told = self.trials[0].system_attrs if self.trials else {}
        if told.get(SETTINGS, self._settings) != self._settings:
            raise ArtifactError(
                f"study {self._study.study_name!r} in this storage belongs to another search "
                "(trial 0 has other settings): choose another --study-name"
            )
        self.proposer.num_uniform = told.get(UNIFORM, self.proposer.num_uniform)

    def _begin(self, number: int) -> int:
        """Give a trial its architecture if it has none, and mark it as running."""
        if self.trials[number].state is TrialState.WAITING:
            point, origin = self._compute(number)
            trial_id = self.trials[number]._trial_id
            for name, kind in self._distributions(point).items():
                value = kind.to_internal_repr(point[name])
                self._safely(partial(self._storage.set_trial_param, trial_id, name, value, kind))
            self.note(number, origin=origin, architecture=self.space.architecture(point))
            self._safely(lambda: self._storage.set_trial_state_values(trial_id, TrialState.RUNNING))
            self._read(trial_id)
        self._running.add(number)
        return number

    def _compute(self, number: int) -> tuple[Params, str]:
        """Return a trial's point, whoever claimed it; those before it may not be written yet."""
        for before in range(len(self._earlier), number + 1):
            trial = self.trials[before]
            if trial.state is TrialState.WAITING:
                self._guessed[before] = self.proposer.propose(self._earlier, self.trials)
                self._earlier.append(self._guessed[before][0])
            else:
                self._earlier.append(trial.params)
        return self._guessed[number]

    def _tell(self, number: int, state: TrialState, values: list[float] | None = None) -> None:
        super()._tell(number, state, values)
        self._read(self.trials[number]._trial_id)  # another driver's result may have been first
        self._running.discard(number)

    def _read(self, trial_id: int) -> None:
        """Read one trial; all of them would take longer with every trial."""
        self._learn([self._safely(lambda: self._storage.get_trial(trial_id))])

    def _digest(self) -> str:
        """Return a hash of the settings that the study knows: later ones are at their defaults."""
        identity, known = self.identity(), self._study.user_attrs["identity"]["search"]
        identity["search"] = {k: v for k, v in identity["search"].items() if k in known}
        text = json.dumps(identity, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _safely(self, action: Callable[[], T]) -> T:
        return patiently(action)


def _versions() -> dict[str, str]:
    """Return the versions on which a proposal depends: all drivers must find the same."""
    return {"optuna": optuna.__version__, "numpy": np.__version__}
