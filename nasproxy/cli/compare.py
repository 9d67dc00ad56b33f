"""`nasproxy compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nasproxy import permission
from nasproxy.cli import options
from nasproxy.cli.settings import default_folder, given, read_settings
from nasproxy.cli.table import fitted_table
from nasproxy.cli.terminal import Terminal, guarded

if TYPE_CHECKING:
    from nasproxy.config import CompareConfig

_TRUTH = "Options of the ground truth"
_JUDGE = "Options of the judgement"
SPARE = ("rho, averaged", "tau-b", "by")
"""Columns of the ranking that a narrow terminal may lack; the report has them."""


@guarded
def compare_command(
    dataset: options.OptionalDataset = None,
    config: options.SettingsFile = None,
    space: options.OptionalSpace = None,
    proxies: Annotated[
        list[str] | None,
        typer.Option(
            help="A,B,...: random, random-soft, herding, kcenter, full, synthetic, DIR or NAME=DIR "
            "of a proxy, early, reduced, params, flops, synflow, naswot, jacov, grad_norm, zico. "
            "After one, its options: labels=hard|soft|teacher, draws=N, seeds=N, ipc=N, epochs=N, "
            "lr=X, measure=loss. May be repeated.",
        ),
    ] = None,
    sums: Annotated[
        list[str] | None, typer.Option(help="A+B,...: sums of the ranks of two contestants.")
    ] = None,
    ipc: options.Ipc = None,
    seeds: Annotated[
        int | None, typer.Option(help="Trainings of a candidate on each proxy [default: 2].")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="On a proxy [default: 300].")] = None,
    lr: Annotated[float | None, typer.Option(help="On a proxy [default: 0.05].")] = None,
    metric: options.Metric = None,
    architectures: Annotated[
        str | None,
        typer.Option(
            help="Drawn uniformly from the space, or all [default: 60].", rich_help_panel=_TRUTH
        ),
    ] = None,
    truth_seeds: Annotated[
        int | None,
        typer.Option(help="Full trainings an architecture [default: 2].", rich_help_panel=_TRUTH),
    ] = None,
    truth_epochs: Annotated[
        int | None,
        typer.Option(
            help="On the full data [default: 3 to 20, by number of images].", rich_help_panel=_TRUTH
        ),
    ] = None,
    trainings: Annotated[
        Path | None,
        typer.Option(
            help="Finished trainings, shared with verify [default: in --out].",
            rich_help_panel=_TRUTH,
        ),
    ] = None,
    truth_from: Annotated[
        Path | None,
        typer.Option(
            help="Finished trainings whose architectures are the sample: trains nothing in full.",
            rich_help_panel=_TRUTH,
        ),
    ] = None,
    measure: Annotated[
        str | None,
        typer.Option(
            help="Rank by accuracy, loss or margin [default: each by its own].",
            rich_help_panel=_JUDGE,
        ),
    ] = None,
    resamples: Annotated[
        int, typer.Option(help="Of the bootstrap.", min=1, rich_help_panel=_JUDGE)
    ] = 2000,
    judge_only: Annotated[
        bool,
        typer.Option(
            "--judge-only", help="Judge what --out holds; train nothing.", rich_help_panel=_JUDGE
        ),
    ] = False,
    allow_code: options.AllowCode = False,
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
    """Compare ways to rank networks, at what they cost, with training on the full data."""
    from nasproxy._environment import choose_device
    from nasproxy.compare.page import HTML_FILE, MARKDOWN_FILE
    from nasproxy.compare.session import compare, conclude
    from nasproxy.compare.table import ranking_table
    from nasproxy.data.dataset import load_dataset

    terminal = Terminal(as_json=as_json, quiet=quiet)
    if allow_code:
        permission.allow_code()
    pairs = tuple(part for text in sums or () for part in text.split(","))
    check_measure(measure)
    if judge_only:
        folder = judged_folder(out)
    else:
        settings = compare_settings(
            config,
            given(
                dataset=dataset, data_dir=data_dir, image_size=image_size,
                group_column=group_column, skip_unreadable=skip_unreadable or None,
                augmentation=augmentation, seed=seed,
            ),
            given(
                space=space, ipc=ipc, seeds=seeds, metric=metric, truth_seeds=truth_seeds,
                architectures=number_or_all(architectures), truth_epochs=truth_epochs,
                sums=pairs or None, seed=seed,
            ),
            given(epochs=epochs, lr=lr),
            proxies or [],
        )  # fmt: skip
        folder = out or default_folder(settings.data.dataset, Path(settings.space).stem, "compare")
        pairs, seed = settings.sums, settings.seed
        with terminal.watching() as watch:
            data = load_dataset(settings.data, watch=watch).to(choose_device(device))
            compare(
                data, settings, folder,
                trainings=trainings, truth_from=truth_from, workers=workers, watch=watch,
            )  # fmt: skip
    judgement = conclude(
        folder, sums=pairs, measure=measure, num_resamples=resamples, seed=seed or 0
    )
    terminal.say(fitted_table(ranking_table(judgement), spare=SPARE))
    terminal.say(f"\n{judgement.verdict}\n")
    terminal.say(f"Report: {folder / HTML_FILE}, {folder / MARKDOWN_FILE}")
    terminal.finish({"out": str(folder), **judgement.to_dict()})


def compare_settings(
    path: Path | None,
    data: dict[str, Any],
    options: dict[str, Any],
    recipe: dict[str, Any],
    texts: list[str],
) -> CompareConfig:
    """Merge a file of settings, if any, with what was given on the command line.

    Args:
        path: of the TOML file.
        data: options of the data set.
        options: of the comparison.
        recipe: of the training on proxies.
        texts: contestants; they stand beside those of the file.

    Raises:
        ConfigError: a setting is unknown or out of range, or no data set is named.
    """
    from nasproxy.compare.contestant import read_contestants
    from nasproxy.config import CompareConfig
    from nasproxy.errors import ConfigError

    values = read_settings(path, data, "recipe")
    if not isinstance(values.get("contestants", []), list):
        raise ConfigError(
            f"contestants must be tables [[contestants]] in {path}, got {values['contestants']!r}"
        )
    values["recipe"] = {**values.get("recipe", {}), **recipe}
    values["contestants"] = [*values.get("contestants", []), *read_contestants(texts)]
    return CompareConfig.parse({**values, **options})


def check_measure(name: str | None) -> None:
    """Refuse what nothing is ever ranked by; whether the contestants have it shows later.

    Raises:
        ConfigError: naming what there is.
    """
    from nasproxy.compare.training import MEASURES
    from nasproxy.errors import ConfigError, unknown_name

    known = (*MEASURES, "score", "ranks")
    if name is not None and name not in known:
        raise ConfigError(unknown_name("measure", name, known) + " (--measure)")


def number_or_all(text: str | None) -> int | str | None:
    """Read `--architectures`; what is neither a number nor `all` is refused later."""
    return int(text) if text is not None and text.lstrip("-").isdecimal() else text


def judged_folder(out: Path | None) -> Path:
    """Return the folder to be judged.

    Raises:
        ConfigError: none is named.
    """
    from nasproxy.errors import ConfigError

    if out is None:
        raise ConfigError("--judge-only needs the folder of a comparison (--out)")
    return out
