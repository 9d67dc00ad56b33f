"""The settings of every stage: frozen, strict, each default written once.

TOML or JSON in, JSON out. An error names the dotted path of the setting, the value and the rule.
"""

from __future__ import annotations

import json
import math
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

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

    Angles in degrees; `scale`, `shift`, `brightness`, `contrast`, `saturation` are the largest
    relative change (a shift of 0.1 is a tenth of the side); `cutout` is the side of the blanked
    square, relative. `flip` swaps left and right, `flip_vertical` up and down; `saturation` does
    nothing to images of one channel.
    """

    rotate: float = Field(0.0, ge=0, le=180)
    scale: float = Field(0.0, ge=0, lt=1)
    shift: float = Field(0.0, ge=0, le=1)
    brightness: float = Field(0.0, ge=0)
    contrast: float = Field(0.0, ge=0, le=1)
    cutout: float = Field(0.0, ge=0, lt=1)
    flip: bool = False
    flip_vertical: bool = False
    saturation: float = Field(0.0, ge=0, le=1)

    @model_serializer(mode="wrap")
    def _leave_out_later_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Keep the records of versions without `flip_vertical` and `saturation`."""
        later = ("flip_vertical", "saturation")
        values: dict[str, Any] = handler(self)
        return {name: value for name, value in values.items() if value or name not in later}


DIGITS = Augmentation(rotate=15, scale=0.15, shift=0.1)
OBJECTS = Augmentation(rotate=10, scale=0.1, shift=0.1, flip=True)
TISSUE = Augmentation(
    rotate=180, scale=0.1, shift=0.05, brightness=0.1, contrast=0.1, saturation=0.1,
    flip=True, flip_vertical=True,
)  # fmt: skip
"""Microscopy: no up or down, and stains of varying strength."""
GENERIC = Augmentation(rotate=5, scale=0.1, shift=0.05)
"""What leaves nearly any image in its class."""
AUGMENTATIONS = {
    "none": Augmentation(),
    "digits": DIGITS,
    "objects": OBJECTS,
    "tissue": TISSUE,
    "generic": GENERIC,
}


AugmentationName = Literal["none", "digits", "objects", "tissue", "generic"]


