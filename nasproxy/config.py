"""The settings of every stage: frozen, strict, each default written once.

TOML or JSON in, JSON out. An error names the dotted path of the setting, the value and the rule.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from nasproxy.errors import ConfigError, unknown_name


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
    return f"{path} {rule}, got {value!r}{flag}"


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
    """Read a TOML file of the user's.

    Raises:
        ConfigError: it is missing, or not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}; check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error


class Augmentation(Config):
    """Random changes of an image that keep its class; all zeros change nothing.

    Angles in degrees; `scale`, `shift`, `brightness`, `contrast` are the largest relative change
    (a shift of 0.1 is a tenth of the side); `cutout` is the side of the blanked square, relative.
    """

    rotate: float = Field(0.0, ge=0, le=180)
    scale: float = Field(0.0, ge=0, lt=1)
    shift: float = Field(0.0, ge=0, le=1)
    brightness: float = Field(0.0, ge=0)
    contrast: float = Field(0.0, ge=0, le=1)
    cutout: float = Field(0.0, ge=0, lt=1)
    flip: bool = False


DIGITS = Augmentation(rotate=15, scale=0.15, shift=0.1)
OBJECTS = Augmentation(rotate=10, scale=0.1, shift=0.1, flip=True)


class DataConfig(Config):
    """Which images, and how they are divided."""

    dataset: str
    data_dir: str | None = None
    image_size: int | None = Field(None, ge=4, le=1024)
    validation_fraction: float = Field(0.1, gt=0, lt=0.9)
    seed: int = Field(0, ge=0)


class Recipe(Config):
    """How a network is trained and scored; part of every result."""

    epochs: int = Field(300, ge=1)
    batch_size: int = Field(256, ge=1)
    lr: float = Field(0.05, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(5e-4, ge=0)
    schedule: Literal["cosine", "drop", "constant"] = "cosine"
    augmentation: Literal["fitting", "none"] = "fitting"
    """`fitting`: the data set's own (no flips for digits); `none`: the images as they are."""
    recalibrate_images: int = Field(1000, ge=0)
    """Real training images on which BatchNorm statistics are re-estimated before scoring."""
    validation_images: int | None = Field(2000, ge=1)
    """Size of the stratified part of the validation split that scores; None: all of it."""


SEARCH_RECIPE = Recipe()
FULL_RECIPE = Recipe(epochs=3, recalibrate_images=0, validation_images=None)
STUDY_PROTOCOL = Recipe(
    epochs=20, lr=0.01, augmentation="none", recalibrate_images=0, validation_images=None
)
STANDARD_PROTOCOL = Recipe(
    epochs=1000, lr=0.01, schedule="drop", recalibrate_images=0, validation_images=None
)
PROTOCOLS = {"study": STUDY_PROTOCOL, "standard": STANDARD_PROTOCOL}


class DataDAMConfig(Config):
    """DataDAM's hyper-parameters, under the paper's names (arXiv 2310.00093, section 4.1)."""

    method: Literal["datadam"] = "datadam"
    ipc: int = Field(10, ge=1)
    init: Literal["real", "noise", "kcenter"] = "real"
    iterations: int = Field(8000, ge=1)
    image_lr: float = Field(1.0, gt=0)
    image_momentum: float = Field(0.5, ge=0, lt=1)
    p: float = Field(4.0, gt=0)
    task_balance: float = Field(0.01, ge=0)
    """Lambda, the weight of the embedding term."""
    loss_scale: float = Field(1.0, gt=0)
    """Factor on both terms; the released script uses 100, so its image lr is tied to it."""
    real_batch: int = Field(128, ge=1)
    """Real images per class and iteration; a smaller class gives all it has."""
    depth: int = Field(3, ge=1)
    width: int = Field(128, ge=1)
    norm: Literal["none", "batch", "instance", "layer", "group"] = "instance"
    activation: Literal["relu", "leakyrelu", "sigmoid"] = "relu"
    pooling: Literal["none", "max", "avg"] = "avg"
    augment: bool = True
    num_checks: int = Field(4, ge=1)
    """Times that the images are compared on the validation split, the last iteration included."""
    seed: int = Field(0, ge=0)

    @classmethod
    def preset(cls, name: str, **changes: Any) -> Self:
        """Return `paper`'s settings, or `cpu`'s, which suit two cores; then change some.

        Raises:
            ConfigError: the preset is unknown or a change is out of range.
        """
        if name not in DATADAM_PRESETS:
            raise ConfigError(unknown_name("preset", name, DATADAM_PRESETS))
        return cls.parse({**DATADAM_PRESETS[name], **changes}, "distill")


DATADAM_PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "cpu": {
        "iterations": 2500,
        "image_lr": 5.0,
        "p": 1.0,
        "loss_scale": 100.0,
        "real_batch": 64,
        "width": 32,
    },
}


class SearchConfig(Config):
    """How the space is searched."""

    space: str = "convnet"
    trials: int = Field(60, ge=1)
    sampler: Literal["tpe", "random", "grid"] = "tpe"
    pruner: Literal["none", "median", "halving"] = "none"
    uniform_trials: int | None = Field(None, ge=0)
    """Trials drawn uniformly before the sampler learns; None: a third, at least ten."""
    seeds: int = Field(1, ge=1)
    """Trainings per candidate, averaged."""
    recipe: Recipe = SEARCH_RECIPE
    seed: int = Field(0, ge=0)


class VerifyConfig(Config):
    """How candidates are checked on the full data."""

    top: int = Field(5, ge=0)
    uniform: int = Field(20, ge=0)
    seeds: int = Field(2, ge=1)
    recipe: Recipe = FULL_RECIPE
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _something_to_do(self) -> Self:
        if self.top + self.uniform == 0:
            raise ValueError("top and uniform are both 0: nothing to verify (--top, --uniform)")
        return self


class RunConfig(Config):
    """The whole pipeline: what `nasproxy run --config FILE` reads."""

    data: DataConfig
    proxy: str = "synthetic"
    distill: DataDAMConfig = DataDAMConfig.preset("cpu")
    search: SearchConfig = SearchConfig()
    verify: VerifyConfig = VerifyConfig()
