"""`nasproxy export`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from nasproxy import permission
from nasproxy.cli import options
from nasproxy.cli.terminal import Terminal, guarded


@guarded
def export_command(
    folder: options.RunFolder,
    trial: Annotated[
        int | None, typer.Option(help="Candidate to export [default: the best verified].")
    ] = None,
    best: Annotated[
        bool, typer.Option("--best", help="The best verified one, by validation score.")
    ] = False,
    form: Annotated[
        str | None,
        typer.Option("--format", help="onnx, pt2 or safetensors [default: by --out, else onnx]."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="File [default: network.FORMAT in the run].")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="On the full data [default: the verification's].")
    ] = None,
    allow_code: options.AllowCode = False,
    data_dir: options.DataDir = None,
    seed: options.Seed = None,
    device: options.Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train the winner on the full data and write it for other programs."""
    from nasproxy._environment import choose_device
    from nasproxy.errors import ConfigError
    from nasproxy.export.session import export

    terminal = Terminal(as_json=as_json, quiet=quiet)
    if allow_code:
        permission.allow_code()
    if best and trial is not None:
        raise ConfigError(f"--best and --trial {trial} exclude each other: give one of them")
    chosen = choose_device(device)
    with terminal.watching() as watch:
        done = export(
            folder, out=out, form=form, trial=trial, epochs=epochs, seed=seed,
            data_dir=data_dir, device=chosen, watch=watch,
        )  # fmt: skip
    for line in export_lines(done):
        terminal.say(line)
    terminal.finish(done)


def export_lines(done: dict[str, Any]) -> Iterator[str]:
    """Word what was written, what it is worth and how it was checked."""
    from nasproxy.training.metric import METRIC_NAMES

    metric, scores = done["metric"], done["scores"]
    again = ", weights kept by an earlier export" if done["was_kept"] else ""
    yield f"Trial {done['trial']}, {done['num_params']:,} parameters{again}"
    yield (
        f"{METRIC_NAMES[metric]}: {scores[f'full_{metric}']:.2%} on validation, "
        f"{scores[f'test_{metric}']:.2%} on test"
    )
    difference = done["max_difference"]
    if difference is None:
        yield "Not read back: pip install 'nasproxy[export]' to have it checked by onnxruntime"
    else:
        yield f"Read back: probabilities differ by at most {difference:.1e}"
    yield f"Network:    {done['out']}"
    yield f"Model card: {done['card']}"
