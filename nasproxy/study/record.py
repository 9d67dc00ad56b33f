"""The record of a study's row: what its tables and pages take from it, checked as it is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator

from nasproxy._files import read_json
from nasproxy.config import Config
from nasproxy.errors import ArtifactError, ConfigError
from nasproxy.study.plan import Row

Fraction = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(gt=0, le=1e12)]
Count = Annotated[int, Field(ge=1, le=10**18)]


class _Found(Config):
    """Base of what is read: more than is looked at may be there."""

    model_config = ConfigDict(extra="ignore")


class _Recipe(_Found):
    epochs: Count


class _Common(_Found):
    recipe: _Recipe
    num_seeds: Count
    versions: dict[str, str]
    command: str


class _Run(_Found):
    curve: tuple[Fraction, ...] = ()


class _Training(_Common):
    """Networks trained on one kind of data."""

    runs: tuple[_Run, ...]
    accuracy_mean: Fraction
    accuracy_std: Fraction
    balanced_accuracy_mean: Fraction
    balanced_accuracy_std: Fraction
    auc_mean: Fraction = 0.0
    auc_std: Fraction = 0.0
    majority_class_rate: Fraction = 0.0
    test_class_counts: tuple[Annotated[int, Field(ge=0, le=10**18)], ...] = ()
    seconds_mean: Seconds
    num_params: Count = 1
    multiply_adds: Count = 1

    @model_validator(mode="after")
    def _means_have_spreads(self) -> Self:
        if len({"auc_mean", "auc_std"} & self.model_fields_set) == 1:
            raise ValueError("auc_mean and auc_std must both be there, or neither")
        return self

    @model_validator(mode="after")
    def _curves_are_of_one_length(self) -> Self:
        lengths = {len(run.curve) for run in self.runs if run.curve}
        if len(lengths) > 1:
            raise ValueError(f"runs have curves of {sorted(lengths)} epochs: they must be alike")
        return self


class _Network(_Found):
    architecture: dict[str, Any]
    validation: tuple[Fraction, ...] = Field(min_length=1)
    own: tuple[Fraction, ...] = Field(min_length=1)


class _Search(_Common):
    """The MLPs searched on one kind of data."""

    networks: tuple[_Network, ...] = Field(min_length=1)
    seconds: Seconds


def read_rows(paths: Mapping[Row, Path]) -> dict[str, dict[str, Any]]:
    """Read the rows that there are.

    Args:
        paths: of the rows' files.

    Returns:
        Their results by the name of the row.

    Raises:
        ArtifactError: one is damaged, or two searches do not compare.
    """
    there = {row: path for row, path in paths.items() if path.exists()}
    found = {row.name: _read(row, path) for row, path in there.items()}
    sizes = {row.name: len(found[row.name]["networks"]) for row in there if row.kind == "search"}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise ArtifactError(
            f"the searches hold different numbers of networks ({listed}): delete the file of the "
            "one that is wrong in rows/"
        )
    return found


def _read(row: Row, path: Path) -> dict[str, Any]:
    found = read_json(path)
    if not isinstance(found, dict):
        raise ArtifactError(
            f"{path} must hold an object, got {type(found).__name__}: delete it to run the row anew"
        )
    try:
        (_Search if row.kind == "search" else _Training).parse(found)
    except ConfigError as error:
        raise ArtifactError(f"{path}: {error}; delete it to run the row anew") from error
    return found
