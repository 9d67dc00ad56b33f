"""`nasproxy verify`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nasproxy import permission
from nasproxy.cli import options
from nasproxy.cli.search import architecture_text, varied_settings
from nasproxy.cli.settings import engine_settings, given
from nasproxy.cli.terminal import Terminal, guarded
from nasproxy.progress import Watch

if TYPE_CHECKING:
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
    for line in verified_lines(verified, read_run(folder)):
        terminal.say(line)
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


def verified_lines(verified: list[dict[str, Any]], run: dict[str, Any]) -> Iterator[str]:
    """Word the verified candidates, the best first, with what a glance at accuracy would miss."""
    from nasproxy.training.metric import (
        majority_class_rate,
        mean_score,
        recorded_metric,
        score_text,
        shown_metrics,
    )

    metric, counts = recorded_metric(run, "run.json"), run["data"]["validation_class_counts"]
    shown = shown_metrics(metric, counts)
    varied = varied_settings([entry["architecture"] for entry in verified])
    for entry in sorted(verified, key=lambda e: -(mean_score(e[f"full_{metric}"]) or 0.0)):
        full, test = (
            score_text({name: mean_score(entry[f"{split}_{name}"]) for name in shown}, shown, 2)
            for split in ("full", "test")
        )
        yield (
            f"trial {entry['trial']:>4}  full {full}  test {test}  "
            f"{'+'.join(entry['selected_by']):<11}  "
            f"{architecture_text(entry['architecture'], varied)}"
        )
    if len(shown) > 1:
        yield f"majority class: {majority_class_rate(counts):.2%} of the validation images"
