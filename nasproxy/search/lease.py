"""Who works on a shared study's trials: drivers that beat, and trials taken over from the dead.

Nothing here compares clocks of two hosts. A driver writes a count that grows; another holds it for
dead when it has itself watched that count stand still for the whole lease. What has to be decided
once among many is decided by the one thing that every Optuna storage does atomically: numbering
trials. See docs/adr/0007-leases.md.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from nasproxy.search.storage import create_study, outages, patiently

LEASE_SECONDS = 60.0
BEATS_PER_LEASE = 6
OWNER = "nasproxy:owner"
"""System attribute of a trial: who created it."""
_DRIVER = "nasproxy:driver:"
"""Prefix of the study's system attributes in which drivers beat."""


class Owner(NamedTuple):
    """A driver: its home is its run folder on its host; each process has a life of its own."""

    home: str
    life: str


class Sighting(NamedTuple):
    """A driver's last beat that was new to us, and when it was, on our own clock in seconds."""

    entry: Mapping[str, Any]
    since: float


class Watch:
    """Says which drivers are dead, from their beats and this host's steady clock alone."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, Sighting] = {}
        self._last_look = clock()
        self._lock = threading.Lock()

    def look(self, beats: Mapping[str, Mapping[str, Any]]) -> None:
        """Take note of the beats by home, as they are in the study now."""
        with self._lock:
            now = self._clock()
            for home, entry in beats.items():
                known = self._seen.get(home)
                # while we could not look, the database may have been away for all
                blind = now - self._last_look > 2 * entry["lease"] / BEATS_PER_LEASE
                if known is None or known.entry != entry or blind:
                    self._seen[home] = Sighting(entry, now)
            self._last_look = now

    def is_dead(self, owner: Owner) -> bool:
        """Say whether a driver's lease is over: it ended, began a new life, or stands still."""
        with self._lock:
            known = self._seen.get(owner.home)
            if known is None:  # registers before it claims: it came after our last look
                return False
            if known.entry["life"] != owner.life or known.entry.get("ended"):
                return True
            return self._clock() - known.since > float(known.entry["lease"])


class Drivers:
    """This driver among the others of a study; a context in which its lease is renewed."""

    def __init__(
        self, study: optuna.Study, storage: BaseStorage, url: str, home: str, lease_seconds: float
    ) -> None:
        self.me = Owner(home, uuid.uuid4().hex[:12])
        self._name = study.study_name
        self._storage = storage
        self._study_id = storage.get_study_id_from_name(self._name)
        self._url = url
        self._lease = lease_seconds
        self._count = 0
        self._watch = Watch()
        self._looking = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_beating, daemon=True)
        self._tickets: dict[int, list[Mapping[str, Any]]] = {}  # by trial, in their order

    @contextlib.contextmanager
    def beating(self) -> Iterator[None]:
        """Hold the lease; at the end give up what is held, so that others need not wait."""
        patiently(self._beat)
        self._thread.start()
        try:
            yield
        finally:
            self._over.set()
            self._thread.join(self._lease)
            with contextlib.suppress(*outages()):
                self._write(ended=True)

    def look(self) -> None:
        """Read the others' beats; to be done after reading trials, before judging their owners."""
        with self._looking:  # else an older answer could follow a newer one
            attributes = self._storage.get_study_system_attrs(self._study_id)
            self._watch.look(
                {
                    key.removeprefix(_DRIVER): beat
                    for key, beat in attributes.items()
                    if key.startswith(_DRIVER)
                }
            )
            with contextlib.suppress(KeyError):  # nothing was ever taken over
                log = self._storage.get_study_id_from_name(self._log_name)
                tickets: dict[int, list[Mapping[str, Any]]] = {}
                for ticket in self._storage.get_all_trials(log, deepcopy=False):
                    tickets.setdefault(ticket.system_attrs["trial"], []).append(ticket.system_attrs)
                self._tickets = tickets

    def owner(self, trial: FrozenTrial) -> Owner | None:
        """Return who has a trial now; None of one that an older version made."""
        owners = self._owners(trial)
        return owners[-1] if owners else None

    def is_mine(self, trial: FrozenTrial) -> bool:
        """Say whether a trial is this driver's."""
        return self.owner(trial) == self.me

    def may_take(self, trial: FrozenTrial) -> bool:
        """Say whether a trial's owner is dead by the last look, or was never told."""
        owner = self.owner(trial)
        return owner is None or (owner != self.me and self._watch.is_dead(owner))

    def take_over(self, trial: FrozenTrial) -> bool:
        """Take a trial over if its owner is dead; of many that try at once, one succeeds."""
        if not self.may_take(trial):
            return False
        generation = len(self._owners(trial))
        log = create_study(self._storage, self._url, self._log_name)
        ticket = optuna.trial.create_trial(
            value=float(trial.number),
            system_attrs={"trial": trial.number, "generation": generation, OWNER: list(self.me)},
        )
        log.add_trial(ticket)
        self.look()
        owners = self._owners(trial)
        return len(owners) > generation and owners[generation] == self.me

    def _owners(self, trial: FrozenTrial) -> list[Owner]:
        """Return a trial's owners so far: its creator, then who holds the first valid tickets."""
        created = trial.system_attrs.get(OWNER)
        owners = [Owner(*created)] if created else []
        for told in self._tickets.get(trial.number, ()):
            if told["generation"] == len(owners):
                owners.append(Owner(*told[OWNER]))
        return owners

    @property
    def _log_name(self) -> str:
        return f"{self._name} (taken over)"

    def _keep_beating(self) -> None:
        while not self._over.wait(self._lease / BEATS_PER_LEASE):
            with contextlib.suppress(Exception):  # whatever it was, the next beat may get through
                self._beat()

    def _beat(self) -> None:
        self._count += 1
        self._write()
        self.look()

    def _write(self, **more: Any) -> None:
        entry = {"life": self.me.life, "beat": self._count, "lease": self._lease, **more}
        self._storage.set_study_system_attr(self._study_id, _DRIVER + self.me.home, entry)


def home_of(folder: Path, mark: str) -> str:
    """Name a run folder among all hosts': by host, path and a mark kept in the folder itself.

    Of two processes with one home, the earlier must be dead: a lock on the folder sees to that.
    """
    place = json.dumps([socket.gethostname(), str(folder.resolve()), mark])
    return f"{socket.gethostname()}:{hashlib.sha256(place.encode()).hexdigest()[:12]}"
