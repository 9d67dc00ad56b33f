"""Which rows a study has: data to train on, times networks and protocols, plus the search."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from nasproxy.config import (
    PROTOCOLS,
    STUDY_PROTOCOL,
    Config,
    DataConfig,
    DataDAMConfig,
    DistillConfig,
    PADConfig,
    Recipe,
)
from nasproxy.errors import ConfigError, shown, unknown_name
from nasproxy.models.family import named_architecture
from nasproxy.proxy.coreset import SELECTIONS

CROSS_PROTOCOL = STUDY_PROTOCOL.replace(epochs=100)
"""Of the cross-architecture rows: 100 plain epochs."""
FULL = "full"
SOFT = "soft"
BASELINES = (*SELECTIONS, *(f"{kind}-{SOFT}" for kind in SELECTIONS))
"""Proxies of real images, with their labels or with those of teachers."""


class StudyConfig(Config):
    """What the study is run with; the defaults are what two cores can bear."""

    data: DataConfig
    ipc: int = Field(10, ge=1)
    model: str = "convnet-3"
    widths: tuple[int, ...] = Field((32,), min_length=1)
    """Of the model; the first is the one that full data is trained at."""
    seeds: int = Field(5, ge=1)
    """Trainings on a proxy."""
    full_seeds: int = Field(2, ge=1)
    """Trainings on the full data."""
    cross_models: tuple[str, ...] = ("alexnet", "resnet18")
    cross_seeds: int = Field(2, ge=1)
    search_seeds: int = Field(3, ge=1)
    """Trainings of each of the 20 MLPs."""
    datadam: DataDAMConfig = DataDAMConfig.preset("cpu")
    pad: PADConfig = PADConfig.preset("cpu")
    baselines: tuple[str, ...] = ("random", "random-soft")
    seed: int = Field(0, ge=0)

    @field_validator("widths")
    @classmethod
    def _widths_are_widths(cls, widths: tuple[int, ...]) -> tuple[int, ...]:
        if min(widths) < 1:
            raise ValueError(f"each must be >= 1, got {min(widths)} (--width)")
        return widths

    @field_validator("widths", "baselines", "cross_models")
    @classmethod
    def _each_is_there_once(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        for value in values:
            if (times := values.count(value)) > 1:
                raise ValueError(f"{shown(value)} is named {times} times: name it once")
        return values

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        for name in self.baselines:
            if name not in BASELINES:
                raise ValueError(f"baselines: {unknown_name('baseline proxy', name, BASELINES)}")
        _check_model("model", self.model, self.widths[0])
        for name in self.cross_models:
            _check_model("cross_models", name)
        return self

    def distillation(self, proxy: str) -> DistillConfig | None:
        """Return how a proxy is distilled, or None for one of real images."""
        common = {"ipc": self.ipc, "seed": self.seed}
        if proxy.startswith("datadam-"):
            return self.datadam.replace(init=proxy.removeprefix("datadam-"), **common)
        return self.pad.replace(**common) if proxy == "pad" else None

    def num_seeds(self, row: Row) -> int:
        """Return the trainings of a row's network, or of each of its networks."""
        if row.kind == "search":
            return self.search_seeds
        if row.data == FULL:
            return self.full_seeds
        return self.cross_seeds if row.kind == "cross" else self.seeds

    def proxies(self) -> tuple[str, ...]:
        """Name the proxies that are made or given, in the order of the table."""
        return ("datadam-real", "datadam-noise", "pad", *self.baselines)


def _check_model(setting: str, name: str, width: int | None = None) -> None:
    try:
        named_architecture(name, width)
    except ConfigError as error:
        raise ValueError(f"{setting}: {error}") from error


@dataclass(frozen=True)
class Row:
    """One experiment: train a network, or search, on some data.

    Attributes:
        data: `full` or the name of a proxy.
        kind: `study`, `standard`, `cross` or `search`.
        model: name of the network, empty for the search.
        width: of the network; None: its own.
    """

    data: str
    kind: str
    model: str = ""
    width: int | None = None

    @property
    def name(self) -> str:
        """Return the row's name, also its file's."""
        sized = f"{self.model}-w{self.width}" if self.width else self.model
        return "/".join(part for part in (self.data, sized, self.kind) if part)

    @property
    def file(self) -> str:
        """Return where its result is in the folder of the study."""
        return f"rows/{self.name.replace('/', '--')}.json"

    @property
    def recipe(self) -> Recipe:
        """Return how the network is trained."""
        if self.kind in PROTOCOLS:
            return PROTOCOLS[self.kind]
        return CROSS_PROTOCOL if self.kind == "cross" else STUDY_PROTOCOL


def plan(config: StudyConfig, only: tuple[str, ...] = ()) -> list[Row]:
    """List the rows, cheap ones of each kind of data first.

    Args:
        config: of the study.
        only: patterns with * and ?, any of which a row's name must match; empty: all rows.

    Raises:
        ConfigError: a pattern fits no row.
    """
    rows = [Row(FULL, "study", config.model, config.widths[0]), Row(FULL, "search")]
    for data in config.proxies():
        for kind in PROTOCOLS:
            rows += [Row(data, kind, config.model, width) for width in config.widths]
        rows += [Row(data, "cross", model) for model in config.cross_models]
        rows.append(Row(data, "search"))
    for pattern in only:
        if not any(fnmatch.fnmatch(row.name, pattern) for row in rows):
            raise ConfigError(
                f"no row is called {pattern!r} (--rows); there are "
                f"{', '.join(row.name for row in rows)}"
            )
    return [r for r in rows if not only or any(fnmatch.fnmatch(r.name, p) for p in only)]
