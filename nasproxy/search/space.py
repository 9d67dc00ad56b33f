"""Search spaces: finite sets of architectures, written as TOML."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from nasproxy.config import Config, read_toml
from nasproxy.errors import ConfigError, SearchSpaceError, shown, unknown_name
from nasproxy.models.builder import BUILDER, BuilderName, Sha256, load_builder
from nasproxy.models.family import Architecture, check_architecture, parse_architecture

Value = bool | int | float | str
Params = dict[str, Value]
"""A point in the space's own terms: switches and parameters that exist, by name."""

MAX_SIZE = 1_000_000
MAX_BRANCHES = 20_000
MAX_PARAMETERS = 100
MAX_VALUES = 10_000
MAX_NAME = 100
NO_SETTINGS = ("family", "builder", "builder_sha256")
"""Names that an architecture has besides its settings."""


class SearchSpace(Config):
    """A finite space: every combination of values whose conditions hold.

    Attributes:
        name: of the file.
        family: of networks.
        builder: `MODULE:FUNCTION` that makes them, instead of a family of ours.
        builder_sha256: of its file; `load_space` finds it, and a file that names it insists on it.
        switches: parameters that only steer others.
        parameters: settings of the network; `NAME.INDEX` fills a list.
        conditions: for a parameter, the values of earlier ones under which it exists.
        fixed: settings that are the same everywhere.
    """

    name: str = "unnamed"
    family: str = BUILDER
    builder: BuilderName | None = None
    builder_sha256: Sha256 | None = None
    description: str = ""
    switches: dict[str, tuple[Value, ...]] = {}
    parameters: dict[str, tuple[Value, ...]] = Field(min_length=1)
    conditions: dict[str, dict[str, tuple[Value, ...]]] = {}
    fixed: dict[str, Any] = {}

    @model_validator(mode="after")
    def _check_source(self) -> Self:
        if (self.family == BUILDER) != (self.builder is not None):
            raise ValueError("a space has a family or a builder: give one, above the tables")
        for name in NO_SETTINGS:
            if name in self.parameters or name in self.fixed:
                raise ValueError(f"{name} stands above the tables, not in one")
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; of a builder only where there is one, as in older records."""
        return {name: value for name, value in super().to_dict().items() if value is not None}

    @property
    def choices(self) -> dict[str, tuple[Value, ...]]:
        """Switches and parameters with their values, in the order they are chosen."""
        return {**self.switches, **self.parameters}

    def exists(self, name: str, chosen: Params) -> bool:
        """Say whether a parameter exists, given the values chosen before it."""
        conditions = self.conditions.get(name, {})
        return all(chosen.get(other) in values for other, values in conditions.items())

    def points(self) -> Iterator[Params]:
        """Yield every point, in the order of the file."""
        return self._extend({}, list(self.choices))

    def _extend(self, chosen: Params, names: list[str]) -> Iterator[Params]:
        if not names:
            yield dict(chosen)
            return
        name, *rest = names
        if not self.exists(name, chosen):
            yield from self._extend(chosen, rest)
            return
        for value in self.choices[name]:
            yield from self._extend({**chosen, name: value}, rest)

    def architecture(self, point: Params) -> Architecture:
        """Translate a point into an architecture."""
        source = {name: getattr(self, name) for name in NO_SETTINGS}
        architecture: Architecture = {
            **{name: value for name, value in source.items() if value is not None},
            **self.fixed,
        }
        lists: dict[str, dict[int, Value]] = {}
        for name, value in point.items():
            if name in self.switches:
                continue
            base, dot, index = name.partition(".")
            if dot:
                lists.setdefault(base, {})[int(index)] = value
            else:
                architecture[name] = value
        for base, values in lists.items():
            architecture[base] = [values[index] for index in sorted(values)]
        return architecture

    def feasible_points(self, image_shape: tuple[int, int, int]) -> list[Params]:
        """Return the points whose networks can take images (C, H, W).

        Raises:
            SearchSpaceError: none can; the message says why the first one cannot. Or they take
                code that may not or cannot be imported.
        """
        reason = ""
        feasible = []
        for point in self.points():
            try:
                check_architecture(self.architecture(point), image_shape)
                feasible.append(point)
            except ConfigError as error:
                reason = reason or str(error)
        if not feasible:
            raise SearchSpaceError(f"no architecture of space {self.name} fits the data: {reason}")
        return feasible


def load_space(name_or_path: str) -> SearchSpace:
    """Load a space that nasproxy ships, by name, or a TOML file of the user's.

    A builder that it names is imported, if `nasproxy.allow_code` has allowed it.

    Raises:
        SearchSpaceError: it is unknown or malformed, and the message names the key; or it names
            code that may not or cannot be imported.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        shipped = shipped_spaces()
        if name_or_path not in shipped:
            raise SearchSpaceError(
                unknown_name("search space", name_or_path, shipped, or_else="a .toml file")
            )
        path = shipped[name_or_path]
    try:
        space = SearchSpace.parse({"name": path.stem, **read_toml(path)})
    except ConfigError as error:
        raise SearchSpaceError(f"{path.name}: {error}") from error
    _check(space, path.name)
    return _with_hash(space, path.name)


