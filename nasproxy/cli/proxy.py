"""`nasproxy proxy`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nasproxy.cli import options
from nasproxy.cli.distill import describe
from nasproxy.cli.settings import data_settings, default_folder, given
from nasproxy.cli.terminal import Terminal, guarded

app = typer.Typer(help="Proxies: make baselines, look, evaluate.", no_args_is_help=True)


@app.command("make")
@guarded
def make_command(
    dataset: options.DatasetOption,
    kind: Annotated[str, typer.Option(help="random, herding, kcenter or full.")] = "random",
    ipc: options.Ipc = None,
    labels: Annotated[
        str, typer.Option(help="hard, or soft: what teachers trained on all images say.")
    ] = "hard",
    teachers: Annotated[int | None, typer.Option(help="For soft labels [default: 2].")] = None,
    teacher_epochs: Annotated[
        int | None, typer.Option(help="On all images [default: as verify].")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(help="Of soft labels: softer above 1 [default: 4].")
    ] = None,
    experts_dir: Annotated[
        Path | None,
        typer.Option(help="Folder of teachers or experts to reuse [default: experts in --out]."),
    ] = None,
    workers: options.Workers = None,
    data_dir: options.DataDir = None,
    image_size: options.ImageSize = None,
    group_column: options.GroupColumn = None,
    skip_unreadable: options.SkipUnreadable = False,
    augmentation: options.AugmentationOption = None,
    out: options.Out = None,
    seed: options.Seed = None,
    device: options.Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Make a proxy of real images: the rival that a synthetic one has to beat."""
    from nasproxy._environment import choose_device
    from nasproxy.data.dataset import load_dataset
    from nasproxy.errors import ConfigError
    from nasproxy.proxy.coreset import make_baseline
    from nasproxy.proxy.grid import draw_grid, save_grid
    from nasproxy.proxy.store import TENSORS_FILE, save_proxy
    from nasproxy.run_folder import refuse_existing

    terminal = Terminal(as_json=as_json, quiet=quiet)
    ipc = 10 if ipc is None else ipc
    name = kind if labels == "hard" else f"{kind}-{labels}"
    folder = out or default_folder(dataset, name, f"ipc{ipc}")
    refuse_existing(folder / TENSORS_FILE)
    if experts_dir is not None and labels == "hard":
        raise ConfigError(
            f"hard labels have no teachers: leave out --experts-dir {experts_dir}, or use "
            "--labels soft"
        )
    settings = data_settings(
        dataset, data_dir, image_size, seed, group_column=group_column,
        skip_unreadable=skip_unreadable, augmentation=augmentation,
    )  # fmt: skip
    with terminal.watching() as watch:
        data = load_dataset(settings, watch=watch)
        proxy = make_baseline(
            data.to(choose_device(device)), kind, ipc, seed or 0, labels=labels,
            **given(
                num_teachers=teachers, teacher_epochs=teacher_epochs, temperature=temperature
            ),
            experts=experts_dir or folder / "experts", workers=workers, watch=watch,
        )  # fmt: skip
    proxy = save_proxy(proxy, folder)
    picture = draw_grid(proxy.images, proxy.labels, proxy.normalization)
    save_grid(picture, folder / "final.png")
    for line in describe(proxy, folder):
        terminal.say(line)
    terminal.finish({"out": str(folder), **proxy.manifest.to_dict()})


