"""`nasproxy distill`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nasproxy.cli import options
from nasproxy.cli.settings import (
    data_settings,
    default_folder,
    distill_settings,
    engine_settings,
)
from nasproxy.cli.terminal import Terminal, guarded

if TYPE_CHECKING:
    from nasproxy.proxy.dataset import Manifest, ProxyDataset

_DATADAM = "Options of datadam"
_PAD = "Options of pad"


@guarded
def distill_command(
    dataset: options.DatasetOption,
    method: Annotated[
        str, typer.Option(help="datadam (attention) or pad (training trajectories).")
    ] = "datadam",
    ipc: options.Ipc = None,
    init: Annotated[
        str | None, typer.Option(help="Initial images: real, noise or kcenter [default: real].")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="cpu or paper [default: what fits the device].")
    ] = None,
    iterations: options.Iterations = None,
    width: Annotated[int | None, typer.Option(help="Of the matching ConvNet.")] = None,
    depth: Annotated[int | None, typer.Option(help="Of the matching ConvNet.")] = None,
    norm: Annotated[
        str | None, typer.Option(help="Of the matching ConvNet [default: instance].")
    ] = None,
    image_lr: Annotated[float | None, typer.Option(help="Learning rate of the images.")] = None,
    real_batch: Annotated[
        int | None,
        typer.Option(help="Real images per class and step.", rich_help_panel=_DATADAM),
    ] = None,
    p: Annotated[
        float | None, typer.Option(help="Power in the attention maps.", rich_help_panel=_DATADAM)
    ] = None,
    task_balance: Annotated[
        float | None,
        typer.Option(help="Weight of the embedding term (lambda).", rich_help_panel=_DATADAM),
    ] = None,
    networks: Annotated[
        str | None,
        typer.Option(
            help="Match on networks drawn from this search space, name or .toml file.",
            rich_help_panel=_DATADAM,
        ),
    ] = None,
    pool: Annotated[
        int | None,
        typer.Option(
            help="Iterations after which networks and real images recur, which is faster "
            "[default: never].",
            rich_help_panel=_DATADAM,
        ),
    ] = None,
    experts: Annotated[
        int | None,
        typer.Option(help="Networks trained on all images first.", rich_help_panel=_PAD),
    ] = None,
    expert_epochs: Annotated[
        int | None,
        typer.Option(
            help="Of their training [default: until the last snapshot that can be read].",
            rich_help_panel=_PAD,
        ),
    ] = None,
    snapshot_steps: Annotated[
        int | None, typer.Option(help="Steps between their snapshots.", rich_help_panel=_PAD)
    ] = None,
    experts_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder of experts to reuse, or to fill [default: experts in --out].",
            rich_help_panel=_PAD,
        ),
    ] = None,
    filter_samples: Annotated[
        bool | None,
        typer.Option(
            "--filter/--no-filter",
            help="Experts learn from easy images first.",
            rich_help_panel=_PAD,
        ),
    ] = None,
    difficulty: Annotated[
        str | None,
        typer.Option(
            help="What is easy: el2n, gradient or forgetting [default: el2n].",
            rich_help_panel=_PAD,
        ),
    ] = None,
    alpha: Annotated[
        float | None,
        typer.Option(help="Fraction of the parameters not matched.", rich_help_panel=_PAD),
    ] = None,
    mask: Annotated[
        str | None,
        typer.Option(help="By depth or loss [default: depth].", rich_help_panel=_PAD),
    ] = None,
    max_start: Annotated[
        int | None,
        typer.Option(help="Students start before this snapshot.", rich_help_panel=_PAD),
    ] = None,
    match_distance: Annotated[
        int | None,
        typer.Option(help="Snapshots from start to target.", rich_help_panel=_PAD),
    ] = None,
    student_steps: Annotated[
        int | None, typer.Option(help="Steps that are unrolled.", rich_help_panel=_PAD)
    ] = None,
    soft_labels: Annotated[
        bool | None,
        typer.Option(
            "--soft-labels/--hard-labels", help="Learn labels, too.", rich_help_panel=_PAD
        ),
    ] = None,
    label_lr: Annotated[
        float | None, typer.Option(help="Learning rate of the labels.", rich_help_panel=_PAD)
    ] = None,
    step_size: Annotated[
        float | None,
        typer.Option(help="Learning rate of students at first.", rich_help_panel=_PAD),
    ] = None,
    workers: options.Workers = None,
    engine: options.EngineOption = None,
    candidate_timeout: options.CandidateTimeout = None,
    candidate_memory: options.CandidateMemory = None,
    ray_address: options.RayAddress = None,
    gpus_per_candidate: options.GpusPerCandidate = None,
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
    """Distill a data set into a synthetic proxy."""
    from nasproxy._environment import choose_device

    terminal = Terminal(as_json=as_json, quiet=quiet)
    chosen = choose_device(device)
    crew = engine_settings(
        engine, timeout=candidate_timeout, memory=candidate_memory,
        address=ray_address, gpus=gpus_per_candidate,
    )  # fmt: skip
    config = distill_settings(
        preset, chosen, method=method, ipc=ipc, init=init, iterations=iterations, width=width,
        depth=depth, norm=norm, image_lr=image_lr, real_batch=real_batch, p=p,
        task_balance=task_balance, pool=pool, experts=experts, expert_epochs=expert_epochs,
        snapshot_steps=snapshot_steps, filter_samples=filter_samples, difficulty=difficulty,
        alpha=alpha, mask=mask, max_start=max_start, match_distance=match_distance,
        student_steps=student_steps, soft_labels=soft_labels, label_lr=label_lr,
        step_size=step_size, seed=seed,
    )  # fmt: skip
    from nasproxy.data.dataset import load_dataset
    from nasproxy.distill.session import distill
    from nasproxy.errors import ConfigError
    from nasproxy.search.space import load_space

    if experts_dir is not None and config.method != "pad":
        raise ConfigError(f"{config.method} has no experts: leave out --experts-dir")
    if experts_dir is not None and experts_dir.is_file():
        raise ConfigError(f"{experts_dir} is not a folder: choose another --experts-dir")
    if networks is not None and config.method != "datadam":
        raise ConfigError(f"{config.method} has a network of its own: leave out --networks")
    space = load_space(networks) if networks is not None else None

    folder = out or default_folder(dataset, config.method, f"ipc{config.ipc}")
    with terminal.watching() as watch:
        data = load_dataset(
            data_settings(
                dataset, data_dir, image_size, seed, group_column=group_column,
                skip_unreadable=skip_unreadable, augmentation=augmentation,
            ),
            watch=watch,
        ).to(chosen)  # fmt: skip
        if space is not None:
            points = space.feasible_points(data.image_shape)
            config = config.replace(networks=[space.architecture(point) for point in points])
        proxy = distill(
            data, config, folder,
            experts=experts_dir, workers=workers, engine=crew, watch=watch,
        )  # fmt: skip
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
    lines += _kept(manifest)
    pictures = [folder / name for name in ("start.png", "middle.png", "final.png")]
    shown = ", ".join(str(path) for path in pictures if path.exists())
    return [*lines, f"  pictures: {shown}"] if shown else lines


def _kept(manifest: Manifest) -> list[str]:
    """Say which state a distillation kept, and how many of its steps moved nothing."""
    kept = manifest.config.get("kept_iteration")  # which older versions did not record
    if kept is None:
        return []
    lines = [f"  kept: iteration {kept}" + ("" if kept else ": nothing was gained")]
    if skipped := manifest.config.get("skipped_steps"):
        lines.append(f"  skipped: {skipped} steps, whose gradients were not finite")
    return lines