def _with_hash(space: SearchSpace, file_name: str) -> SearchSpace:
    """Import the builder, if there is one, and note which code it is."""
    if space.builder is None:
        return space
    try:
        builder = load_builder(space.builder, space.builder_sha256)
    except SearchSpaceError as error:
        raise SearchSpaceError(f"{file_name}: {error}") from error
    return space.replace(builder_sha256=builder.sha256)


def shipped_spaces() -> dict[str, Path]:
    """Return the spaces that come with nasproxy, by name."""
    package = resources.files("nasproxy.search")
    folders = (Path(str(package)) / "spaces", Path(str(package)).parents[1] / "search_spaces")
    return {
        path.stem: path
        for folder in folders
        if folder.is_dir()
        for path in sorted(folder.glob("*.toml"))
    }


def point_key(point: Params) -> str:
    """Return a string that two points share exactly when they are the same."""
    return json.dumps(point, sort_keys=True)


def is_ordered(values: tuple[Value, ...]) -> bool:
    """Say whether values are numbers, so that one can lie between two others."""
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def _check(space: SearchSpace, file_name: str) -> None:
    """Refuse what is malformed: names, values, conditions, settings of the network, size."""
    _check_names(space, file_name)
    _check_conditions(space, file_name)
    unseen = {(name, repr(value)) for name, values in space.choices.items() for value in values}
    size = 0
    for number, branch in enumerate(_branches(space), start=1):
        size += math.prod(map(len, branch.values()))
        if size > MAX_SIZE:
            raise SearchSpaceError(f"{file_name}: more than {MAX_SIZE} architectures; use fewer")
        if number > MAX_BRANCHES:
            raise SearchSpaceError(
                f"{file_name}: conditions on more than {MAX_BRANCHES} combinations; use fewer"
            )
        for index in range(max(map(len, branch.values()))):
            point = {name: values[index % len(values)] for name, values in branch.items()}
            new = unseen.intersection((name, repr(value)) for name, value in point.items())
            if not new:  # every value is tried once: a typo in a later one must not vanish
                break
            unseen -= new
            try:
                parse_architecture(space.architecture(point))
            except ConfigError as error:
                raise SearchSpaceError(f"{file_name}: {error}") from error
    if unseen:
        name, value = sorted(unseen)[0]
        raise SearchSpaceError(f"{file_name}: no architecture has {name} = {value}; leave it out")


def _branches(space: SearchSpace) -> Iterator[dict[str, tuple[Value, ...]]]:
    """Yield the values of the parameters that exist, for each choice of those that steer others.

    The points of a branch are all combinations of its values, so that none has to be listed.
    """
    steering = {other for conditions in space.conditions.values() for other in conditions}
    choices = list(space.choices.items())

    def extend(
        position: int, branch: dict[str, tuple[Value, ...]]
    ) -> Iterator[dict[str, tuple[Value, ...]]]:
        for index in range(position, len(choices)):
            name, values = choices[index]
            conditions = space.conditions.get(name, {})
            if any(o not in branch or branch[o][0] not in v for o, v in conditions.items()):
                continue
            if name in steering:
                for value in values:
                    yield from extend(index + 1, {**branch, name: (value,)})
                return
            branch[name] = values
        yield branch

    return extend(0, {})


def _check_names(space: SearchSpace, file_name: str) -> None:
    if len(space.choices) > MAX_PARAMETERS:
        raise SearchSpaceError(
            f"{file_name}: {len(space.choices):,} parameters, at most {MAX_PARAMETERS} are handled"
        )
    for name in space.choices:
        if len(name) > MAX_NAME:
            raise SearchSpaceError(f"{file_name}: the name {shown(name, 40)} is too long")
    for name in space.switches:
        if name in space.parameters:
            raise SearchSpaceError(f"{file_name}: {name} is both a switch and a parameter")
    for name in space.parameters:
        base, dot, index = name.partition(".")
        if dot and not (index.isascii() and index.isdecimal()):
            raise SearchSpaceError(f"{file_name}: {name} must end in a number, as in {base}.0")
        if base in space.fixed or (dot and base in space.parameters):
            raise SearchSpaceError(f"{file_name}: {base} is given twice")
    for name, values in space.choices.items():
        distinct = {(isinstance(value, bool), value) for value in values}
        if len(values) > MAX_VALUES:
            raise SearchSpaceError(
                f"{file_name}: {name} has {len(values):,} values, the most are {MAX_VALUES:,}"
            )
        if not values or len(distinct) < len(values):
            raise SearchSpaceError(
                f"{file_name}: {name} needs distinct values, got {shown(values)}"
            )


def _check_conditions(space: SearchSpace, file_name: str) -> None:
    names = list(space.choices)
    for name, conditions in space.conditions.items():
        if name not in names:
            raise SearchSpaceError(f"{file_name}: " + unknown_name("parameter", name, names))
        for other in conditions:
            if other not in names[: names.index(name)]:
                raise SearchSpaceError(
                    f"{file_name}: the condition of {name} must name an earlier parameter, "
                    f"got {other!r}"
                )
