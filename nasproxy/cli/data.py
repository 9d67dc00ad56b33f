"""`nasproxy data`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nasproxy.cli import options
from nasproxy.cli.settings import data_settings
from nasproxy.cli.terminal import Terminal, guarded, printable
from nasproxy.progress import Watch

if TYPE_CHECKING:
    from rich.table import Table

    from nasproxy.config import DataConfig

app = typer.Typer(help="Known data sets: list, inspect, fetch.", no_args_is_help=True)
Name = Annotated[
    str,
    typer.Argument(help="Name, folder:PATH, npz:FILE, or mhist[:PATH].", show_default=False),
]


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
    grid: Annotated[
        Path | None, typer.Option(help="Draw ten images a class into this PNG.")
    ] = None,
    data_dir: options.DataDir = None,
    image_size: options.ImageSize = None,
    group_column: options.GroupColumn = None,
    skip_unreadable: options.SkipUnreadable = False,
    augmentation: options.AugmentationOption = None,
    seed: options.Seed = None,
    device: options.Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show what a data set holds, and what looks wrong with it."""
    terminal = Terminal(as_json=as_json, quiet=quiet)
    settings = data_settings(
        name, data_dir, image_size, seed, group_column=group_column,
        skip_unreadable=skip_unreadable, augmentation=augmentation,
    )  # fmt: skip
    with terminal.watching() as watch:
        facts = info(settings, grid, watch)
    for key in ("image_shape", "num_classes", "mean", "std", "augmentation", "fingerprint"):
        terminal.say(f"{key.replace('_', ' '):<14}{_short(facts[key])}")
    terminal.say(count_table(facts["counts"]))
    for finding in facts["findings"]:
        terminal.say(f"! {finding}")
    if not facts["findings"]:
        terminal.say("nothing looks wrong: no duplicates, no missing classes")
    if grid is not None:
        terminal.say(f"drawn to {grid}")
    terminal.finish(facts)


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
    from nasproxy.data.named import NAMED
    from nasproxy.data.sources import default_data_dir, is_here

    folder = Path(data_dir) if data_dir else default_data_dir()
    return {name: is_here(name, folder) for name in (*NAMED, "mhist")}


def info(config: DataConfig, grid: Path | None, watch: Watch) -> dict[str, Any]:
    """Gather what is known of a data set, and draw some of its images."""
    from nasproxy.data.dataset import load_dataset
    from nasproxy.proxy.coreset import choose_random
    from nasproxy.proxy.grid import draw_grid, save_grid
    from nasproxy.verify.inspection import inspect_dataset

    if grid is not None:
        dataset = load_dataset(config, watch=watch)
        few = choose_random(dataset.train, 10, config.seed)
        save_grid(draw_grid(few.images, few.labels, dataset.normalization), grid)
    return inspect_dataset(config, watch=watch)


def count_table(counts: list[dict[str, Any]], rows: int = 30) -> Table:
    """Show the images of each class and part; of many classes, the first."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for column in counts[0]:
        table.add_column(column, justify="left" if column == "class" else "right")
    for row in counts[:rows]:
        # a class's name may hold anything
        cells = (printable(" ".join(str(value).split())) for value in row.values())
        table.add_row(*map(Text, cells))
    if len(counts) > rows:
        table.add_row(f"... and {len(counts) - rows} more")
    sums = [sum(row[column] for row in counts) for column in list(counts[0])[1:]]
    table.add_row("all", *map(str, sums))
    return table


def _short(value: Any) -> str:
    if isinstance(value, list):
        return (
            " x ".join(map(str, value))
            if isinstance(value[0], int)
            else ", ".join(f"{number:.4f}" for number in value)
        )
    if isinstance(value, dict):
        return ", ".join(f"{name} {amount}" for name, amount in value.items() if amount) or "none"
    return str(value)
