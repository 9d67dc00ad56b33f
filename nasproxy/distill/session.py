"""A distillation from its first step to a saved proxy: checkpoints, checks, pictures."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from nasproxy._files import ensure_folder, write_bytes
from nasproxy._random import named_seed
from nasproxy._timing import Stopwatch
from nasproxy.config import DataDAMConfig, Recipe
from nasproxy.data.dataset import Dataset
from nasproxy.distill.base import Distiller, DistillState, DistillStep
from nasproxy.distill.datadam import DataDAM
from nasproxy.errors import ArtifactError, EvaluationError
from nasproxy.progress import Progress, Watch, unwatched
from nasproxy.proxy.dataset import ProxyDataset, describe
from nasproxy.proxy.grid import draw_grid, save_grid
from nasproxy.proxy.store import MANIFEST_FILE, load_manifest, load_proxy, save_proxy
from nasproxy.training.evaluate import accuracy
from nasproxy.training.network import TrainingSet, train_network

CHECKPOINT_FILE = "checkpoint.safetensors"
CHECKPOINT_SECONDS = 20.0
CHECK_RECIPE = Recipe(epochs=200, recalibrate_images=0, validation_images=None)
CHECK_SEEDS = 2


@dataclass
class _Session:
    """What a checkpoint holds: the state, the best images so far, and what was measured."""

    state: DistillState
    best_images: Tensor
    history: list[dict[str, Any]]
    seconds: float = 0.0

    def best_accuracy(self) -> float:
        return max((entry["validation_accuracy"] for entry in self.history), default=-1.0)


def distill(
    dataset: Dataset,
    config: DataDAMConfig,
    folder: Path | str,
    *,
    watch: Watch = unwatched,
) -> ProxyDataset:
    """Distill a data set into a proxy, going on from the folder's checkpoint if there is one.

    The images kept are those with the best accuracy on the validation split among the initial
    ones and `num_checks` later states. The folder gets `proxy.safetensors`, `manifest.json` and
    the pictures `start.png`, `middle.png` and `final.png`.

    Args:
        dataset: on the device to work on.
        config: method and hyper-parameters.
        folder: to be created or gone on with.
        watch: told after every iteration.

    Raises:
        ArtifactError: the folder holds another proxy, or cannot be written.
        ConfigError: the configuration does not fit the data.
        EvaluationError: the images are no longer finite.
    """
    folder = Path(folder)
    settings = config.to_dict()
    if (folder / MANIFEST_FILE).exists():
        return _finished(folder, dataset, settings)
    distiller = DataDAM(config)
    device = dataset.train.labels.device
    ensure_folder(folder)
    path = folder / CHECKPOINT_FILE
    key = {"config": settings, "data_sha256": dataset.fingerprint, "shape": dataset.image_shape}
    session = _load(path, key, device) if path.exists() else _begin(distiller, dataset, folder)
    clock = Stopwatch(device)
    already = session.seconds
    saved_at = time.monotonic()
    for step in distiller.steps(dataset, session.state):
        session.state = step.state
        iteration = step.state.iteration
        _refuse_divergence(step)
        if iteration in check_iterations(config):
            _check(session, distiller, dataset, step)
        if iteration == (config.iterations + 1) // 2:
            _draw(step.state, dataset, folder / "middle.png")
        if time.monotonic() - saved_at > CHECKPOINT_SECONDS:
            session.seconds = already + clock.seconds()
            _save(path, key, session)
            saved_at = time.monotonic()
        watch(Progress("distill", iteration, config.iterations, _message(session, step)))
    manifest = describe(
        dataset,
        kind="synthetic",
        method=config.method,
        ipc=config.ipc,
        seed=config.seed,
        config=settings,
        seconds=already + clock.seconds(),
        history=tuple(session.history),
    )
    proxy = ProxyDataset(session.best_images, session.state.labels, manifest)
    save_grid(draw_grid(proxy.images, proxy.labels, proxy.normalization), folder / "final.png")
    proxy = save_proxy(proxy, folder)
    path.unlink(missing_ok=True)
    return proxy


def check_iterations(config: DataDAMConfig) -> set[int]:
    """Return the iterations after which the images are compared on the validation split."""
    count = config.num_checks
    return {config.iterations * (i + 1) // count for i in range(count)} - {0}


def _begin(distiller: Distiller, dataset: Dataset, folder: Path) -> _Session:
    clock = Stopwatch(dataset.train.labels.device)
    state = distiller.start(dataset)
    session = _Session(state, state.images, [])
    _check(session, distiller, dataset, DistillStep(state, {}))
    _draw(state, dataset, folder / "start.png")
    session.seconds = clock.seconds()
    return session


def _check(session: _Session, distiller: Distiller, dataset: Dataset, step: DistillStep) -> None:
    """Train the matching network on the images; remember them if it is the best yet."""
    data = TrainingSet(
        step.state.images, step.state.labels, dataset.num_classes, dataset.augmentation
    )
    accuracies = [
        accuracy(
            train_network(
                distiller.architecture(), data, CHECK_RECIPE, named_seed(0, "check", index)
            ),
            dataset.validation,
        )
        for index in range(CHECK_SEEDS)
    ]
    mean = sum(accuracies) / len(accuracies)
    if mean > session.best_accuracy():
        session.best_images = step.state.images
    session.history.append(
        {"iteration": step.state.iteration, "validation_accuracy": mean, **step.losses}
    )


def _refuse_divergence(step: DistillStep) -> None:
    if not all(map(_is_finite, step.losses.values())):
        raise EvaluationError(
            f"distillation diverged at iteration {step.state.iteration} ({step.losses}): "
            "use a smaller --image-lr"
        )


def _is_finite(value: float) -> bool:
    return value - value == 0


def _message(session: _Session, step: DistillStep) -> str:
    losses = ", ".join(f"{name} {value:.4f}" for name, value in step.losses.items())
    return f"{losses}; best validation {session.best_accuracy():.1%}"


def _draw(state: DistillState, dataset: Dataset, path: Path) -> None:
    save_grid(draw_grid(state.images, state.labels, dataset.normalization), path)


def _finished(folder: Path, dataset: Dataset, settings: dict[str, Any]) -> ProxyDataset:
    """Return the proxy that this very distillation left here.

    Raises:
        ArtifactError: the folder holds the proxy of another configuration or data set.
    """
    manifest = load_manifest(folder)
    found = {name: manifest.config.get(name) for name in settings}
    if different := _differences(settings, found):
        raise ArtifactError(
            f"{folder} already holds another proxy ({different}): choose another --out"
        )
    proxy = load_proxy(folder, dataset.train.labels.device)
    proxy.check_fits(dataset)
    return proxy


def _differences(wanted: dict[str, Any], found: dict[str, Any]) -> str:
    names: Iterable[str] = (name for name in wanted if wanted[name] != found.get(name))
    return ", ".join(f"{name} {found.get(name)!r} instead of {wanted[name]!r}" for name in names)


def _save(path: Path, key: dict[str, Any], session: _Session) -> None:
    state = session.state
    progress = {
        "iteration": state.iteration, "history": session.history, "seconds": session.seconds,
    }  # fmt: skip
    tensors = {
        "images": state.images,
        "labels": state.labels,
        "velocity": state.velocity,
        "best_images": session.best_images,
    }
    content = save(
        {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()},
        metadata={"key": json.dumps(key), "progress": json.dumps(progress)},
    )
    write_bytes(path, content)


def _load(path: Path, key: dict[str, Any], device: torch.device) -> _Session:
    """Read a checkpoint.

    Raises:
        ArtifactError: it is damaged, or belongs to another distillation.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        found, progress = json.loads(metadata["key"]), json.loads(metadata["progress"])
        if found != json.loads(json.dumps(key)):
            different = _differences(key["config"], found.get("config", {})) or "other data"
            raise ArtifactError(
                f"{path.parent} holds another, unfinished distillation ({different}): "
                "choose another --out, or delete the folder"
            )
        state = DistillState(
            tensors["images"], tensors["labels"], tensors["velocity"], progress["iteration"]
        )
        return _Session(
            state.to(device),
            tensors["best_images"].to(device),
            progress["history"],
            progress["seconds"],
        )
    except (OSError, SafetensorError, LookupError, ValueError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{path} is damaged ({error}): delete it to begin again") from error
