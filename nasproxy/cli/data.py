"""`nasproxy data`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nasproxy.cli import options
from nasproxy.cli.settings import data_settings
from nasproxy.cli.terminal import Terminal, guarded

app = typer.Typer(help="Known data sets: list, inspect, fetch.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Name of the data set.", show_default=False)]


@app.command("list")
@guarded
def list_command(
    data_dir: options.DataDir = None,
    seed: options.Seed = None,
    device: options.Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """List the data sets that are known by name, and which are here."""
    terminal = Terminal(as_json=as_json, quiet=quiet)
    found = available(data_dir)
    for name, here in found.items():
        terminal.say(f"{name:<16}{'here' if here else 'not here: nasproxy data fetch ' + name}")
    terminal.finish({"datasets": [{"name": n, "here": here} for n, here in found.items()]})


@app.command("info")
@guarded
def info_command(
    name: Name,
    data_dir: options.DataDir = None,
    image_size: options.ImageSize = None,
    seed: options.Seed = None,
    device: options.Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show shape, classes, counts and fingerprint of a data set."""
    terminal = Terminal(as_json=as_json, quiet=quiet)
    facts = info(name, data_dir, image_size, seed)
    counts = facts.pop("counts")
    for key, value in facts.items():
        terminal.say(f"{key:<16}{value}")
    terminal.say(f"{'class':<16}{'train':>8}{'validation':>12}")
    for row in counts:
        terminal.say(f"{row['class']:<16}{row['train']:>8}{row['validation']:>12}")
    terminal.finish({**facts, "counts": counts})


@app.command("fetch")
@guarded
def fetch_command(
    name: Name,
    data_dir: options.DataDir = None,
    seed: options.Seed = None,
    device: options.Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Download a data set, where that is possible."""
    from nasproxy.data.sources import default_data_dir, fetch

    terminal = Terminal(as_json=as_json, quiet=quiet)
    folder = fetch(name, Path(data_dir) if data_dir else default_data_dir())
    terminal.say(f"{name} is in {folder}")
    terminal.finish({"name": name, "folder": str(folder)})


def available(data_dir: str | None) -> dict[str, bool]:
    """Say for every named data set whether its files are here."""
    from nasproxy.data.sources import SOURCES, default_data_dir, is_here

    folder = Path(data_dir) if data_dir else default_data_dir()
    return {name: is_here(name, folder) for name in SOURCES}


def info(
    name: str, data_dir: str | None, image_size: int | None, seed: int | None
) -> dict[str, Any]:
    """Gather what is known of a data set's training images."""
    import torch

    from nasproxy.data.dataset import load_dataset

    data = load_dataset(data_settings(name, data_dir, image_size, seed))
    validation = torch.bincount(data.validation.labels, minlength=data.num_classes)
    return {
        "name": name,
        "image_shape": list(data.image_shape),
        "num_classes": data.num_classes,
        "num_train": len(data.train),
        "num_validation": len(data.validation),
        "mean": list(data.normalization.mean),
        "std": list(data.normalization.std),
        "augmentation": data.augmentation.to_dict(),
        "fingerprint": data.fingerprint,
        "counts": [
            {"class": label, "train": int(train), "validation": int(val)}
            for label, train, val in zip(
                data.class_names, data.class_counts(), validation, strict=True
            )
        ],
    }
