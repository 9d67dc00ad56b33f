"""Whether what a study's folder holds goes with what it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nasproxy.config import Config
from nasproxy.errors import ArtifactError, ConfigError
from nasproxy.proxy.dataset import Manifest
from nasproxy.proxy.store import MANIFEST_FILE, load_manifest
from nasproxy.study.plan import FULL, SOFT, Row, StudyConfig, plan

Finished = Mapping[str, Mapping[str, Any]]
"""Results by the name of the row."""


def check_settings(
    config: StudyConfig, before: dict[str, Any], finished: Finished, folder: Path, given: set[str]
) -> None:
    """Refuse settings other than those that the finished rows were run with.

    Settings that no finished row depends on may change.

    Args:
        config: that is asked for.
        before: that of the last call, as its record has it.
        finished: rows that there are.
        folder: of the study.
        given: names of proxies that were made elsewhere: how is their own matter.

    Raises:
        ArtifactError: naming a row and what differs.
    """
    try:
        found = StudyConfig.parse(before)
    except ConfigError as error:
        raise ArtifactError(
            f"{folder} holds another study, of settings that this nasproxy does not know "
            f"({error}): choose another --out"
        ) from error
    for row in (row for row in plan(config) if row.name in finished):
        if changes := _changes(row, config, found, finished[row.name], given):
            raise ArtifactError(
                f"{folder} holds another study: row {row.name} was run with {changes}: give that "
                f"back, delete {row.file} to run it anew, or choose another --out"
            )


def check_proxies(
    config: StudyConfig,
    finished: Finished,
    folders: Mapping[str, Path],
    *,
    wanted: set[str],
    given: set[str],
) -> None:
    """Refuse proxies that are not what their names say, or not those of the finished rows.

    Args:
        config: of the study.
        finished: rows that there are.
        folders: in which the proxies are or will be, by name.
        wanted: names of the proxies that are to be opened.
        given: names of those that were made elsewhere.

    Raises:
        ArtifactError: a proxy is missing, of another kind or size, or another than before.
    """
    for name, folder in folders.items():
        rows = [row for row in plan(config) if row.data == name and row.name in finished]
        hashes = {row: finished[row.name].get("proxy_sha256") for row in rows}
        if not (folder / MANIFEST_FILE).exists():
            if name in wanted:
                _refuse_to_make(name, folder, hashes, given)
            continue
        manifest = load_manifest(folder)
        if (found := _made_as(manifest)) != name:
            _refuse_another_kind(name, folder, found, config.proxies() if name in given else ())
        if manifest.ipc != config.ipc:
            raise ArtifactError(
                f"{folder} holds a proxy of ipc {manifest.ipc}, the study has ipc {config.ipc}: "
                f"use --proxy {name}= with another folder, or --ipc {manifest.ipc}"
            )
        for row, sha256 in hashes.items():
            if sha256 and sha256 != manifest.tensors_sha256:
                raise ArtifactError(
                    f"row {row.name} was run on another proxy {name} ({sha256[:12]}) than that in "
                    f"{folder} ({manifest.tensors_sha256[:12]}): give that one back with --proxy "
                    f"{name}=DIR, or delete {row.file} to run it anew"
                )


def _refuse_to_make(
    name: str, folder: Path, hashes: Mapping[Row, str | None], given: set[str]
) -> None:
    """Refuse to make a proxy where one is said to be, or where finished rows have another."""
    if name in given:
        raise ArtifactError(
            f"{folder} is not a proxy: it has no {MANIFEST_FILE} (--proxy {name}={folder})"
        )
    if known := [row for row, sha256 in hashes.items() if sha256]:
        raise ArtifactError(
            f"row {known[0].name} was run on a proxy {name} that is not in {folder}: give it with "
            f"--proxy {name}=DIR, or delete {known[0].file} to run it anew"
        )


def _refuse_another_kind(name: str, folder: Path, found: str, names: tuple[str, ...]) -> None:
    """Refuse a proxy that was not made as its name says.

    Args:
        name: in the study.
        folder: of the proxy.
        found: the name that it should have.
        names: that proxies can be given by; empty: this one was not given.
    """
    remedy = "restore the one that was there, or delete it to have one made"
    if names:
        own = f"give it as --proxy {found}=, and " if found in names else "give "
        remedy = f"{own}another folder as --proxy {name}="
    raise ArtifactError(f"{folder} holds a {found} proxy, not a {name} one: {remedy}")


def _made_as(manifest: Manifest) -> str:
    """Name a proxy as the study would, by how its manifest says that it was made."""
    settings = manifest.config
    if manifest.kind != "synthetic":
        return f"{manifest.kind}-{SOFT}" if settings.get("labels") == SOFT else manifest.kind
    if manifest.method == "datadam":
        return f"datadam-{settings.get('init', 'real')}"
    return manifest.method


def _changes(
    row: Row,
    config: StudyConfig,
    found: StudyConfig,
    record: Mapping[str, Any],
    given: set[str],
) -> str:
    """Name the settings that a finished row depends on and that differ, empty if none does."""
    pairs = {
        "seed": (record.get("seed", found.seed), config.seed),
        "trainings": (record["num_seeds"], config.num_seeds(row)),
    }
    if row.data == FULL:
        return _listed(pairs)
    if row.data not in given:
        wanted, made = config.distillation(row.data), found.distillation(row.data)
        if wanted is not None and made is not None:
            pairs |= _settings(made, wanted)
    return _listed(pairs | {"ipc": (found.ipc, config.ipc)})


def _settings(found: Config, wanted: Config) -> dict[str, tuple[Any, Any]]:
    names = type(wanted).model_fields
    return {name: (getattr(found, name), getattr(wanted, name)) for name in names}


def _listed(pairs: Mapping[str, tuple[Any, Any]]) -> str:
    return ", ".join(
        f"{name} {found!r} instead of {wanted!r}"
        for name, (found, wanted) in pairs.items()
        if found != wanted
    )