class DataConfig(Config):
    """Which images, and how they are divided."""

    dataset: str
    data_dir: str | None = None
    image_size: int | None = Field(None, ge=4, le=1024)
    validation_fraction: float = Field(0.1, gt=0, lt=0.9)
    group_column: str | None = Field(None, min_length=1)
    """`COLUMN` of the CSV file that describes the data, or `FILE.csv:COLUMN` of one beside it."""
    skip_unreadable: bool = False
    """Leave out images that are missing or damaged, with a warning, instead of stopping."""
    augmentation: Augmentation | AugmentationName | None = None
    """Changes that keep an image's class; None: what fits the data set."""
    seed: int = Field(0, ge=0)

    @field_validator("augmentation", mode="before")
    @classmethod
    def _known_augmentation(cls, value: Any) -> Any:
        if isinstance(value, str) and value not in AUGMENTATIONS:
            raise ValueError(unknown_name("augmentation", value, AUGMENTATIONS))
        return value

    def identity(self) -> dict[str, Any]:
        """Return what decides which images are in which split, for records to compare.

        The folder does not; settings that came later are left out where they do not matter, so
        that records of older versions still count.
        """
        values = self.to_dict()
        later = ("group_column", "skip_unreadable", "augmentation")
        unused = {name for name in later if not values[name]}
        return {**{n: v for n, v in values.items() if n not in unused}, "data_dir": None}


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
    learned_step_size: bool = False
    """On a proxy with a step size of its own: plain SGD with that learning rate, no momentum."""

    @model_serializer(mode="wrap")
    def _leave_out_later_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Keep the records, and their hashes, of versions without `learned_step_size`."""
        values: dict[str, Any] = handler(self)
        if not values["learned_step_size"]:
            del values["learned_step_size"]
        return values


SEARCH_RECIPE = Recipe()
FULL_RECIPE = Recipe(epochs=3, recalibrate_images=0, validation_images=None)
SMALL = 20_000
"""Training images below which full training takes smaller batches and more epochs."""


def full_recipe(num_images: int) -> Recipe:
    """Return how networks are trained on all of so many images unless the user says otherwise.

    Some 160,000 images are seen, in 3 to 20 epochs: on two cores that is what verification can
    bear, and enough to tell networks apart (docs/log.md).
    """
    epochs = max(FULL_RECIPE.epochs, min(20, math.ceil(160_000 / num_images)))
    batch_size = FULL_RECIPE.batch_size if num_images >= SMALL else 64
    return FULL_RECIPE.replace(epochs=epochs, batch_size=batch_size)


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


class PADConfig(Config):
    """PAD's hyper-parameters (arXiv 2408.03360, section 4.1), with those of the DATM that it is.

    Trajectories are counted in snapshots: one an epoch in the paper, one every `snapshot_steps`
    steps where experts learn within a few epochs. Without filters (`filter_samples` false, `alpha`
    0) this is DATM (arXiv 2310.05773), and with hard labels, too, MTT (arXiv 2203.11932).
    """

    method: Literal["pad"] = "pad"
    ipc: int = Field(10, ge=1)
    init: Literal["real", "noise", "kcenter"] = "real"
    """`real`: images that all experts classify correctly."""
    iterations: int = Field(10_000, ge=1)
    experts: int = Field(100, ge=1)
    expert_epochs: int | None = Field(None, ge=1)
    """That each expert is trained for; None: until the last snapshot that can be read."""
    expert_lr: float = Field(0.01, gt=0)
    expert_momentum: float = Field(0.0, ge=0, lt=1)
    expert_batch: int = Field(256, ge=1)
    snapshot_steps: int | None = Field(None, ge=1)
    """Steps of an expert from one snapshot to the next; None: one epoch."""
    filter_samples: bool = True
    """Experts begin with easy images; hard ones are added, later the easiest dropped (FIEX)."""
    difficulty: Literal["el2n", "gradient", "forgetting"] = "el2n"
    difficulty_networks: int = Field(10, ge=1)
    difficulty_epochs: int = Field(20, ge=1)
    """Epochs of the networks by which images are ranked."""
    easy_fraction: float = Field(0.75, gt=0, le=1)
    """Of each class, that an expert begins with."""
    add_until: int = Field(20, ge=0)
    """Snapshot by which all images have been added, little by little."""
    drop: tuple[tuple[Annotated[int, Field(ge=0)], Annotated[float, Field(ge=0, lt=1)]], ...] = (
        (40, 0.1),
        (60, 0.2),
    )
    """From snapshot s on, the easiest fraction f of each class is left out: pairs (s, f)."""
    alpha: float = Field(0.25, ge=0, lt=1)
    """Fraction of the parameters that is not matched (FIEM); CIFAR-10: 0 at ipc 1, 0.25 at 10 and
    50, 0.5 at 500, 0.75 at 1000."""
    mask: Literal["depth", "loss"] = "depth"
    """Which parameters that is: the shallowest, or those that match best."""
    match_distance: int = Field(2, ge=1)
    """Snapshots between a student's start and the expert's parameters that it is to reach (M)."""
    min_start: int = Field(0, ge=0)
    """First snapshot that a student may start from."""
    first_max_start: int = Field(10, ge=1)
    """Students start before this snapshot at first, and in the end before `max_start`."""
    max_start: int = Field(20, ge=1)
    growth_iterations: int | None = Field(None, ge=1)
    """Iterations in which the window of starts grows; None: all."""
    student_steps: int = Field(80, ge=1)
    student_batch: int | None = Field(None, ge=1)
    """Synthetic images per step of a student; None: all."""
    image_lr: float = Field(100.0, gt=0)
    image_momentum: float = Field(0.5, ge=0, lt=1)
    soft_labels: bool = True
    label_lr: float = Field(2.0, gt=0)
    label_momentum: float = Field(0.9, ge=0, lt=1)
    step_size: float = Field(0.01, gt=0)
    """Learning rate of the students at first; it is learned, too."""
    step_lr: float = Field(1e-5, ge=0)
    """Learning rate of that learning rate; 0 keeps it as it is."""
    clip: float | None = Field(None, gt=0)
    """Longest gradient of an image or label, in running medians of them; None: any length."""
    depth: int = Field(3, ge=1)
    width: int = Field(128, ge=1)
    norm: Literal["none", "batch", "instance", "layer", "group"] = "instance"
    activation: Literal["relu", "leakyrelu", "sigmoid"] = "relu"
    pooling: Literal["none", "max", "avg"] = "avg"
    augment: bool = True
    max_memory_gib: float = Field(4.0, gt=0)
    """For the graphs of an unrolled training; steps beyond it are computed twice instead."""
    num_checks: int = Field(4, ge=1)
    """Times that the images are compared on the validation split, the last iteration included."""
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _clocks_agree(self) -> Self:
        if not self.min_start < self.first_max_start <= self.max_start:
            raise ValueError(
                "start snapshots must obey min_start < first_max_start <= max_start, got "
                f"{self.min_start}, {self.first_max_start} and {self.max_start} (--max-start)"
            )
        for _, fraction in self.drop:
            if fraction >= self.easy_fraction:
                raise ValueError(
                    f"drop must leave some images: fractions < easy_fraction {self.easy_fraction}, "
                    f"got {fraction}"
                )
        if self.difficulty == "forgetting" and self.difficulty_epochs < 2:
            raise ValueError(
                "difficulty forgetting needs difficulty_epochs >= 2 to see an image forgotten, "
                f"got {self.difficulty_epochs}"
            )
        return self

    @classmethod
    def preset(cls, name: str, **changes: Any) -> Self:
        """Return `paper`'s settings, or `cpu`'s, which suit two cores; then change some.

        Raises:
            ConfigError: the preset is unknown or a change is out of range.
        """
        if name not in PAD_PRESETS:
            raise ConfigError(unknown_name("preset", name, PAD_PRESETS))
        return cls.parse({**PAD_PRESETS[name], **changes}, "distill")


PAD_PRESETS: dict[str, dict[str, Any]] = {
    "paper": {"max_memory_gib": 32.0},
    "cpu": {
        "iterations": 1000,
        "experts": 4,
        "expert_lr": 0.05,
        "snapshot_steps": 50,
        "difficulty_networks": 2,
        "difficulty_epochs": 1,
        "add_until": 10,
        "first_max_start": 10,
        "max_start": 10,
        "student_steps": 8,
        "step_size": 0.05,
        "step_lr": 1e-3,
        "clip": 3.0,
        "width": 32,
    },
}

DistillConfig = DataDAMConfig | PADConfig
DISTILL_CONFIGS: dict[str, type[DistillConfig]] = {"datadam": DataDAMConfig, "pad": PADConfig}
DISTILL_PRESETS = {"datadam": DATADAM_PRESETS, "pad": PAD_PRESETS}


def distill_config(method: Any) -> type[DistillConfig]:
    """Return the class of a method's settings.

    Raises:
        ConfigError: the method is unknown.
    """
    if not isinstance(method, str) or method not in DISTILL_CONFIGS:
        known = " or ".join(repr(name) for name in DISTILL_CONFIGS)
        raise ConfigError(f"distill.method must be {known}, got {method!r} (--method)")
    return DISTILL_CONFIGS[method]


class SearchConfig(Config):
    """How the space is searched."""

    space: str = "convnet"
    metric: Literal["accuracy", "balanced_accuracy", "auc"] = "accuracy"
    """What candidates are ranked by; `auc` takes exactly two classes."""
    trials: int = Field(60, ge=1)
    sampler: Literal["tpe", "random", "grid"] = "tpe"
    pruner: Literal["none", "median", "halving"] = "none"
    uniform_trials: int | None = Field(None, ge=0)
    """Trials drawn uniformly before the sampler learns; None: a third, at least ten."""
    seeds: int = Field(1, ge=1)
    """Trainings per candidate, averaged."""
    recipe: Recipe = SEARCH_RECIPE
    seed: int = Field(0, ge=0)

    def num_uniform(self) -> int:
        """Return how many trials are drawn uniformly before the sampler learns."""
        return max(10, self.trials // 3) if self.uniform_trials is None else self.uniform_trials


class VerifyConfig(Config):
    """How candidates are checked on the full data."""

    top: int = Field(5, ge=0)
    uniform: int = Field(20, ge=0)
    seeds: int = Field(2, ge=1)
    epochs: int | None = Field(None, ge=1)
    """Instead of the recipe's."""
    recipe: Recipe | None = None
    """None: `full_recipe` of the number of training images."""
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _something_to_do(self) -> Self:
        if self.top + self.uniform == 0:
            raise ValueError("top and uniform are both 0: nothing to verify (--top, --uniform)")
        return self

    def full_recipe(self, num_images: int) -> Recipe:
        """Return the recipe for so many training images."""
        recipe = self.recipe or full_recipe(num_images)
        return recipe if self.epochs is None else recipe.replace(epochs=self.epochs)


class RunConfig(Config):
    """The whole pipeline: what `nasproxy run --config FILE` reads."""

    data: DataConfig
    proxy: str = "synthetic"
    distill: DistillConfig = DataDAMConfig.preset("cpu")
    search: SearchConfig = SearchConfig()
    verify: VerifyConfig = VerifyConfig()

    @field_validator("distill", mode="before")
    @classmethod
    def _by_method(cls, values: Any) -> Any:
        """Read a table as the settings of its method, DataDAM's where it names none."""
        if isinstance(values, Config):
            return values
        if not isinstance(values, dict):
            raise ConfigError(f"distill must be a table of settings, got {values!r}")
        return distill_config(values.get("method", "datadam")).parse(values, "distill")
