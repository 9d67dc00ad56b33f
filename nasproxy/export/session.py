"""An export from the run folder to a file, its model card beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch

from nasproxy._files import read_json, sha256_of, write_bytes, write_json
from nasproxy.config import DataConfig, Recipe, VerifyConfig
from nasproxy.data.dataset import Dataset, load_dataset
from nasproxy.errors import ArtifactError, ConfigError
from nasproxy.export.card import MARK, render_card
from nasproxy.export.choice import choose
from nasproxy.export.facts import describe
from nasproxy.export.formats import FORMATS, check_format, pack
from nasproxy.export.network import ExportedNetwork
from nasproxy.export.training import Trained, train_or_recall
from nasproxy.progress import Progress, Watch, unwatched
from nasproxy.report.field import take_object, take_optional_object
from nasproxy.report.record import Candidate, Records, Verified, load_records
from nasproxy.run_folder import locked, read_run

NUM_CHECKED = 8
"""Validation images that an exported file is compared on."""


class _Order(NamedTuple):
    """What is exported, and how it is trained: `seed` is the root seed of the trainings."""

    folder: Path
    records: Records
    candidate: Candidate
    verified: Verified | None
    dataset: Dataset
    recipe: Recipe
    seed: int


def export(
    folder: Path | str, *, out: Path | str | None = None, form: str | None = None,
    trial: int | None = None, epochs: int | None = None, seed: int | None = None,
    data_dir: str | None = None, device: torch.device | None = None, watch: Watch = unwatched,
) -> dict[str, Any]:  # fmt: skip
    """Train a network of a run on the full data and write it for other programs.

    Args:
        folder: of the run; it keeps the weights, so that another format trains nothing.
        out: the file; None: `network.SUFFIX` in the folder.
        form: `onnx`, `pt2` or `safetensors`; None: by the suffix of `out`, else `onnx`.
        trial: of the candidate; None: the best verified one, by validation score.
        epochs: instead of the verification's.
        seed: instead of the verification's.
        data_dir: folder of data sets.
        device: to train on; None: the CPU.
        watch: told of the steps.

    Returns:
        The facts in the file, with `out`, `card`, `format`, `max_difference` and `was_kept`.

    Raises:
        ArtifactError: nothing is verified yet, the data are others, or `out` is in the way.
        ConfigError: the trial or format is unknown, or a package is missing.
        EvaluationError: the training diverged, or the file gives other probabilities.
    """
    folder = Path(folder)
    path, form = _target(folder, out, form)
    order = _take_order(folder, trial, epochs, seed, data_dir=data_dir, device=device, watch=watch)
    with locked(folder):
        watch(Progress("export", 0, 2, f"training trial {order.candidate.trial}"))
        trained = train_or_recall(
            order.dataset, order.candidate.architecture, order.recipe, order.seed, folder
        )
        watch(Progress("export", 1, 2, f"writing {form}"))
        done = _write(order, trained, path, form)
    watch(Progress("export", 2, 2, str(path)))
    return done


def _take_order(
    folder: Path, trial: int | None, epochs: int | None, seed: int | None, *,
    data_dir: str | None, device: torch.device | None, watch: Watch,
) -> _Order:  # fmt: skip
    """Choose the candidate, and read how and on what the run's verification trains."""
    records = load_records(folder)
    candidate, verified = choose(records, folder, trial)
    run = read_run(folder)
    dataset = _load(run, folder, data_dir, watch).to(device or torch.device("cpu"))
    recorded = take_optional_object(run["config"], "verify", f"{folder}: config")
    settings = VerifyConfig.parse({"seed": run.get("seed", 0), **recorded}, "verify")
    recipe = settings.full_recipe(len(dataset.train))
    return _Order(
        folder=folder,
        records=records,
        candidate=candidate,
        verified=verified,
        dataset=dataset,
        recipe=recipe if epochs is None else recipe.replace(epochs=epochs),
        seed=settings.seed if seed is None else seed,
    )


def _write(order: _Order, trained: Trained, path: Path, form: str) -> dict[str, Any]:
    """Write the file and what lies beside it."""
    dataset = order.dataset
    facts = describe(
        order.records, order.candidate, order.verified,
        dataset=dataset, trained=trained, recipe=order.recipe, seed=order.seed, folder=order.folder,
    )  # fmt: skip
    network = ExportedNetwork(trained.network, dataset.normalization).eval()
    images = dataset.validation.images[:NUM_CHECKED].cpu()
    packed = pack(form, network, dataset.normalization.undo(images), facts)
    digest = sha256_of([packed.content])
    card = render_card(facts, path, form=form, sha256=digest, difference=packed.difference)
    write_bytes(path, packed.content)
    if form == "safetensors":
        write_json(_beside(path, ".json"), facts)
    write_bytes(_beside(path, ".md"), card.encode())
    return {
        "out": str(path),
        "card": str(_beside(path, ".md")),
        "format": form,
        "sha256": digest,
        "max_difference": packed.difference,
        "was_kept": trained.was_kept,
        **facts,
    }


def _load(run: dict[str, Any], folder: Path, data_dir: str | None, watch: Watch) -> Dataset:
    """Read the data that a run was made on."""
    data = take_object(run["config"], "data", f"{folder}: config")
    config = DataConfig.parse({**data, "data_dir": data_dir}, "data")
    dataset = load_dataset(config, watch=watch)
    if dataset.fingerprint != run["config"].get("data_sha256"):
        raise ArtifactError(
            f"{folder} was searched on other data than {config.dataset} holds now (sha256 "
            f"{dataset.fingerprint[:12]}): restore the data, or give --data-dir"
        )
    return dataset


def _target(folder: Path, out: Path | str | None, form: str | None) -> tuple[Path, str]:
    """Settle file and format, and refuse what is in the way, before anything is trained."""
    suffix = Path(out).suffix if out is not None else ""
    form = form or (suffix.removeprefix(".") if suffix else "onnx")
    if form not in FORMATS and suffix == f".{form}":
        known = ", ".join(f".{name}" for name in FORMATS)
        raise ConfigError(f"the suffix must be one of {known}, got {str(out)!r} (--out)")
    check_format(form)
    path = Path(out) if out is not None else folder / f"network.{form}"
    if path.suffix != f".{form}":
        raise ConfigError(
            f"a file for --format {form} must end in .{form}, got {str(path)!r} (--out)"
        )
    _refuse_foreign(path)
    return path, form


def _refuse_foreign(path: Path) -> None:
    """Refuse to write over anything but an earlier export, which its card tells by its hash.

    Raises:
        ArtifactError: naming the file.
    """
    card, facts = _beside(path, ".md"), _beside(path, ".json")
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    for other in (path, card, facts):
        if other.is_dir():
            raise ArtifactError(f"{other} is a folder: choose another --out")
    foreign = None
    if path.exists() and not text.startswith(f"{MARK} {sha256_of([path.read_bytes()])} "):
        foreign = path
    elif card.exists() and not text.startswith(MARK):
        foreign = card
    elif facts.exists() and path.suffix == ".safetensors" and not _is_ours(facts):
        foreign = facts
    if foreign is not None:
        raise ArtifactError(
            f"{foreign} exists already and is no earlier export: choose another --out"
        )


def _is_ours(path: Path) -> bool:
    try:
        facts = read_json(path)
    except ArtifactError:
        return False
    return isinstance(facts, dict) and "nasproxy_export" in facts


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
