"""`nasproxy study`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nasproxy.cli import options
from nasproxy.cli.settings import default_folder, given
from nasproxy.cli.terminal import Terminal, guarded

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from nasproxy.report.table import Table
    from nasproxy.study.plan import StudyConfig


@guarded
def study_command(
    dataset: options.OptionalDataset = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file of settings; options given here go first.")
    ] = None,
    ipc: options.Ipc = None,
    model: Annotated[str | None, typer.Option(help="Network [default: convnet-3].")] = None,
    width: Annotated[
        list[int] | None, typer.Option(help="Of the network; may be given again [default: 32].")
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Trainings a proxy [default: 5].")] = None,
    rows: Annotated[
        list[str] | None,
        typer.Option(help="Run only rows that fit this pattern, such as 'pad/*'; may be repeated."),
    ] = None,
    proxy: Annotated[
        list[str] | None,
        typer.Option(help="NAME=DIR: use a proxy made before, such as pad=runs/pad; repeatable."),
    ] = None,
    workers: options.Workers = None,
    data_dir: options.DataDir = None,
    image_size: options.ImageSize = None,
    group_column: options.GroupColumn = None,
    out: options.Out = None,
    seed: options.Seed = None,
    device: options.Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Run the study that nasproxy grew from, row by row, and set it beside what was reported."""
    from nasproxy._environment import choose_device
    from nasproxy.data.dataset import load_dataset
    from nasproxy.study.session import study
    from nasproxy.study.table import network_table, search_table

    terminal = Terminal(as_json=as_json, quiet=quiet)
    settings = study_settings(
        config,
        given(
            dataset=dataset, data_dir=data_dir, image_size=image_size, group_column=group_column,
            seed=seed,
        ),
        given(ipc=ipc, model=model, widths=width or None, seeds=seeds, seed=seed),
    )  # fmt: skip
    folder = out or default_folder(settings.data.dataset, "study")
    with terminal.watching() as watch:
        data = load_dataset(settings.data, watch=watch).to(choose_device(device))
        summary = study(
            settings, folder, rows=tuple(rows or ()), given=named_folders(proxy or []),
            dataset=data, workers=workers, watch=watch,
        )  # fmt: skip
    for table in (network_table(summary), search_table(summary)):
        if table.rows:
            terminal.say(rich_table(table))
    if summary["missing"]:
        terminal.say(f"{len(summary['missing'])} rows are not run yet")
    terminal.say(f"Report: {folder / 'study.html'}, {folder / 'study.md'}")
    terminal.finish({"out": str(folder), **summary})


def study_settings(path: Path | None, data: dict[str, Any], options: dict[str, Any]) -> StudyConfig:
    """Merge a file of settings, if any, with what was given on the command line.

    Raises:
        ConfigError: a setting is unknown or out of range, or no data set is named.
    """
    from nasproxy.config import DATADAM_PRESETS, PAD_PRESETS, read_toml
    from nasproxy.errors import ConfigError
    from nasproxy.study.plan import StudyConfig

    values: dict[str, Any] = read_toml(path) if path else {}
    for name in ("data", "datadam", "pad"):
        if not isinstance(values.get(name, {}), dict):
            raise ConfigError(f"{name} must be a table in {path}, got {values[name]!r}")
    values["data"] = {**values.get("data", {}), **data}
    if "dataset" not in values["data"]:
        raise ConfigError("no data set is named: use --dataset, or [data] dataset in --config")
    values["datadam"] = {**DATADAM_PRESETS["cpu"], **values.get("datadam", {})}
    values["pad"] = {**PAD_PRESETS["cpu"], **values.get("pad", {})}
    return StudyConfig.parse({**values, **options})


def named_folders(texts: list[str]) -> dict[str, Path]:
    """Read NAME=DIR texts.

    Raises:
        ConfigError: one is not of that form.
    """
    from nasproxy.errors import ConfigError

    found = {}
    for text in texts:
        name, equals, folder = text.partition("=")
        if not (name and equals and folder):
            raise ConfigError(f"--proxy takes NAME=DIR, got {text!r}")
        found[name] = Path(folder)
    return found


def rich_table(table: Table) -> RichTable:
    """Turn a table of text into one for the terminal."""
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(title=table.title, title_justify="left")
    for name in table.header:
        shown.add_column(name)
    for row in table.rows:
        shown.add_row(*(Text(cell) for cell in row))
    return shown
