"""A candidate's full training whose weights are kept, so that it is done once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from nasproxy._environment import versions
from nasproxy._files import sha256_of, write_bytes
from nasproxy._random import named_seed
from nasproxy._timing import Stopwatch
from nasproxy.config import Recipe
from nasproxy.data.dataset import Dataset
from nasproxy.models.family import Architecture, build_model
from nasproxy.training.evaluate import score
from nasproxy.training.metric import METRICS
from nasproxy.training.network import train_network
from nasproxy.verify.session import build_full_training
from nasproxy.verify.training import TrainingRecords

NETWORKS_FOLDER = "networks"
MAX_HEADER_BYTES = 2**20
SEED_INDEX = 0
"""Of a verification's seeds: the weights are those of its first training."""


@dataclass(frozen=True)
class Trained:
    """A trained network on the CPU, in evaluation mode, and the record of its training.

    The record holds `full_` and `test_` scores by metric in [0, 1], `seconds`, `versions`.
    """

    network: nn.Module
    record: dict[str, Any]
    was_kept: bool


def train_or_recall(
    dataset: Dataset, architecture: Architecture, recipe: Recipe, seed: int, folder: Path
) -> Trained:
    """Train a network as a verification does with its first seed, or take it from the run.

    Args:
        dataset: to train on, on the device to train on.
        architecture: of the network.
        recipe: how.
        seed: root seed of the verification.
        folder: of the run, which keeps the weights.

    Raises:
        ArtifactError: the folder cannot be written.
        EvaluationError: the training diverged.
    """
    records = TrainingRecords(
        folder / NETWORKS_FOLDER,
        data={"sha256": dataset.fingerprint, **dataset.config.identity()},
        recipe=recipe,
        seed=seed,
    )
    path = records.path(architecture, SEED_INDEX).with_suffix(".safetensors")
    record = records.read(architecture, SEED_INDEX)
    network = build_model(architecture, dataset.image_shape, dataset.num_classes)
    weights = _read(path, record, network)
    was_kept = weights is not None
    if weights is None:
        weights, record = _train(dataset, architecture, recipe, seed)
        write_bytes(path, weights)  # before its record: a record names weights that are there
        records.write(architecture, SEED_INDEX, record)
    assert record is not None
    network.load_state_dict(load(weights))
    return Trained(network.eval(), record, was_kept)


def _train(
    dataset: Dataset, architecture: Architecture, recipe: Recipe, seed: int
) -> tuple[bytes, dict[str, Any]]:
    work = build_full_training(dataset, recipe, seed)
    clock = Stopwatch(work.data.images.device)
    model = train_network(architecture, work.data, recipe, named_seed(seed, "full", SEED_INDEX))
    seconds = clock.seconds()
    full, test = score(model, work.validation), score(model, work.test)
    weights = save({name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()})
    return weights, {
        **{f"full_{name}": getattr(full, name) for name in METRICS},
        **{f"test_{name}": getattr(test, name) for name in METRICS},
        "seconds": seconds,
        "weights_sha256": sha256_of([weights]),
        "versions": versions(),
    }


def _read(path: Path, record: dict[str, Any] | None, network: nn.Module) -> bytes | None:
    """Return kept weights if they are whole and the network's; others are trained again."""
    if record is None or not path.is_file():
        return None
    held = sum(tensor.nbytes for tensor in network.state_dict().values())
    if path.stat().st_size > held + MAX_HEADER_BYTES:
        return None
    content = path.read_bytes()
    if sha256_of([content]) != record.get("weights_sha256"):
        return None
    try:
        return content if _fit(load(content), network) else None
    except SafetensorError:
        return None


def _fit(weights: dict[str, Tensor], network: nn.Module) -> bool:
    """Say whether tensors are finite and those of the network, by name, shape and type."""
    wanted = {name: (t.shape, t.dtype) for name, t in network.state_dict().items()}
    found = {name: (t.shape, t.dtype) for name, t in weights.items()}
    return found == wanted and all(t.isfinite().all() for t in weights.values())
