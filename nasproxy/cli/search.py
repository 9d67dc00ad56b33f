"""`nasproxy search`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nasproxy import permission
from nasproxy.cli import options
from nasproxy.cli.settings import (
    data_settings,
    default_folder,
    distill_settings,
    engine_settings,
    given,
    goal_settings,
    refuse_idle,
)
from nasproxy.cli.table import fitted_table
from nasproxy.cli.terminal import Terminal, guarded

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from nasproxy.report.agreement import TrustJudgement


@guarded
def search_command(
    dataset: options.DatasetOption,
    space: options.Space = "convnet",
    proxy: options.ProxyOption = None,
    ipc: options.Ipc = None,
    trials: options.Trials = None,
    metric: options.Metric = None,
    objective: options.Objective = None,
    max_params: options.MaxParams = None,
    max_flops: options.MaxFlops = None,
    max_latency_ms: options.MaxLatency = None,
    sampler: Annotated[
        str | None, typer.Option(help="tpe, random, grid, gp or nsga2 [default: tpe].")
    ] = None,
    pruner: Annotated[
        str | None, typer.Option(help="none, median or halving [default: none].")
    ] = None,
    uniform: Annotated[
        int | None, typer.Option(help="Trials drawn uniformly first [default: a third].")
    ] = None,
    lag: Annotated[
        int | None, typer.Option(help="Trials a learning sampler may be ahead [default: 8].")
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Trainings a candidate [default: 1].")] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help="Of a training on a proxy [default: 300], or on all images with full."),
    ] = None,
    steps: options.Steps = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate [default: 0.05].")] = None,
    trust: options.Trust = None,
    trust_epochs: options.TrustEpochs = None,
    require_trust: options.RequireTrust = False,
    calibrate: options.Calibrate = False,
    allow_code: options.AllowCode = False,
    workers: options.Workers = None,
    engine: options.EngineOption = None,
    candidate_timeout: options.CandidateTimeout = None,
    candidate_memory: options.CandidateMemory = None,
    ray_address: options.RayAddress = None,
    gpus_per_candidate: options.GpusPerCandidate = None,
    storage: Annotated[
        str | None,
        typer.Option(
            help="Optuna storage URL that several drivers may share: sqlite:///FILE, "
            "postgresql+psycopg://, mysql+pymysql://, journal:///FILE, grpc://HOST:PORT "
            "[default: study.db in --out]."
        ),
    ] = None,
    study_name: Annotated[str | None, typer.Option(help="[default: name of --out].")] = None,
    lease: Annotated[
        float, typer.Option(min=1, help="Seconds after which a silent driver's trials are taken.")
    ] = 60.0,
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
    """Search a space of networks, each trained on the proxy; an Optuna study."""
    from nasproxy._environment import choose_device
    from nasproxy.config import DEFAULT_PROXY, SearchConfig, TrustConfig, changed_recipe

    proxy = proxy or DEFAULT_PROXY
    terminal = Terminal(as_json=as_json, quiet=quiet)
    if allow_code:
        permission.allow_code()
    chosen = choose_device(device)
    crew = engine_settings(
        engine, timeout=candidate_timeout, memory=candidate_memory,
        address=ray_address, gpus=gpus_per_candidate,
    )  # fmt: skip
    refuse_idle(proxy, ipc=ipc)
    changes = given(epochs=epochs, steps=steps, lr=lr)
    settings = given(
        space=space, trials=trials, metric=metric, sampler=sampler, pruner=pruner,
        uniform_trials=uniform, lag=lag, seeds=seeds, seed=seed,
    )  # fmt: skip
    goal = goal_settings(
        objective, max_params=max_params, max_flops=max_flops, max_latency_ms=max_latency_ms
    )
    recipe = changed_recipe(proxy, None, changes).to_dict()
    config = SearchConfig.parse({**settings, **goal, "recipe": recipe}, "search")
    checking = TrustConfig.parse(
        given(
            architectures=trust, epochs=trust_epochs, required=require_trust or None,
            calibrate=calibrate or None,
        ),
        "trust",
    )  # fmt: skip
    from nasproxy.data.dataset import load_dataset
    from nasproxy.pipeline import check_trust, choose_recipe, open_proxy
    from nasproxy.search.limit import check_goal
    from nasproxy.search.objective import check_metric
    from nasproxy.search.session import search
    from nasproxy.search.space import load_space
    from nasproxy.search.storage import check_storage
    from nasproxy.training.evaluate import count_classes

    searched = load_space(space)  # a mistake in it should not cost a distillation
    if storage is not None:  # nor one in this
        check_storage(storage)
    folder = out or default_folder(dataset, Path(space).stem, Path(proxy).name)
    described = data_settings(
        dataset, data_dir, image_size, seed, group_column=group_column,
        skip_unreadable=skip_unreadable, augmentation=augmentation,
    )  # fmt: skip
    with terminal.watching() as watch:
        data = load_dataset(described, watch=watch).to(chosen)
        check_metric(config.metric, data)
        check_goal(searched, data, config, storage, watch)
        recipe = changed_recipe(proxy, len(data.train), changes).to_dict()
        config = config.replace(recipe=recipe)
        opened = open_proxy(
            proxy, data, folder, distill_settings(None, chosen, ipc=ipc, seed=seed),
            ipc=ipc, watch=watch,
        )  # fmt: skip
        config, calibration = choose_recipe(
            data, opened, config, checking, folder, workers=workers, engine=crew, watch=watch
        )
        judgement = check_trust(
            data, opened, config, checking, folder, workers=workers, engine=crew, watch=watch
        )
    if calibration is not None:
        terminal.say(f"Recipe: {calibration.sentence}")
    for line in trust_lines(judgement, kind=opened.manifest.kind, chosen=calibration is not None):
        terminal.say(line)
    with terminal.watching() as watch:
        candidates = search(
            data, opened, config, folder,
            workers=workers, engine=crew, storage=storage, study_name=study_name,
            lease_seconds=lease, watch=watch,
        )  # fmt: skip
    counts = count_classes(data.validation, data.num_classes)
    terminal.say(
        candidate_table(candidates, metric=config.metric, class_counts=counts, costs=config.costs)
    )
    terminal.say(f"Inspect: nasproxy dashboard {folder}\nNext:    nasproxy verify {folder}")
    found = None if judgement is None else judgement.to_dict()
    tried = None if calibration is None else calibration.to_dict()
    terminal.finish(
        {"out": str(folder), "trust": found, "calibration": tried, "candidates": candidates}
    )


def trust_lines(judgement: TrustJudgement | None, *, kind: str, chosen: bool = False) -> list[str]:
    """Say what the check of the proxy found; a warning has said so where it is bad news."""
    if judgement is None:
        return ["No trust check: the proxy is the full data."] if kind == "full" else []
    flatters = " (the recipe was chosen on the same architectures, so this flatters)"
    said = f"Trust check: {judgement.sentence}" + (flatters if chosen else "")
    return [said] if judgement.told_from_chance else []


def candidate_table(
    candidates: list[dict[str, Any]],
    rows: int = 10,
    *,
    metric: str = "accuracy",
    class_counts: Sequence[int] = (),
    costs: Sequence[str] = (),
) -> RichTable:
    """Lay out the best candidates, with all scores where accuracy alone would mislead.

    Where there are costs to keep small, they are the best of the Pareto front.
    """
    from nasproxy.config import COST_FIELDS
    from nasproxy.report.table import Table
    from nasproxy.training.metric import (
        METRIC_NAMES,
        majority_class_rate,
        score_text,
        short_name,
        shown_metrics,
    )

    shown = shown_metrics(metric, class_counts)
    scored = [c for c in candidates if c["status"] == "complete"]
    scored.sort(key=lambda c: (-c["proxy_score"], c["num_params"]))
    varied = varied_settings([c["architecture"] for c in candidates])
    failed = sum(c["status"] == "failed" for c in candidates)
    title = f"Best of {len(candidates)} candidates" + (f" ({failed} failed)" if failed else "")
    if costs:
        scored = [c for c in scored if c["pareto"]]
        title = f"Pareto front, {len(scored)} of{title.removeprefix('Best of')}"
        title += f"; the best {rows}" if len(scored) > rows else ""
    names = ["proxy"]
    if len(shown) > 1:
        rate = majority_class_rate(class_counts)
        title += f" by {METRIC_NAMES[metric]}" + (f"; majority class {rate:.1%}" if rate else "")
        names = [short_name(name) for name in shown]
    more = [(name, COST_FIELDS[name]) for name in costs if name != "params"]
    heads = [{"flops": "FLOPs", "latency": "ms"}[name] for name, _ in more]
    lines = [
        (
            str(candidate["trial"]),
            architecture_text(candidate["architecture"], varied),
            *(score_text({name: candidate[f"proxy_{name}"]}, [name]) for name in shown),
            f"{candidate['num_params']:,}",
            *(_cost_text(candidate[field]) for _, field in more),
            f"{candidate['seconds']:.1f}",
        )
        for candidate in scored[:rows]
    ]
    header = ("trial", "architecture", *names, "params", *heads, "seconds")
    other = short_name("accuracy" if metric == "auc" else "auc")
    return fitted_table(Table(title, header, lines), spare=("seconds", other))


def _cost_text(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"


def varied_settings(architectures: list[dict[str, Any]]) -> list[str]:
    """Return the settings in which architectures differ: all, where there is only one."""
    names = list(dict.fromkeys(name for a in architectures for name in a))
    varied = [n for n in names if len({json.dumps(a.get(n)) for a in architectures}) > 1]
    return varied or names


def architecture_text(architecture: dict[str, Any], names: list[str]) -> str:
    """Write the named settings of an architecture in a few words."""
    values = {name: architecture[name] for name in names if name in architecture}
    return " ".join(
        f"{name} {'-'.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in values.items()
    )
