"""A bench from its settings to its table; sections are kept, so the same call goes on."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from nasproxy._environment import hardware, versions
from nasproxy._files import read_json, write_bytes, write_json
from nasproxy._timing import Stopwatch
from nasproxy.bench.distillation import measure_distillation
from nasproxy.bench.end_to_end import measure_end_to_end
from nasproxy.bench.evaluation import measure_evaluation
from nasproxy.bench.full_training import measure_full_training
from nasproxy.bench.gemm import measure_gemm
from nasproxy.bench.growth import measure_growth
from nasproxy.bench.material import Material, gather
from nasproxy.bench.overhead import measure_overhead
from nasproxy.bench.page import render_html
from nasproxy.bench.plan import BenchConfig
from nasproxy.bench.scaling import measure_scaling
from nasproxy.bench.startup import measure_startup
from nasproxy.bench.table import render_markdown
from nasproxy.bench.throughput import measure_throughput
from nasproxy.errors import ArtifactError, ConfigError, unknown_name
from nasproxy.progress import Watch, unwatched
from nasproxy.run_folder import command_line, locked

SCHEMA_VERSION = 1
BENCH_FILE = "bench.json"
SECTIONS: dict[str, Callable[[Material], dict[str, Any]]] = {
    "startup": measure_startup,
    "scaling": measure_scaling,
    "overhead": measure_overhead,
    "gemm": measure_gemm,
    "throughput": measure_throughput,
    "evaluation": measure_evaluation,
    "full_training": measure_full_training,
    "distillation": measure_distillation,
    "growth": measure_growth,
    "end_to_end": measure_end_to_end,
}
"""Measurements by name, in the order they are run; each returns keys of `bench.json`."""


def bench(
    config: BenchConfig,
    folder: Path | str,
    *,
    device: torch.device | None = None,
    only: Sequence[str] = (),
    again: bool = False,
    watch: Watch = unwatched,
) -> dict[str, Any]:
    """Measure the sections that are missing; write `bench.json`, `bench.md` and `bench.html`.

    Args:
        config: what to measure, and how often.
        folder: of the bench; sections measured by earlier calls stay.
        device: to measure; None: the CPU.
        only: names of sections to measure now; empty: all.
        again: measure sections anew that are there.
        watch: told of progress.

    Returns:
        The content of `bench.json`.

    Raises:
        ArtifactError: the folder holds a bench of another machine, other data or other sizes.
        ConfigError: a section is unknown.
        DataError: the data set that is named cannot be loaded.
    """
    for name in only:
        if name not in SECTIONS:
            raise ConfigError(unknown_name("section", name, SECTIONS) + " (--only)")
    folder = Path(folder)
    material = gather(config, device or torch.device("cpu"), watch)
    with locked(folder):
        record = _open(folder / BENCH_FILE, material)
        for name, measure in SECTIONS.items():
            if (only and name not in only) or (name in record["sections"] and not again):
                continue
            clock = Stopwatch()
            record.update(measure(material))
            record["sections"][name] = _made(config, clock.seconds())
            write_json(folder / BENCH_FILE, record)
        write_bytes(folder / "bench.md", render_markdown(record).encode())
        write_bytes(folder / "bench.html", render_html(record).encode())
    return record


def _open(path: Path, material: Material) -> dict[str, Any]:
    """Read the sections there are, or begin.

    Raises:
        ArtifactError: they were measured on something else.
    """
    dataset = material.dataset
    ground = {
        "schema_version": SCHEMA_VERSION,
        "hardware": hardware(),
        "device": material.device.type,
        "quick": material.config.quick,
        "data": {
            "dataset": dataset.config.dataset,
            "note": material.note,
            "sha256": dataset.fingerprint,
            "image_shape": list(dataset.image_shape),
            "num_train": len(dataset.train),
        },
    }
    if not path.exists():
        return {**ground, "sections": {}}
    before: dict[str, Any] = read_json(path)
    for name, value in ground.items():
        if not isinstance(before, dict) or before.get(name) != value:
            found = before.get(name) if isinstance(before, dict) else before
            raise ArtifactError(
                f"{path.parent} holds a bench of another kind ({name} {str(found)[:80]!r} instead "
                f"of {str(value)[:80]!r}): choose another --out"
            )
    check_record(path, before)
    return before


def check_record(path: Path, record: dict[str, Any]) -> None:
    """Refuse a record that cannot be shown: what earlier calls measured is nested and optional.

    Raises:
        ArtifactError: it is damaged.
    """
    try:
        if not isinstance(record["sections"], dict):
            raise TypeError("sections must be an object")
        render_markdown(record)
        render_html(record)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{path} is damaged ({type(error).__name__}: {str(error)[:200]}): restore it, or "
            "delete it to measure anew"
        ) from error


def _made(config: BenchConfig, seconds: float) -> dict[str, Any]:
    """Say how and when a section was measured."""
    return {
        "command": command_line(),
        "date": datetime.now(UTC).date().isoformat(),
        "seconds": round(seconds, 1),
        "versions": versions(),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "config": config.replace(data_dir=None).to_dict(),
    }
