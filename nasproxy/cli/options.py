"""Options that several commands share, each described once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nasproxy.cli.completion import (
    complete_dataset,
    complete_metric,
    complete_proxy,
    complete_space,
)

_COMMON = "Common options"
_DATA = "Data options"
_ENGINE = "Engine options"
_SIZE = "Small and fast networks"
_DATASETS = "digits, mnist, fashion-mnist, mhist[:PATH], folder:PATH or npz:FILE."
_SPACES = "Name of a search space, or a .toml file."

DatasetOption = Annotated[
    str,
    typer.Option("--dataset", help=_DATASETS, show_default=False, autocompletion=complete_dataset),
]
OptionalDataset = Annotated[
    str | None, typer.Option("--dataset", help=_DATASETS, autocompletion=complete_dataset)
]
SettingsFile = Annotated[
    Path | None,
    typer.Option("--config", help="TOML file of settings; options given here go first."),
]
Space = Annotated[str, typer.Option("--space", help=_SPACES, autocompletion=complete_space)]
OptionalSpace = Annotated[
    str | None,
    typer.Option(
        "--space", help=f"{_SPACES[:-1]} [default: convnet].", autocompletion=complete_space
    ),
]
DataDir = Annotated[
    str | None,
    typer.Option(
        "--data-dir",
        help="Folder of data sets [default: NASPROXY_DATA, else the cache].",
        rich_help_panel=_DATA,
    ),
]
ImageSize = Annotated[
    int | None,
    typer.Option(
        "--image-size", help="Resize images to this many pixels a side.", rich_help_panel=_DATA
    ),
]
GroupColumn = Annotated[
    str | None,
    typer.Option(
        "--group-column",
        help="Keep patients, slides, ... apart: COLUMN, or FILE.csv:COLUMN.",
        rich_help_panel=_DATA,
    ),
]
SkipUnreadable = Annotated[
    bool,
    typer.Option("--skip-unreadable", help="Leave damaged images out.", rich_help_panel=_DATA),
]
AugmentationOption = Annotated[
    str | None,
    typer.Option(
        "--augmentation",
        help="none, digits, objects, tissue or generic [default: what fits].",
        rich_help_panel=_DATA,
    ),
]
Metric = Annotated[
    str | None,
    typer.Option(
        "--metric",
        help="What counts: accuracy, balanced_accuracy or auc [default: accuracy].",
        autocompletion=complete_metric,
    ),
]
Objective = Annotated[
    str | None,
    typer.Option(
        "--objective",
        help="accuracy (the metric), then what shall be small beside it: params, flops, latency; "
        "as accuracy,params [default: accuracy].",
        rich_help_panel=_SIZE,
    ),
]
MaxParams = Annotated[
    int | None,
    typer.Option(
        "--max-params", help="Trainable parameters, at most [default: any].", rich_help_panel=_SIZE
    ),
]
MaxFlops = Annotated[
    int | None,
    typer.Option(
        "--max-flops", help="FLOPs of one image, at most [default: any].", rich_help_panel=_SIZE
    ),
]
MaxLatency = Annotated[
    float | None,
    typer.Option(
        "--max-latency-ms",
        help="Milliseconds for one image on this device, one thread, at most [default: any].",
        rich_help_panel=_SIZE,
    ),
]
Trust = Annotated[
    int | None,
    typer.Option(
        "--trust", help="Architectures that check the proxy first; 0: no check [default: 8]."
    ),
]
TrustEpochs = Annotated[
    float | None,
    typer.Option(
        "--trust-epochs", help="On all data, fractions too [default: a third of verify's]."
    ),
]
RequireTrust = Annotated[
    bool,
    typer.Option("--require-trust", help="Do not search on a proxy that ranks as chance does."),
]
Calibrate = Annotated[
    bool,
    typer.Option("--calibrate", help="Choose the recipe on the trust check's architectures first."),
]
ProxyOption = Annotated[
    str | None,
    typer.Option(
        "--proxy",
        help="What candidates train on: early (all data, stopped early), full, synthetic, random, "
        "random-soft (with teachers' labels), herding, kcenter, or the folder of a proxy "
        "[default: early].",
        autocompletion=complete_proxy,
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(
        "--steps",
        help="Of a candidate's training, in place of epochs [default with early: 300, or a quarter "
        "of full training].",
    ),
]
Ipc = Annotated[
    int | None, typer.Option("--ipc", help="Images per class of a proxy [default: 10].")
]
Iterations = Annotated[
    int | None, typer.Option("--iterations", help="Updates of the synthetic images.")
]
Trials = Annotated[int | None, typer.Option("--trials", help="Candidates [default: 60].")]
Top = Annotated[int | None, typer.Option("--top", help="Best candidates to verify [default: 5].")]
UniformSample = Annotated[
    int | None,
    typer.Option("--uniform", help="Uniformly drawn candidates to verify [default: 20]."),
]
FullEpochs = Annotated[
    int | None,
    typer.Option("--epochs", help="On the full data [default: 3 to 20, by number of images]."),
]
AllowCode = Annotated[
    bool,
    typer.Option(
        "--allow-code", help="Import the builder of networks that the space names: trusted code."
    ),
]
RunFolder = Annotated[Path, typer.Argument(help="Folder of the run.", show_default=False)]
ProxyFolder = Annotated[Path, typer.Argument(help="Folder of the proxy.", show_default=False)]
Out = Annotated[
    Path | None, typer.Option("--out", help="Folder for the result [default: under runs/].")
]
Workers = Annotated[
    int | None, typer.Option("--workers", help="Processes [default: one a core; one on a GPU].")
]
EngineOption = Annotated[
    str | None,
    typer.Option(
        "--engine", help="serial, processes or ray [default: what fits].", rich_help_panel=_ENGINE
    ),
]
CandidateTimeout = Annotated[
    float | None,
    typer.Option(
        "--candidate-timeout",
        help="Seconds after which a training is given up [default: none].",
        rich_help_panel=_ENGINE,
    ),
]
CandidateMemory = Annotated[
    float | None,
    typer.Option(
        "--candidate-memory",
        help="GiB of main memory for a training, on Linux [default: any].",
        rich_help_panel=_ENGINE,
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        help="auto or HOST:PORT of a cluster [default: one of this machine's own].",
        rich_help_panel=_ENGINE,
    ),
]
GpusPerCandidate = Annotated[
    float | None,
    typer.Option(
        "--gpus-per-candidate",
        help="Share of a GPU, with Ray [default: 1 on cuda].",
        rich_help_panel=_ENGINE,
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object.", rich_help_panel=_COMMON)
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.", rich_help_panel=_COMMON)]
Seed = Annotated[
    int | None,
    typer.Option("--seed", help="Root of all chance [default: 0].", rich_help_panel=_COMMON),
]
Device = Annotated[
    str, typer.Option("--device", help="auto, cpu, cuda or mps.", rich_help_panel=_COMMON)
]