@app.command("show")
@guarded
def show_command(
    folder: options.ProxyFolder,
    grid: Annotated[Path | None, typer.Option(help="Draw the images into this PNG.")] = None,
    seed: options.Seed = None,
    device: options.Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show what is in a proxy."""
    from nasproxy.proxy.grid import beside, draw_grid, save_grid
    from nasproxy.proxy.store import load_proxy

    terminal = Terminal(as_json=as_json, quiet=quiet)
    proxy = load_proxy(folder)
    if grid is not None:
        picture = draw_grid(proxy.images, proxy.labels, proxy.normalization)
        save_grid(beside(folder / "start.png", picture), grid)
    for line in describe(proxy, folder):
        terminal.say(line)
    manifest = proxy.manifest
    names = ", ".join(manifest.class_names[:20])
    terminal.say(f"  images {tuple(proxy.images.shape)}, classes: {names}")
    terminal.say(
        f"  seed {manifest.seed}, made {manifest.created}, data {manifest.data_sha256[:12]}"
    )
    if grid is not None:
        terminal.say(f"  drawn to {grid}")
    terminal.finish({"num_images": len(proxy.labels), **manifest.to_dict()})


@app.command("evaluate")
@guarded
def evaluate_command(
    folder: options.ProxyFolder,
    model: Annotated[
        str, typer.Option(help="convnet-DEPTH, alexnet, resnet18 or mlp.")
    ] = "convnet-3",
    width: Annotated[int | None, typer.Option(help="Of the model [default: 128].")] = None,
    seeds: Annotated[int, typer.Option(help="Trainings.", min=1)] = 5,
    epochs: Annotated[int | None, typer.Option(help="Instead of the protocol's.")] = None,
    protocol: Annotated[
        str,
        typer.Option(
            help="study (20 plain epochs), standard (1000, augmented), or full (as `verify` does)."
        ),
    ] = "study",
    workers: options.Workers = None,
    data_dir: options.DataDir = None,
    seed: options.Seed = None,
    device: options.Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a model on the proxy from scratch and test it on the real test split."""
    terminal = Terminal(as_json=as_json, quiet=quiet)
    with terminal.watching() as watch:
        result = evaluate(
            folder, model, protocol, watch, width=width, seeds=seeds, epochs=epochs,
            workers=workers, data_dir=data_dir, seed=seed or 0, device=device,
        )  # fmt: skip
    auc = f"AUC {result['auc_mean']:.2%}, " if "auc_mean" in result else ""
    terminal.say(
        f"{result['model']} on {folder}, {protocol} protocol, {seeds} seeds: "
        f"test accuracy {result['accuracy_mean']:.2%} (std {result['accuracy_std']:.2%}), "
        f"balanced {result['balanced_accuracy_mean']:.2%}, {auc}majority class "
        f"{result['majority_class_rate']:.1%}; {result['seconds_mean']:.1f} s a training"
    )
    terminal.finish(result)


def evaluate(
    folder: Path, model: str, protocol: str, watch: Any, *, width: int | None, seeds: int,
    epochs: int | None, workers: int | None, data_dir: str | None, seed: int, device: str,
) -> dict[str, Any]:  # fmt: skip
    """Evaluate a proxy and keep the result in its folder, under `evaluation/`."""
    from nasproxy._environment import choose_device
    from nasproxy._files import write_json
    from nasproxy.config import PROTOCOLS, DataConfig, full_recipe
    from nasproxy.data.dataset import load_dataset
    from nasproxy.errors import ArtifactError, ConfigError, unknown_name
    from nasproxy.models.family import named_architecture
    from nasproxy.proxy.store import load_proxy
    from nasproxy.run_folder import command_line
    from nasproxy.verify.quality import evaluate_proxy

    if protocol not in (*PROTOCOLS, "full"):
        raise ConfigError(unknown_name("protocol", protocol, (*PROTOCOLS, "full")))
    architecture = named_architecture(model, width)
    chosen = choose_device(device)
    proxy = load_proxy(folder, chosen)
    recorded = proxy.manifest.config.get("data")
    if not isinstance(recorded, dict):
        raise ArtifactError(f"{folder}: manifest.json names no data set: make the proxy again")
    settings = {**recorded, "data_dir": data_dir}
    dataset = load_dataset(DataConfig.parse(settings, "data"), watch=watch).to(chosen)
    recipe = PROTOCOLS.get(protocol, full_recipe(len(dataset.train)))
    recipe = recipe.replace(**given(epochs=epochs))
    result = evaluate_proxy(
        dataset, proxy, architecture, recipe, seeds=seeds, seed=seed, workers=workers, watch=watch
    )
    name = f"{model}-w{width}" if width else model
    result = {"command": command_line(), "model": name, "protocol": protocol, **result}
    write_json(folder / "evaluation" / f"{name}-{protocol}.json", result)
    return result
