"""`nasproxy verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nasproxy import permission
from nasproxy.cli import options
from nasproxy.cli.search import architecture_text, varied_settings
from nasproxy.cli.settings import engine_settings, given
from nasproxy.cli.table import fitted_table
from nasproxy.cli.terminal import Terminal, guarded
from nasproxy.progress import Watch

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from nasproxy.executors.engine import Engine


@guarded
def verify_command(
    folder: options.RunFolder,
    top: options.Top = None,
    uniform: options.UniformSample = None,
    seeds: Annotated[int | None, typer.Option(help="Trainings a candidate [default: 2].")] = None,
    epochs: options.FullEpochs = None,
    trainings: Annotated[
        Path | None, typer.Option(help="Finished trainings, shared by runs [default: in the run].")
    ] = None,
    allow_code: options.AllowCode = False,
    workers: options.Workers = None,
    engine: options.EngineOption = None,
    candidate_timeout: options.CandidateTimeout = None,
    candidate_memory: options.CandidateMemory = None,
    ray_address: options.RayAddress = None,
    gpus_per_candidate: options.GpusPerCandidate = None,
    data_dir: options.DataDir = None,
    seed: options.Seed = None,
    device: options.Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train the top candidates and a uniform sample on the full data."""
    from nasproxy.run_folder import read_run

    terminal = Terminal(as_json=as_json, quiet=quiet)
    if allow_code:
        permission.allow_code()
    crew = engine_settings(
        engine, timeout=candidate_timeout, memory=candidate_memory,
        address=ray_address, gpus=gpus_per_candidate,
    )  # fmt: skip
    settings = given(top=top, uniform=uniform, seeds=seeds, epochs=epochs, seed=seed)
    with terminal.watching() as watch:
        verified = verify_run(
            folder, settings, watch,
            trainings=trainings, workers=workers, engine=crew, data_dir=data_dir, device=device,
        )  # fmt: skip
    terminal.say(verified_table(verified, read_run(folder)))
    terminal.say(f"Next: nasproxy report {folder}")
    terminal.finish({"out": str(folder), "verification": verified})


def verify_run(
    folder: Path, settings: dict[str, Any], watch: Watch, *,
    trainings: Path | None, workers: int | None, data_dir: str | None, device: str,
    engine: Engine = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Verify a run on the data that its record names."""
    from nasproxy._environment import choose_device
    from nasproxy.config import DataConfig, VerifyConfig
    from nasproxy.data.dataset import load_dataset
    from nasproxy.errors import ArtifactError
    from nasproxy.run_folder import read_run
    from nasproxy.verify.session import verify

    run = read_run(folder)
    config = VerifyConfig.parse({"seed": run.get("seed", 0), **settings}, "verify")
    recorded = run["config"].get("data")
    if not isinstance(recorded, dict):
        raise ArtifactError(f"{folder}: run.json names no data set; restore it, or search again")
    data = DataConfig.parse({**recorded, "data_dir": data_dir}, "data")
    dataset = load_dataset(data, watch=watch).to(choose_device(device))
    return verify(
        dataset, folder, config,
        trainings=trainings, workers=workers, engine=engine, watch=watch,
    )  # fmt: skip


def verified_table(
    verified: list[dict[str, Any]], run: dict[str, Any], rows: int = 15
) -> RichTable:
    """Lay out the best verified candidates, with what a glance at accuracy would miss."""
    from nasproxy.report.table import Table
    from nasproxy.training.metric import (
        METRIC_NAMES,
        majority_class_rate,
        mean_score,
        recorded_metric,
        score_text,
        short_name,
        shown_metrics,
    )

    metric, counts = recorded_metric(run, "run.json"), run["data"]["validation_class_counts"]
    shown = shown_metrics(metric, counts)
    varied = varied_settings([entry["architecture"] for entry in verified])
    best = sorted(verified, key=lambda e: -(mean_score(e[f"full_{metric}"]) or 0.0))[:rows]
    names = {f"full_{metric}": "validation"}
    for name in shown:
        names[f"test_{name}"] = f"test {short_name(name)}" if len(shown) > 1 else "test"
    lines = [
        (
            str(entry["trial"]),
            architecture_text(entry["architecture"], varied),
            *(score_text({key: mean_score(entry[key])}, [key], 2) for key in names),
            "+".join(entry["selected_by"]),
        )
        for entry in best
    ]
    title = f"Best of {len(verified)} candidates trained on the full data"
    if len(shown) > 1:
        rate = majority_class_rate(counts)
        title += f" by {METRIC_NAMES[metric]}" + (f"; majority class {rate:.2%}" if rate else "")
    header = ("trial", "architecture", *names.values(), "chosen")
    return fitted_table(Table(title, header, lines), spare=("chosen",))
