"""`nasproxy bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nasproxy.cli import options
from nasproxy.cli.settings import given
from nasproxy.cli.table import fitted_table
from nasproxy.cli.terminal import Terminal, guarded


@guarded
def bench_command(
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset", help="What to measure on [default: mnist, or random images of its size]."
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Measure only this section, such as evaluation; may be repeated."),
    ] = None,
    repeats: Annotated[int | None, typer.Option(help="Of every measurement [default: 5].")] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Of the candidates' trainings, both sides [default: 30].")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Show that it runs, on tiny sizes.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Measure anew what is there already.")
    ] = False,
    workers: options.Workers = None,
    data_dir: options.DataDir = None,
    out: options.Out = None,
    seed: options.Seed = None,
    device: options.Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure this machine: our speed against a plain loop and against a matrix product."""
    from nasproxy._environment import choose_device
    from nasproxy.bench.plan import BenchConfig
    from nasproxy.bench.session import bench
    from nasproxy.bench.table import all_tables

    terminal = Terminal(as_json=as_json, quiet=quiet)
    config = BenchConfig.make(
        quick=quick,
        **given(
            dataset=dataset, repeats=repeats, epochs=epochs, workers=workers, data_dir=data_dir,
            seed=seed,
        ),
    )  # fmt: skip
    folder = out or Path("runs") / ("bench-quick" if quick else "bench")
    with terminal.watching() as watch:
        record = bench(
            config, folder, device=choose_device(device), only=only or (), again=again, watch=watch
        )
    for table in all_tables(record)[:-1]:
        terminal.say(fitted_table(table))
    terminal.say(f"Report: {folder / 'bench.html'}, {folder / 'bench.md'}")
    terminal.finish({"out": str(folder), **record})
