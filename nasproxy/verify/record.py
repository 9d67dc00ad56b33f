"""A folder of finished results, one small file each, named by all that went in."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from nasproxy._files import read_json, write_json
from nasproxy.config import Config
from nasproxy.errors import ArtifactError, ConfigError, shown
from nasproxy.models.family import Architecture

Seconds = Annotated[float, Field(ge=0, le=1e12)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Result(Config):
    """What is taken from a result; more than that may be there."""

    model_config = ConfigDict(extra="ignore")

    seconds: Seconds
    cpu_seconds: Seconds = 0.0
    error: str = ""
    weights_sha256: str = ""
    versions: dict[str, str] = {}
    accuracy: Fraction | None = None
    balanced_accuracy: Fraction | None = None
    auc: Fraction | None = None
    full_accuracy: Fraction | None = None
    full_balanced_accuracy: Fraction | None = None
    full_auc: Fraction | None = None
    test_accuracy: Fraction | None = None
    test_balanced_accuracy: Fraction | None = None
    test_auc: Fraction | None = None
    loss: float | None = None
    margin: float | None = None
    score: float | None = None


class ResultRecords:
    """What was found for architectures, one result a seed.

    Args:
        folder: of the files.
        key: JSON values of all that the results depend on but architecture and seed.
        needed: the field without which a record counts as not there.
    """

    def __init__(self, folder: Path, key: dict[str, Any], *, needed: str) -> None:
        self._folder = folder
        self._key = key
        self._needed = needed

    def path(self, architecture: Architecture, index: int) -> Path:
        """Return where the record of an architecture and the index of a seed is or will be."""
        key = json.dumps([self._key, architecture, index], sort_keys=True)
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"

    def read(self, architecture: Architecture, index: int) -> dict[str, Any] | None:
        """Return a finished result, or None.

        Raises:
            ArtifactError: its file is damaged.
        """
        path = self.path(architecture, index)
        record = read_json(path) if path.exists() else {}
        if not isinstance(record, dict):
            raise ArtifactError(
                f"{path} must hold an object, got {shown(record)}: delete it to train anew"
            )
        if record.get(self._needed) is None:
            return None
        try:
            Result.parse(record)
        except ConfigError as error:
            raise ArtifactError(f"{path}: {error}; delete it to train anew") from error
        return record

    def write(self, architecture: Architecture, index: int, result: dict[str, Any]) -> None:
        """Keep a result, with all that it depends on."""
        record = {**self._key, "architecture": architecture, "seed_index": index, **result}
        write_json(self.path(architecture, index), record)
