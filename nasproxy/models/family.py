"""Families of networks by name: an architecture is a family's name and its settings.

A new family is one file and one line in `FAMILIES`.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import nn

from nasproxy.config import Config
from nasproxy.errors import ConfigError, unknown_name
from nasproxy.models.base import initialize
from nasproxy.models.convnet import ConvNet, ConvNetConfig
from nasproxy.models.mlp import MLP, MLPConfig

Architecture = dict[str, Any]
"""Plain JSON values: `{"family": "convnet", "depth": 3, ...}`."""


FAMILIES: dict[str, tuple[type[Config], type[nn.Module]]] = {
    "convnet": (ConvNetConfig, ConvNet),
    "mlp": (MLPConfig, MLP),
}


def check_architecture(architecture: Architecture, image_shape: tuple[int, int, int]) -> None:
    """Refuse an architecture that is malformed or does not fit images (C, H, W).

    Raises:
        ConfigError: naming the fault.
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
    """
    config, network = parse_architecture(architecture)
    model = network(config, image_shape, num_classes)
    if generator is not None:
        initialize(model, generator)
    return model


def named_architecture(name: str, width: int | None = None) -> Architecture:
    """Translate a name such as `convnet-3` or `mlp` into an architecture.

    Raises:
        ConfigError: the name is unknown.
    """
    if match := re.fullmatch(r"convnet-(\d{1,2})", name):
        return {"family": "convnet", "depth": int(match[1]), "width": width or 128}
    if name == "mlp":
        return {"family": "mlp", "hidden": [width or 128] * 2}
    raise ConfigError(unknown_name("model", name, ["convnet-3", "convnet-7", "mlp"]))


def parse_architecture(architecture: Architecture) -> tuple[Config, type[nn.Module]]:
    """Return an architecture's validated settings and the class of its network.

    Raises:
        ConfigError: the family is unknown or a setting is malformed.
    """
    settings = dict(architecture)
    family = str(settings.pop("family", "convnet"))
    if family not in FAMILIES:
        raise ConfigError(unknown_name("family of networks", family, FAMILIES))
    config_class, network = FAMILIES[family]
    return config_class.parse(settings, where=family), network
