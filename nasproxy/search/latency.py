"""The latencies of a run: measured once, before anything trains, and kept in its folder.

A run that goes on, even on another machine, so searches the same architectures.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nasproxy._environment import hardware
from nasproxy._files import read_json, write_json
from nasproxy._timing import Stopwatch
from nasproxy.data.dataset import Dataset
from nasproxy.errors import ArtifactError
from nasproxy.progress import Watch, unwatched
from nasproxy.run_folder import RUN_FILE, read_timings, write_timing
from nasproxy.scores.latency import measure_latency
from nasproxy.search.limit import telling
from nasproxy.search.space import Params, SearchSpace, point_key

LATENCY_FILE = "latency.json"
SAVE_SECONDS = 5.0
"""Between two writes while measuring."""


def measure_latencies(
    space: SearchSpace,
    points: Sequence[Params],
    dataset: Dataset,
    folder: Path,
    watch: Watch = unwatched,
) -> dict[str, float]:
    """Measure the points that the run's folder does not know yet; the seconds are the search's.

    Args:
        space: that the points are of.
        points: whose networks are measured, while nothing else of ours runs.
        dataset: whose images they are for; its device is measured.
        folder: of the run; `latency.json` is kept there.
        watch: told of the progress where it takes more than a moment.

    Returns:
        Milliseconds for one image by `point_key`, of `points` alone.

    Raises:
        ArtifactError: the file in the folder is damaged, or cannot be written.
    """
    path, device = folder / LATENCY_FILE, dataset.train.labels.device
    record = _open(path, dataset)
    known = {_key(e["architecture"]): float(e["latency_ms"]) for e in record["architectures"]}
    wanted = {point_key(point): space.architecture(point) for point in points}
    todo = [architecture for architecture in wanted.values() if _key(architecture) not in known]
    clock = Stopwatch()
    saved = time.monotonic()
    for architecture in telling("latency", todo, watch):
        value = measure_latency(architecture, dataset.image_shape, dataset.num_classes, device)
        known[_key(architecture)] = round(value, 5)
        entry = {"architecture": architecture, "latency_ms": round(value, 5)}
        record["architectures"].append(entry)
        if time.monotonic() - saved > SAVE_SECONDS:
            write_json(path, record)
            saved = time.monotonic()
    if todo:
        write_json(path, record)
        already = read_timings(folder).get("search_seconds", 0.0)
        write_timing(folder, "search_seconds", already + clock.seconds())
    return {name: known[_key(architecture)] for name, architecture in wanted.items()}


def _open(path: Path, dataset: Dataset) -> dict[str, Any]:
    """Return the record that a run has begun with, or that was begun under the same conditions."""
    begun = {
        "hardware": hardware(),
        "device": dataset.train.labels.device.type,
        "image_shape": list(dataset.image_shape),
        "num_classes": dataset.num_classes,
        "batch": 1,
        "threads": 1,
    }
    if path.exists():
        record = _read(path)
        if path.with_name(RUN_FILE).exists() or all(record.get(k) == begun[k] for k in begun):
            return record
    return {**begun, "architectures": []}


def _key(architecture: dict[str, Any]) -> str:
    return json.dumps(architecture, sort_keys=True)


def _read(path: Path) -> dict[str, Any]:
    """Read what was measured.

    Raises:
        ArtifactError: it is not what this module writes.
    """
    record = read_json(path)
    entries = record.get("architectures") if isinstance(record, dict) else None
    if not isinstance(entries, list) or not all(map(_is_measurement, entries)):
        raise ArtifactError(
            f"{path} must hold architectures with a latency_ms > 0 each: restore it, or search "
            "into another --out"
        )
    assert isinstance(record, dict)
    return record


def _is_measurement(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("architecture"), dict):
        return False
    value = entry.get("latency_ms")
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e12
