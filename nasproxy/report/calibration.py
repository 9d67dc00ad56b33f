"""The record of how a search's recipe was chosen, `calibration.json`, checked as it is read."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nasproxy._files import read_json
from nasproxy.errors import ArtifactError, shown
from nasproxy.report.field import (
    take_count,
    take_list,
    take_number,
    take_object,
    take_optional_fraction,
)
from nasproxy.run_folder import CALIBRATION_FILE

OWN = "the search's own recipe"
LIMIT = 1 + 1e-9
"""Of a correlation as floating point leaves it."""


@dataclass(frozen=True)
class Option:
    """A recipe that was tried."""

    changes: dict[str, Any]
    """Settings in which it differs from the search's own; empty: that."""
    first_rho: float
    """Spearman's rho with short training on all data, over the first half of the architectures."""
    rho: float | None
    """Over all of them; None: it was left out after the first half."""
    p_value: float | None
    """Chance of such a rho or a higher one, were the order random; None as for `rho`."""

    @property
    def name(self) -> str:
        """Return the recipe in a few words: `epochs 100, lr 0.1`."""
        return ", ".join(f"{name} {value}" for name, value in self.changes.items()) or OWN


@dataclass(frozen=True)
class Calibration:
    """The content of `calibration.json`, of a choice that was made to the end."""

    num_architectures: int
    num_first: int
    num_trainings: int
    options: tuple[Option, ...]
    chosen: int
    margin: float
    """By how much a recipe's rho had to be above that of the search's own."""
    recipe: dict[str, Any]
    """The search's from then on."""

    @property
    def change(self) -> dict[str, Any]:
        """Return what of the search's recipe was changed; nothing where its own stayed."""
        return self.options[self.chosen].changes

    @property
    def sentence(self) -> str:
        """Say which recipe was chosen, and by how much."""
        own, best = self.options[0], self.options[self.chosen]
        others = [option for option in self.options[1:] if option.rho is not None]
        of = f"of {len(self.options)} recipes on {self.num_architectures} architectures"
        if self.chosen:
            return f"{of}, {best.name} ranks best: rho {_rho(best)}, {OWN} {_rho(own)}"
        if not others:
            return f"{of}, {OWN} stays: rho {_rho(own)}"
        rival = max(others, key=lambda option: option.rho or 0.0)
        return (
            f"{of}, {OWN} stays: rho {_rho(own)}, and no other is clearly better (at best "
            f"{rival.name}: {_rho(rival)})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, for `report.json`."""
        return {**asdict(self), "options": [asdict(o) for o in self.options]} | {
            "sentence": self.sentence
        }


def load_calibration(folder: Path) -> Calibration | None:
    """Read `calibration.json` of a run; None where no recipe was chosen, or not to the end.

    Raises:
        ArtifactError: it is damaged.
    """
    path = folder / CALIBRATION_FILE
    record = read_json(path) if path.exists() else None
    if isinstance(record, dict) and "chosen" not in record:
        return None
    return None if record is None else parse_calibration(record, str(path))


def parse_calibration(record: Any, where: str) -> Calibration:
    """Check the content of `calibration.json`.

    Raises:
        ArtifactError: it is not what it should be.
    """
    if not isinstance(record, dict):
        raise ArtifactError(f"{where} must hold an object, got {type(record).__name__}")
    options = []
    for index, entry in enumerate(take_list(record, "options", where)):
        at = f"{where}: option {index}"
        if not isinstance(entry, dict):
            raise ArtifactError(f"{at} must be an object, got {shown(entry)}")
        rho = None if entry.get("rho") is None else _take_rho(entry, "rho", at)
        changes = take_object(entry, "changes", at)
        p_value = take_optional_fraction(entry, "p_value", at)
        options.append(Option(changes, _take_rho(entry, "first_rho", at), rho, p_value))
    chosen = take_count(record, "chosen", where)
    if chosen >= len(options) or options[0].rho is None or options[chosen].rho is None:
        raise ArtifactError(
            f"{where}: chosen must be one of {len(options)} options that were tried to the end, "
            f"got {chosen}"
        )
    return Calibration(
        num_architectures=len(take_list(record, "architectures", where)),
        num_first=take_count(record, "num_first", where),
        num_trainings=take_count(record, "num_trainings", where),
        options=tuple(options),
        chosen=chosen,
        margin=take_number(record, "margin", where),
        recipe=take_object(record, "recipe", where),
    )


def _take_rho(record: dict[str, Any], key: str, where: str) -> float:
    value = record.get(key)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is None or not is_number or not -LIMIT <= value <= LIMIT:
        raise ArtifactError(f"{where}: {key} must be a number in [-1, 1], got {shown(value)}")
    return float(value)


def _rho(option: Option) -> str:
    return f"{option.rho:.2f}"
