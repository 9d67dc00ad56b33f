"""What all settings have in common: frozen, strict, each default written once.

TOML or JSON in, JSON out. An error names the dotted path of the setting, the value and the rule.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from nasproxy._files import check_file
from nasproxy.errors import ArtifactError, ConfigError, nearest, shown, unknown_name

MAX_TOML_BYTES = 64 * 2**10
MAX_DOTS = 1000
"""In a line: Python's reader takes time and memory with the square of the parts of a key."""


class Config(BaseModel):
    """Base of all settings: immutable, no unknown keys, no silent conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @classmethod
    def parse(cls, values: dict[str, Any], where: str = "") -> Self:
        """Validate plain values, as they come from TOML, JSON or the command line.

        Raises:
            ConfigError: naming the dotted path, the rule and the value of the first fault.
        """
        try:
            text = json.dumps(values)
        except (TypeError, ValueError, RecursionError) as error:
            raise ConfigError(_not_json(values, where)) from error
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise ConfigError(_first_fault(cls, error, where)) from error

    def replace(self, **changes: Any) -> Self:
        """Return a validated copy with some settings changed."""
        return type(self).parse({**self.to_dict(), **changes})

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return self.model_dump(mode="json")


def _first_fault(model: type[BaseModel], error: ValidationError, where: str) -> str:
    fault = error.errors()[0]
    path = ".".join(str(part) for part in (where, *fault["loc"]) if part != "")
    value = fault.get("input")
    name = str(fault["loc"][-1]) if fault["loc"] else ""
    if fault["type"] == "extra_forbidden":
        return unknown_name("setting", path, _known_paths(model, where))
    if fault["type"] == "value_error":
        return f"{path + ': ' if path else ''}{fault['ctx']['error']}"
    rule = fault["msg"].replace("Input should be", "must be").replace("Input should", "must")
    flag = f" (--{name.replace('_', '-')})" if name and not name.isdigit() else ""
    is_choice = fault["type"] == "literal_error" and isinstance(value, str)
    hint = nearest(str(value), re.findall(r"'([^']*)'", rule)) if is_choice else ""
    return f"{path} {rule}, got {shown(value)}{flag}{hint}"


def _not_json(values: dict[str, Any], where: str) -> str:
    """Name the first setting that is no text, number, truth value, list or table."""
    for name, value in values.items():
        path = f"{where}.{name}" if where else name
        if isinstance(value, dict):
            if found := _not_json(value, path):
                return found
        elif not isinstance(value, str | int | float | list | tuple | None):
            return f"{path} must not be a {type(value).__name__}, got {value}"
    return "" if where else "the settings hold a value that JSON does not know"


def _known_paths(model: type[BaseModel], prefix: str) -> list[str]:
    paths: list[str] = []
    for name, field in model.model_fields.items():
        path = f"{prefix}.{name}" if prefix else name
        paths.append(path)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            paths.extend(_known_paths(field.annotation, path))
    return paths


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file of the user's, of at most 64 KiB.

    Raises:
        ConfigError: it is missing, too large, or not TOML.
    """
    try:
        check_file(path, MAX_TOML_BYTES)
        text = path.read_text(encoding="utf-8")
        if any(line.count(".") > MAX_DOTS for line in text.split("\n")):
            raise ConfigError(f"{path} has a line of more than {MAX_DOTS} dots: break it up")
        return tomllib.loads(text)
    except ArtifactError as error:
        raise ConfigError(str(error)) from error
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}; check the path") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
