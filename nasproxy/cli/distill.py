"""`nasproxy distill`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nasproxy.cli import options
from nasproxy.cli.settings import data_settings, datadam_settings
from nasproxy.cli.terminal import Terminal, guarded

if TYPE_CHECKING:
    from nasproxy.proxy.dataset import ProxyDataset


@guarded
def distill_command(
    dataset: options.DatasetOption,
    method: Annotated[str, typer.Option(help="Distillation method: datadam.")] = "datadam",
    ipc: options.Ipc = None,
    init: Annotated[
        str | None, typer.Option(help="Initial images: real, noise or kcenter [default: real].")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="cpu or paper [default: what fits the device].")
    ] = None,
    iterations: Annotated[int | None, typer.Option(help="Updates of the images.")] = None,
    width: Annotated[int | None, typer.Option(help="Of the matching ConvNet.")] = None,
    depth: Annotated[int | None, typer.Option(help="Of the matching ConvNet.")] = None,
    real_batch: Annotated[int | None, typer.Option(help="Real images per class and step.")] = None,
    image_lr: Annotated[float | None, typer.Option(help="Learning rate of the images.")] = None,
    p: Annotated[float | None, typer.Option(help="Power in the attention maps.")] = None,
    task_balance: Annotated[
        float | None, typer.Option(help="Weight of the embedding term (lambda).")
    ] = None,
    data_dir: options.DataDir = None,
    image_size: options.ImageSize = None,
    out: options.Out = None,
    seed: options.Seed = None,
    device: options.Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Distill a data set into a synthetic proxy."""
    from nasproxy._environment import choose_device

    terminal = Terminal(as_json=as_json, quiet=quiet)
    chosen = choose_device(device)
    config = datadam_settings(
        preset, chosen, method=method, ipc=ipc, init=init, iterations=iterations, width=width,
        depth=depth, real_batch=real_batch, image_lr=image_lr, p=p, task_balance=task_balance,
        seed=seed,
    )  # fmt: skip
    from nasproxy.data.dataset import load_dataset
    from nasproxy.distill.session import distill

    data = load_dataset(data_settings(dataset, data_dir, image_size, seed)).to(chosen)
    folder = out or Path("runs") / f"{dataset}-{config.method}-ipc{config.ipc}"
    with terminal.watching() as watch:
        proxy = distill(data, config, folder, watch=watch)
    for line in describe(proxy, folder):
        terminal.say(line)
    terminal.finish({"out": str(folder), **proxy.manifest.to_dict()})


def describe(proxy: ProxyDataset, folder: Path) -> list[str]:
    """Say in a few lines what a proxy is and how it became so."""
    manifest = proxy.manifest
    lines = [
        f"{manifest.kind} proxy of {manifest.dataset}: {len(proxy.labels)} images "
        f"({manifest.method}, {manifest.seconds:.0f} s) in {folder}"
    ]
    lines += [
        f"  after {entry['iteration']:>6} iterations: "
        f"{entry['validation_accuracy']:.1%} on validation images"
        for entry in manifest.history
    ]
    pictures = [folder / name for name in ("start.png", "middle.png", "final.png")]
    shown = ", ".join(str(path) for path in pictures if path.exists())
    return [*lines, f"  pictures: {shown}"] if shown else lines
