"""A distillation on its way, and the file that it goes on from. No pickle, ever."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ConfigDict, Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from nasproxy._files import check_file, write_bytes
from nasproxy.config import Config
from nasproxy.distill.base import DistillState, Synthetic
from nasproxy.errors import ArtifactError, ConfigError

MAX_BYTES = 64 * 2**30


class _Entry(Config):
    """An entry of the history; a method may note more."""

    model_config = ConfigDict(extra="allow")

    iteration: int = Field(ge=0)
    validation_accuracy: float = Field(ge=0, le=1)


class _Progress(Config):
    """What a checkpoint says beside its tensors."""

    iteration: int = Field(ge=0)
    history: tuple[_Entry, ...]
    seconds: float = Field(ge=0)
    extra: tuple[str, ...] = ()
    rests_on: dict[str, Any] = {}


@dataclass
class Checkpoint:
    """A distillation on its way.

    Attributes:
        state: after the last step.
        best: what the best state yet would give a proxy.
        rests_on: what the method was prepared with.
        history: what was measured.
        seconds: wall seconds spent, preparations left out.
    """

    state: DistillState
    best: Synthetic
    rests_on: dict[str, Any]
    history: list[dict[str, Any]]
    seconds: float = 0.0

    def best_accuracy(self) -> float:
        """Return the best validation accuracy yet, in [0, 1], or -1 before the first check."""
        return max((entry["validation_accuracy"] for entry in self.history), default=-1.0)

    def kept_iteration(self) -> int:
        """Return the iteration that gave `best`: the first of those with the best accuracy."""
        found: int = max(self.history, key=lambda entry: entry["validation_accuracy"])["iteration"]
        return found


def save_checkpoint(path: Path, key: dict[str, Any], session: Checkpoint) -> None:
    """Write a checkpoint with the key by which it is known again."""
    state = session.state
    progress = {
        "iteration": state.iteration, "history": session.history, "seconds": session.seconds,
        "extra": list(state.extra), "rests_on": session.rests_on,
    }  # fmt: skip
    tensors = {
        "images": state.images,
        "labels": state.labels,
        "velocity": state.velocity,
        **{f"extra_{name}": tensor for name, tensor in state.extra.items()},
        **{f"best_{k}": v for k, v in session.best._asdict().items() if v is not None},
    }
    content = save(
        {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()},
        metadata={"key": json.dumps(key), "progress": json.dumps(progress)},
    )
    write_bytes(path, content)


def load_checkpoint(path: Path, key: dict[str, Any], device: torch.device) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        ArtifactError: it is damaged, or belongs to another distillation.
    """
    try:
        check_file(path, MAX_BYTES)
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        found = json.loads(metadata["key"])
        if found != json.loads(json.dumps(key)):
            different = differences(key["config"], found.get("config", {})) or "other data"
            raise ArtifactError(
                f"{path.parent} holds another, unfinished distillation ({different}): "
                "choose another --out, or delete the folder"
            )
        content = json.loads(metadata["progress"])
        progress = _Progress.parse(content)
        _check(tensors)
        tensors = {name: tensor.to(device) for name, tensor in tensors.items()}
        state = DistillState(
            tensors["images"],
            tensors["labels"],
            tensors["velocity"],
            progress.iteration,
            {name: tensors[f"extra_{name}"] for name in progress.extra},
        )
        best = Synthetic(
            tensors["best_images"], tensors.get("best_soft_labels"), tensors.get("best_step_size")
        )
        return Checkpoint(state, best, progress.rests_on, content["history"], progress.seconds)
    except (
        OSError, SafetensorError, LookupError, ValueError, TypeError, AttributeError,
        RecursionError, ConfigError,
    ) as error:  # fmt: skip
        raise ArtifactError(f"{path} is damaged ({error}): delete it to begin again") from error


def _check(tensors: dict[str, Tensor]) -> None:
    """Refuse tensors that no step could go on from.

    Raises:
        ValueError: naming the fault.
        KeyError: one is missing.
    """
    images = tensors["images"]
    if images.ndim != 4 or images.dtype != torch.float32:
        raise ValueError(f"images {images.dtype} {tuple(images.shape)}")
    for name in ("velocity", "best_images"):
        if tensors[name].shape != images.shape or tensors[name].dtype != torch.float32:
            raise ValueError(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}")
    labels = tensors["labels"]
    if labels.shape != images.shape[:1] or labels.dtype != torch.int64:
        raise ValueError(f"labels {labels.dtype} {tuple(labels.shape)}")


def differences(wanted: dict[str, Any], found: dict[str, Any]) -> str:
    """Name the settings that are not as wanted."""
    names: Iterable[str] = (name for name in wanted if wanted[name] != found.get(name))
    return ", ".join(f"{name} {found.get(name)!r} instead of {wanted[name]!r}" for name in names)
