"""Families of networks by name: an architecture is a family's name and its settings.

A new family is one file and one line in `FAMILIES`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from nasproxy.config import Config
from nasproxy.errors import ConfigError, unknown_name
from nasproxy.models.alexnet import AlexNet, AlexNetConfig
from nasproxy.models.base import initialize
from nasproxy.models.builder import BUILDER, BuilderConfig, build_by_code
from nasproxy.models.convnet import ConvNet, ConvNetConfig
from nasproxy.models.mlp import MLP, MLPConfig
from nasproxy.models.resnet import ResNet18, ResNet18Config

Architecture = dict[str, Any]
"""Plain JSON values: `{"family": "convnet", "depth": 3, ...}`."""

FAMILIES: dict[str, tuple[type[Config], type[nn.Module]]] = {
    "convnet": (ConvNetConfig, ConvNet),
    "mlp": (MLPConfig, MLP),
    "alexnet": (AlexNetConfig, AlexNet),
    "resnet18": (ResNet18Config, ResNet18),
}


def check_architecture(architecture: Architecture, image_shape: tuple[int, int, int]) -> None:
    """Refuse an architecture that is malformed or does not fit images (C, H, W).

    Raises:
        ConfigError: naming the fault.
        SearchSpaceError: it takes code that may not or cannot be imported.
    """
    config: Any = parse_architecture(architecture)[0]
    config.check(image_shape)


def build_model(
    architecture: Architecture,
    image_shape: tuple[int, int, int],
    num_classes: int,
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Build a network for images (C, H, W), its weights drawn from the generator if given.

    Raises:
        ConfigError: the architecture is malformed or does not fit the images.
        SearchSpaceError: it takes code that may not or cannot be imported.
    """
    config, network = parse_architecture(architecture)
    if isinstance(config, BuilderConfig):  # code of the user's initializes its networks itself
        return build_by_code(config, image_shape, num_classes, generator)
    model = network(config, image_shape, num_classes)
    if generator is not None:
        initialize(model, generator)
    return model


def named_architecture(name: str, width: int | None = None) -> Architecture:
    """Translate `convnet-N` (of N blocks), `mlp`, `alexnet` or `resnet18` into an architecture.

    Args:
        name: of the model.
        width: of all its layers; None: 128, or the model's own.

    Raises:
        ConfigError: the name is unknown, the width is none, or one is given to a model whose widths
            are fixed.
    """
    if width is not None and width < 1:
        raise ConfigError(f"width must be >= 1, got {width} (--width)")
    wide = 128 if width is None else width
    if match := re.fullmatch(r"convnet-(\d{1,2})", name):
        return {"family": "convnet", "depth": int(match[1]), "width": wide}
    if name == "mlp":
        return {"family": "mlp", "hidden": [wide] * 2}
    if name in ("alexnet", "resnet18"):
        if width is not None:
            raise ConfigError(f"the widths of {name} are fixed: leave out {width} (--width)")
        return {"family": name}
    known = ["convnet-3", "convnet-7", "convnet-N", "mlp", "alexnet", "resnet18"]
    raise ConfigError(unknown_name("model", name, known))


def parse_architecture(architecture: Architecture) -> tuple[Config, Callable[..., nn.Module]]:
    """Return an architecture's validated settings and what makes its network; no code is imported.

    Raises:
        ConfigError: the family is unknown or a setting is malformed.
    """
    settings = dict(architecture)
    family = str(settings.pop("family", "convnet"))
    if family == BUILDER:
        return BuilderConfig.parse(settings, where=BUILDER), build_by_code
    if family not in FAMILIES:
        raise ConfigError(unknown_name("family of networks", family, FAMILIES))
    config_class, network = FAMILIES[family]
    return config_class.parse(settings, where=family), network
