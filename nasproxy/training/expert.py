"""An expert on disk: a network trained on the real training split, and its snapshots.

An expert is `expert-NNN.safetensors` beside `expert-NNN.json`, the second written last.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from nasproxy._files import check_file, read_json, sha256_of
from nasproxy.config import Config, Recipe
from nasproxy.errors import ArtifactError, ConfigError
from nasproxy.models.family import build_model
from nasproxy.training.evaluate import predict

SCHEMA_VERSION = 1
MAX_TENSORS_BYTES = 64 * 2**30


Side = Annotated[int, Field(ge=1, le=100_000)]


class ExpertPlan(Config):
    """What the experts of a folder have in common; only their seeds differ."""

    architecture: dict[str, Any]
    recipe: Recipe
    """Its `epochs` say how many passes over all images the steps amount to, rounded up."""
    num_periods: int = Field(ge=1)
    """The training ends after this many; a snapshot may follow each."""
    period_steps: int | None = Field(None, ge=1)
    """Steps of a period; None: one pass over the images in use."""
    num_snapshots: int = Field(ge=1)
    """That are kept: the initial parameters and those after the first periods."""
    samples: dict[str, Any] | None = None
    """Which images are in use when; None: always all."""


class ExpertRecord(Config):
    """What an expert is: `expert-NNN.json`."""

    schema_version: int = SCHEMA_VERSION
    seed: int
    plan: ExpertPlan
    dataset: str
    data: dict[str, Any]
    """What decides the training images, as in a run's records, and their fingerprint."""
    image_shape: tuple[Side, Side, Side]
    num_classes: int = Field(ge=1, le=1_000_000)
    num_parameters: int = Field(ge=1)
    validation_accuracy: float = Field(ge=0, le=1)
    seconds: float = Field(ge=0)
    """Wall seconds by which it prolonged the training of all."""
    tensors_sha256: str
    versions: dict[str, str] = {}


@dataclass(frozen=True)
class Expert:
    """A finished expert, its tensors still on disk.

    The file holds float32 `snapshots` (S, P), parameters one after another in the network's order,
    `final` (P,), and `buffers` (B,), the running statistics of BatchNorm.
    """

    path: Path
    record: ExpertRecord

    def snapshot(self, index: int) -> Tensor:
        """Read the parameters (P,) of one snapshot."""
        with safe_open(self.path, framework="pt") as file:
            row: Tensor = file.get_slice("snapshots")[index]
        return row

    def network(self, device: torch.device) -> nn.Module:
        """Build the network with its final parameters."""
        record = self.record
        model = build_model(record.plan.architecture, record.image_shape, record.num_classes)
        with safe_open(self.path, framework="pt") as file:
            put_flat(list(model.parameters()), file.get_tensor("final"))
            put_flat(statistics(model), file.get_tensor("buffers"))
        return model.to(device)


def outputs(experts: list[Expert], images: Tensor) -> Tensor:
    """Return each expert's logits (E, N, K) for images (N, C, H, W)."""
    found = [predict(expert.network(images.device), images) for expert in experts]
    return torch.stack(found).clone()  # no longer bound to inference


def expert_path(folder: Path, index: int) -> Path:
    """Return where the tensors of an expert are or will be."""
    return folder / f"expert-{index:03d}.safetensors"


def load_expert(folder: Path, index: int) -> Expert:
    """Open a finished expert, verifying its hash.

    Raises:
        ArtifactError: it is missing or damaged, or of a later version.
    """
    path = expert_path(folder, index)
    record = _read_record(path.with_suffix(".json"))
    remedy = f"delete {path.with_suffix('.json').name} to have this expert trained again"
    try:
        check_file(path, MAX_TENSORS_BYTES)
        with path.open("rb") as file:
            found = sha256_of(iter(lambda: file.read(2**20), b""))
        if found != record.tensors_sha256:
            raise ArtifactError(
                f"{path} is cut off or was changed: sha256 {found[:12]}, its record says "
                f"{record.tensors_sha256[:12]}; {remedy}"
            )
        _check_tensors(path, record)
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror}; {remedy}") from error
    except SafetensorError as error:
        raise ArtifactError(f"{path} holds no snapshots ({error}); {remedy}") from error
    return Expert(path, record)


def load_experts(folder: Path) -> list[Expert]:
    """Open all finished experts of a folder, in the order of their numbers.

    Raises:
        ArtifactError: there is none, or one is damaged.
    """
    names = [path.stem.removeprefix("expert-") for path in folder.glob("expert-*.json")]
    found = sorted(int(name) for name in names if re.fullmatch("[0-9]{3,9}", name))
    if not found:
        raise ArtifactError(f"{folder} holds no experts: choose another --experts-dir")
    return [load_expert(folder, index) for index in found]


