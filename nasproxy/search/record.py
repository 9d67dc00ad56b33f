"""What a run says of itself before it searches: the content of `run.json`."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nasproxy._environment import versions
from nasproxy.config import SearchConfig
from nasproxy.data.dataset import Dataset
from nasproxy.errors import ArtifactError, shown
from nasproxy.proxy.dataset import ProxyDataset
from nasproxy.proxy.grid import draw_grid, save_grid
from nasproxy.proxy.store import MANIFEST_FILE, save_proxy
from nasproxy.run_folder import RUN_FILE, STUDY_FILE, command_line, read_run
from nasproxy.search.space import Params, SearchSpace
from nasproxy.search.storage import recordable
from nasproxy.training.evaluate import count_classes

OWN_STUDY = "search"
"""Name of the study in a run's own storage."""


def describe_run(
    dataset: Dataset, proxy: ProxyDataset, config: SearchConfig, space: SearchSpace
) -> dict[str, Any]:
    """Say what the run is."""
    manifest = proxy.manifest
    settings = {
        "data": dataset.config.identity(),
        "search": config.to_dict(),
        "space": space.to_dict(),
        "proxy_sha256": manifest.tensors_sha256,
        "data_sha256": dataset.fingerprint,
    }
    return {
        "command": command_line(),
        "config": settings,
        "proxy": {**manifest.replace(history=[]).to_dict(), "num_images": len(proxy.labels)},
        "data": {
            "class_names": list(dataset.class_names),
            "image_shape": list(dataset.image_shape),
            "num_train": len(dataset.train),
            "num_validation": len(dataset.validation),
            "validation_class_counts": count_classes(dataset.validation, dataset.num_classes),
        },
        "seed": config.seed,
        "versions": versions(),
    }


def describe_space(
    space: SearchSpace, points: Sequence[Params], dataset: Dataset, config: SearchConfig
) -> dict[str, Any]:
    """Count all points, those that are searched, and with limits those that fit the data."""
    described = {"size": sum(1 for _ in space.points()), "feasible": len(points)}
    if config.limits:
        described["fitting"] = len(space.feasible_points(dataset.image_shape))
    return described


def describe_study(folder: Path, storage: str | None, name: str | None) -> dict[str, Any]:
    """Say where the study is, without a password, and by what mark its drivers know this folder.

    Raises:
        ArtifactError: the folder's study is another.
    """
    before = (read_run(folder).get("study") or {}) if (folder / RUN_FILE).exists() else None
    if before is not None and not isinstance(before, dict):
        raise ArtifactError(f"{folder / RUN_FILE} does not say where the study is: restore it")
    if storage is None:
        found: dict[str, Any] = {"storage": None, "name": name or OWN_STUDY}
    else:
        found = {"storage": recordable(storage), "name": name or folder.name}
    if before is not None:
        _check_place(folder, found, before, named=name is not None)
        found["name"] = before.get("name", found["name"])
    if storage is not None:
        found["driver"] = (before or {}).get("driver") or uuid.uuid4().hex
    return found


def _check_place(
    folder: Path, wanted: Mapping[str, Any], before: Mapping[str, Any], *, named: bool
) -> None:
    """Refuse to go on in another study: its candidates would replace those of the folder."""
    storage, name = before.get("storage"), before.get("name", OWN_STUDY)
    if storage != wanted["storage"]:
        place, remedy = (
            ("a study of its own", "leave --storage out")
            if storage is None
            else (f"the study in {storage}", "give it with --storage")
        )
        raise ArtifactError(f"{folder} is part of {place}: {remedy}, or choose another --out")
    if named and name != wanted["name"]:
        raise ArtifactError(
            f"{folder} is part of the study {shown(name)}, got {shown(wanted['name'])} "
            "(--study-name): leave it out, or choose another --out"
        )


def own_storage(folder: Path) -> str:
    """Return the URL of the storage in a run's folder."""
    return f"sqlite:///{folder / STUDY_FILE}"


def may_differ(folder: Path, config: SearchConfig) -> tuple[str, ...]:
    """Name settings that may differ from the record: trials, and later ones at their defaults."""
    if not (folder / RUN_FILE).exists():
        return ("trials",)
    recorded, defaults = read_run(folder)["config"].get("search"), SearchConfig()
    later = set(SearchConfig.model_fields) - set(recorded if isinstance(recorded, dict) else ())
    return ("trials", *(n for n in later if getattr(config, n) == getattr(defaults, n)))


def keep_proxy(proxy: ProxyDataset, folder: Path) -> None:
    """Keep the proxy and its picture beside what was found with it; the full data is no copy."""
    if proxy.manifest.kind != "full" and not (folder / MANIFEST_FILE).exists():
        save_proxy(proxy, folder)
    if not (folder / "final.png").exists():
        picture = draw_grid(proxy.images, proxy.labels, proxy.normalization)
        save_grid(picture, folder / "final.png")
