"""`nasproxy study`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nasproxy.cli import options
from nasproxy.cli.settings import default_folder, given, read_settings
from nasproxy.cli.table import fitted_table
from nasproxy.cli.terminal import Terminal, guarded

if TYPE_CHECKING:
    from nasproxy.study.plan import StudyConfig


SPARE = (
    "multiply-adds",
    "converged",
    "n",
    "seconds",
    "the study's way: rho, same best",
    "with distilling",
    "the study",
    "epochs",
)
"""Columns that a narrow terminal may lack; the report has them."""


@guarded
def study_command(
    dataset: options.OptionalDataset = None,
    config: options.SettingsFile = None,
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
    from nasproxy.study.note import timing_notes
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
            terminal.say(fitted_table(table, spare=SPARE))
    for note in timing_notes(summary):
        terminal.say(note)
    if summary["missing"]:
        terminal.say(f"{len(summary['missing'])} rows are not run yet")
    terminal.say(f"Report: {folder / 'study.html'}, {folder / 'study.md'}")
    terminal.finish({"out": str(folder), **summary})


def study_settings(path: Path | None, data: dict[str, Any], options: dict[str, Any]) -> StudyConfig:
    """Merge a file of settings, if any, with what was given on the command line.

    Raises:
        ConfigError: a setting is unknown or out of range, or no data set is named.
    """
    from nasproxy.config import DATADAM_PRESETS, PAD_PRESETS
    from nasproxy.study.plan import StudyConfig

    values = read_settings(path, data, "datadam", "pad")
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
