"""The settings of DataDAM."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from nasproxy.config.base import Config
from nasproxy.errors import ConfigError, unknown_name


class DataDAMConfig(Config):
    """DataDAM's hyper-parameters, under the paper's names (arXiv 2310.00093, section 4.1)."""

    method: Literal["datadam"] = "datadam"
    ipc: int = Field(10, ge=1)
    init: Literal["real", "noise", "kcenter"] = "real"
    iterations: int = Field(8000, ge=1)
    image_lr: float = Field(1.0, gt=0)
    image_momentum: float = Field(0.5, ge=0, lt=1)
    schedule: Literal["constant", "cosine"] = "constant"
    """Of the learning rate of the images: `cosine` ends at zero."""
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
    networks: tuple[dict[str, Any], ...] = ()
    """Architectures, of which each iteration draws one to match the images on, instead of the
    ConvNet above: the space that is to be searched, say."""
    pool: int | None = Field(None, ge=1)
    """Iterations after which networks, real images and augmentations recur, so that what networks
    attend to in real images is kept instead of computed again; None: never."""
    augment: bool = True
    num_checks: int = Field(4, ge=1)
    """Times that the images are compared on the validation split, the last iteration included."""
    seed: int = Field(0, ge=0)

    @model_serializer(mode="wrap")
    def _leave_out_later_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Keep the records of versions without `networks`, `schedule` and `pool`."""
        later: dict[str, Any] = {"networks": [], "schedule": "constant", "pool": None}
        values: dict[str, Any] = handler(self)
        return {name: value for name, value in values.items() if later.get(name) != value}

    @classmethod
    def preset(cls, name: str, **changes: Any) -> Self:
        """Return `paper`'s settings for an `ipc`, or `cpu`'s for two cores; then change some.

        Raises:
            ConfigError: the preset is unknown or a change is out of range.
        """
        if name not in DATADAM_PRESETS:
            raise ConfigError(unknown_name("preset", name, DATADAM_PRESETS))
        values = {**DATADAM_PRESETS[name], **changes}
        if name == "paper" and isinstance(ipc := changes.get("ipc"), int) and ipc > FEW_IMAGES:
            values = {"image_lr": MANY_IMAGES_LR, **values}
        return cls.parse(values, "distill")


FEW_IMAGES = 50
"""Images per class above which the paper's images learn at `MANY_IMAGES_LR` (section 4.1)."""
MANY_IMAGES_LR = 10.0

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
