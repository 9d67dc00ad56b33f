"""`nasproxy demo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nasproxy.cli import options
from nasproxy.cli.report import show
from nasproxy.cli.search import candidate_table
from nasproxy.cli.terminal import Terminal, guarded

if TYPE_CHECKING:
    from nasproxy.config import RunConfig


@guarded
def demo_command(
    out: Annotated[Path, typer.Option("--out", help="Folder for the run.")] = Path("runs/demo"),
    workers: options.Workers = None,
    seed: options.Seed = None,
    device: options.Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Run the whole pipeline on 1,797 embedded digits: offline, in minutes."""
    from nasproxy._environment import choose_device
    from nasproxy._files import read_json
    from nasproxy.pipeline import run

    terminal = Terminal(as_json=as_json, quiet=quiet)
    with terminal.watching() as watch:
        summary = run(
            demo_settings(seed or 0),
            out,
            device=choose_device(device),
            workers=workers,
            watch=watch,
        )
    terminal.say(candidate_table(read_json(out / "candidates.json"), rows=5))
    show(terminal, summary, out)
    terminal.finish({"out": str(out), **summary})


def demo_settings(seed: int) -> RunConfig:
    """Return settings that make every stage short and still meaningful on 8x8 digits."""
    from nasproxy.config import (
        FULL_RECIPE,
        SEARCH_RECIPE,
        DataConfig,
        DataDAMConfig,
        RunConfig,
        SearchConfig,
        VerifyConfig,
    )

    return RunConfig(
        data=DataConfig(dataset="digits", seed=seed, validation_fraction=0.3),
        proxy="synthetic",
        distill=DataDAMConfig.preset("cpu", iterations=400, seed=seed),
        search=SearchConfig(
            trials=40, uniform_trials=24, recipe=SEARCH_RECIPE.replace(epochs=100), seed=seed
        ),
        verify=VerifyConfig(
            top=3, uniform=20, seed=seed, recipe=FULL_RECIPE.replace(epochs=20, batch_size=64)
        ),
    )