def check_data(expert: Expert, data: dict[str, Any], image_shape: tuple[int, int, int]) -> None:
    """Refuse an expert on other images (C, H, W) or another split than these.

    Raises:
        ArtifactError: naming what differs.
    """
    record = expert.record
    ours, theirs = str(data.get("sha256")), str(record.data.get("sha256"))
    if ours != theirs:
        raise ArtifactError(
            f"{expert.path} was trained on other data ({record.dataset}, {theirs[:12]} instead of "
            f"{ours[:12]}): choose another --experts-dir"
        )
    if record.image_shape != image_shape:
        raise ArtifactError(
            f"{expert.path} was trained on images of {record.image_shape}, these are "
            f"{image_shape}: use --image-size {record.image_shape[-1]} or another --experts-dir"
        )
    different = [
        name for name in {**record.data, **data} if record.data.get(name) != data.get(name)
    ]
    if different:
        raise ArtifactError(
            f"{expert.path} was trained on another split of {record.dataset} (other "
            f"{', '.join(different)}): choose another --experts-dir"
        )


def check_plan(expert: Expert, plan: ExpertPlan) -> None:
    """Refuse an expert that was made by another plan.

    More snapshots than wanted are welcome, and so is a longer training at a constant learning rate.

    Raises:
        ArtifactError: naming what differs.
    """
    found, wanted = _dotted(expert.record.plan.to_dict()), _dotted(plan.to_dict())
    at_least = ("num_periods", "num_snapshots", "recipe.epochs")
    different = [
        name
        for name in {**found, **wanted}
        if found.get(name) != wanted.get(name) and name not in at_least
    ]
    if different:
        model = any(name.startswith("architecture.") for name in different)
        how = ", ".join(
            f"{name.rpartition('.')[2]} {found.get(name)!r} instead of {wanted.get(name)!r}"
            for name in different
        )
        raise ArtifactError(
            f"{expert.path} is an expert of another {'model' if model else 'kind'} ({how}): choose "
            "the same settings or another --experts-dir"
        )
    if expert.record.plan.num_snapshots < plan.num_snapshots:
        raise ArtifactError(
            f"{expert.path} has {expert.record.plan.num_snapshots} snapshots, the starts and the "
            f"matching distance need {plan.num_snapshots}: use a smaller --max-start or another "
            "--experts-dir"
        )
    _check_length(expert, plan)


def _check_length(expert: Expert, plan: ExpertPlan) -> None:
    """Refuse an expert that was trained for too few periods, or decayed over other ones."""
    periods, wanted = expert.record.plan.num_periods, plan.num_periods
    if periods < wanted:
        length = f"ended after {periods} periods"
    elif periods > wanted and plan.recipe.schedule != "constant":
        length = f"lasted {periods} periods, over which its learning rate decayed"
    else:
        return
    raise ArtifactError(
        f"the training of {expert.path} {length}, {wanted} are wanted: use --expert-epochs as it "
        "did, or another --experts-dir"
    )


def flat(tensors: Sequence[Tensor]) -> Tensor:
    """Return a float32 copy of tensors, one after another, (P,) on the CPU."""
    if not tensors:
        return torch.zeros(0)
    return torch.cat([tensor.detach().flatten() for tensor in tensors]).float().cpu()


@torch.no_grad()
def put_flat(tensors: Sequence[Tensor], values: Tensor) -> None:
    """Copy values (P,) into tensors, one after another."""
    sizes = [tensor.numel() for tensor in tensors]
    for tensor, part in zip(tensors, values.split(sizes), strict=True):
        tensor.copy_(part.view(tensor.shape))


def statistics(model: nn.Module) -> list[Tensor]:
    """Return the running statistics of a network, without its counters."""
    return [buffer for buffer in model.buffers() if buffer.is_floating_point()]


def _check_tensors(path: Path, record: ExpertRecord) -> None:
    """Refuse tensors that are not what the record's network needs, before any is read.

    Raises:
        ArtifactError: naming the tensor.
        SafetensorError: one is missing.
    """
    try:
        with torch.device("meta"):  # sizes alone: a record may ask for any amount of memory
            model = build_model(record.plan.architecture, record.image_shape, record.num_classes)
    except (ConfigError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ArtifactError(f"{path.with_suffix('.json')} names no network: {reason}") from error
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    wanted = {
        "snapshots": [record.plan.num_snapshots, record.num_parameters],
        "final": [num_parameters],
        "buffers": [sum(buffer.numel() for buffer in statistics(model))],
    }
    if num_parameters != record.num_parameters:
        raise ArtifactError(
            f"{path.with_suffix('.json')} says {record.num_parameters} parameters, its network "
            f"has {num_parameters}"
        )
    with safe_open(path, framework="pt") as tensors:
        for name, shape in wanted.items():
            part = tensors.get_slice(name)
            if part.get_shape() != shape or part.get_dtype() != "F32":
                raise ArtifactError(
                    f"{path} holds {name} {part.get_dtype()} {part.get_shape()}, its record says "
                    f"otherwise: F32 {shape}"
                )


def _dotted(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by dotted path."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found.update(_dotted(value, f"{prefix}{name}."))
        else:
            found[prefix + name] = value
    return found


def _read_record(path: Path) -> ExpertRecord:
    content = read_json(path)
    if not isinstance(content, dict) or content.get("schema_version") != SCHEMA_VERSION:
        raise ArtifactError(f"{path} is no record of an expert that this nasproxy reads: delete it")
    try:
        return ExpertRecord.parse(content)
    except ConfigError as error:
        raise ArtifactError(f"{path}: {error}") from error
