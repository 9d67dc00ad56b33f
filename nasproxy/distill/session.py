"""A distillation from its first step to a saved proxy: checkpoints, checks, pictures."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nasproxy._random import named_seed
from nasproxy._timing import Stopwatch
from nasproxy.config import DistillConfig, Recipe
from nasproxy.data.dataset import Dataset
from nasproxy.distill.base import Distiller, DistillState, DistillStep, Preparation
from nasproxy.distill.checkpoint import (
    Checkpoint,
    differences,
    load_checkpoint,
    save_checkpoint,
)
from nasproxy.distill.datadam import DataDAM
from nasproxy.distill.pad import PAD
from nasproxy.distill.update import num_skipped
from nasproxy.errors import ArtifactError, EvaluationError
from nasproxy.executors.engine import Engine
from nasproxy.progress import Progress, Watch, unwatched
from nasproxy.proxy.dataset import ProxyDataset, describe
from nasproxy.proxy.grid import draw_grid, save_grid
from nasproxy.proxy.store import MANIFEST_FILE, load_manifest, load_proxy, save_proxy
from nasproxy.run_folder import locked
from nasproxy.training.evaluate import accuracy
from nasproxy.training.network import TrainingSet, train_network

DISTILLERS: dict[str, Callable[[Any], Distiller]] = {"datadam": DataDAM, "pad": PAD}
"""Methods by the name in their settings."""
CHECKPOINT_FILE = "checkpoint.safetensors"
EXPERTS_FOLDER = "experts"
CHECKPOINT_SECONDS = 20.0
CHECK_RECIPE = Recipe(epochs=200, recalibrate_images=0, validation_images=None)
CHECK_SEEDS = 2


def distill(
    dataset: Dataset,
    config: DistillConfig,
    folder: Path | str,
    *,
    experts: Path | None = None,
    workers: int | None = None,
    engine: Engine = None,
    watch: Watch = unwatched,
) -> ProxyDataset:
    """Distill a data set into a proxy, going on from the folder's checkpoint if there is one.

    What is kept is the state with the best accuracy on the validation split, of a network trained
    on its images and labels, among the initial one and `num_checks` later ones. The folder gets
    `proxy.safetensors`, `manifest.json` and the pictures `start.png`, `middle.png` and `final.png`.

    Args:
        dataset: on the device to work on.
        config: method and hyper-parameters.
        folder: to be created or gone on with.
        experts: folder of expert networks, to be reused or filled, for methods that have them;
            None: `experts` in the folder.
        workers: processes that train experts; None: one a core on a CPU, this one on a GPU.
        engine: `serial`, `processes` or `ray`, or with its limits; None: what fits.
        watch: told after every iteration.

    Raises:
        ArtifactError: the folder holds another proxy, cannot be written, or another process works
            on it.
        ConfigError: the configuration does not fit the data.
        EvaluationError: the images are no longer finite.
    """
    folder = Path(folder)
    settings = config.to_dict()
    if (folder / MANIFEST_FILE).exists():
        return _finished(folder, dataset, config)
    distiller = DISTILLERS[config.method](config)
    with locked(folder):
        path = folder / CHECKPOINT_FILE
        key = {"config": settings, "data_sha256": dataset.fingerprint, "shape": dataset.image_shape}
        device = dataset.train.labels.device
        begun = load_checkpoint(path, key, device) if path.exists() else None
        prepared = distiller.prepare(
            dataset, experts or folder / EXPERTS_FOLDER, workers=workers, engine=engine, watch=watch
        )
        _refuse_other_ground(begun, prepared, folder)
        session = begun or _begin(distiller, dataset, folder, prepared)
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
                save_checkpoint(path, key, session)
                saved_at = time.monotonic()
            watch(Progress("distill", iteration, config.iterations, _message(session, step)))
        session.seconds = already + clock.seconds()
        proxy = _finish(session, config, dataset, folder, prepared)
        path.unlink(missing_ok=True)
        return proxy


def check_iterations(config: DistillConfig) -> set[int]:
    """Return the iterations after which the images are compared on the validation split."""
    count = config.num_checks
    return {config.iterations * (i + 1) // count for i in range(count)} - {0}


def _refuse_other_ground(begun: Checkpoint | None, prepared: Preparation, folder: Path) -> None:
    if begun is not None and begun.rests_on != prepared.key:
        raise ArtifactError(
            f"{folder} holds an unfinished distillation on other experts than these: give back "
            "its --experts-dir, choose another --out, or delete the folder"
        )


def _begin(
    distiller: Distiller, dataset: Dataset, folder: Path, prepared: Preparation
) -> Checkpoint:
    clock = Stopwatch(dataset.train.labels.device)
    state = distiller.start(dataset)
    session = Checkpoint(state, distiller.synthetic(state), prepared.key, [])
    _check(session, distiller, dataset, DistillStep(state, {}))
    _draw(state, dataset, folder / "start.png")
    session.seconds = clock.seconds()
    return session


def _finish(
    session: Checkpoint,
    config: DistillConfig,
    dataset: Dataset,
    folder: Path,
    prepared: Preparation,
) -> ProxyDataset:
    """Save the best state as a proxy, with its picture."""
    manifest = describe(
        dataset,
        kind="synthetic",
        method=config.method,
        ipc=config.ipc,
        seed=config.seed,
        config={
            **config.to_dict(),
            **prepared.record,
            "kept_iteration": session.kept_iteration(),
            **({"skipped_steps": skipped} if (skipped := num_skipped(session.state)) else {}),
        },
        seconds=prepared.seconds + session.seconds,
        history=tuple(session.history),
    )
    images, soft_labels, step_size = session.best
    proxy = ProxyDataset(images, session.state.labels, manifest, soft_labels, step_size)
    save_grid(draw_grid(proxy.images, proxy.labels, proxy.normalization), folder / "final.png")
    return save_proxy(proxy, folder)


def _check(session: Checkpoint, distiller: Distiller, dataset: Dataset, step: DistillStep) -> None:
    """Train the matching network on what a proxy would hold; remember it if it is the best yet.

    Where the network diverges, this state is worth nothing: what was best before is still kept.
    """
    made = distiller.synthetic(step.state)
    targets = step.state.labels if made.soft_labels is None else made.soft_labels
    data = TrainingSet(made.images, targets, dataset.num_classes, dataset.augmentation)
    noted: dict[str, Any] = dict(step.losses)
    try:
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
    except EvaluationError as error:
        mean, noted["error"] = 0.0, str(error)
    if mean > session.best_accuracy():
        session.best = made
    session.history.append(
        {"iteration": step.state.iteration, "validation_accuracy": mean, **noted}
    )


def _refuse_divergence(step: DistillStep) -> None:
    if not all(map(_is_finite, step.losses.values())):
        raise EvaluationError(
            f"distillation diverged at iteration {step.state.iteration} ({step.losses}): "
            "use a smaller --image-lr"
        )


def _is_finite(value: float) -> bool:
    return value - value == 0


def _message(session: Checkpoint, step: DistillStep) -> str:
    losses = [f"{name} {value:.4f}" for name, value in step.losses.items() if name != "skipped"]
    if skipped := num_skipped(step.state):
        losses.append(f"{skipped} steps skipped")
    return f"{', '.join(losses)}; best validation {session.best_accuracy():.1%}"


def _draw(state: DistillState, dataset: Dataset, path: Path) -> None:
    save_grid(draw_grid(state.images, state.labels, dataset.normalization), path)


def _finished(folder: Path, dataset: Dataset, config: DistillConfig) -> ProxyDataset:
    """Return the proxy that this very distillation left here.

    Settings that an older version did not know count as left alone.

    Raises:
        ArtifactError: the folder holds the proxy of another configuration or data set.
    """
    manifest, fields = load_manifest(folder), type(config).model_fields
    defaults = {name: field.default for name, field in fields.items()}
    found = _plain({**defaults, **manifest.config, "method": manifest.method})
    if different := differences(_plain({name: getattr(config, name) for name in fields}), found):
        raise ArtifactError(
            f"{folder} already holds another proxy ({different}): choose another --out"
        )
    proxy = load_proxy(folder, dataset.train.labels.device)
    proxy.check_fits(dataset)
    return proxy


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings as they read back from JSON."""
    plain: dict[str, Any] = json.loads(json.dumps(settings))
    return plain
