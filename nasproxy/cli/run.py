"""`nasproxy run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasproxy import permission
from nasproxy.cli import options
from nasproxy.cli.report import show
from nasproxy.cli.settings import default_folder, given, goal_settings, read_settings, refuse_idle
from nasproxy.cli.terminal import Terminal, guarded

if TYPE_CHECKING:
    from nasproxy.config import RunConfig


@guarded
def run_command(
    dataset: options.OptionalDataset = None,
    config: options.SettingsFile = None,
    space: options.OptionalSpace = None,
    proxy: options.ProxyOption = None,
    ipc: options.Ipc = None,
    iterations: options.Iterations = None,
    steps: options.Steps = None,
    trials: options.Trials = None,
    top: options.Top = None,
    uniform: options.UniformSample = None,
    epochs: options.FullEpochs = None,
    trust: options.Trust = None,
    trust_epochs: options.TrustEpochs = None,
    require_trust: options.RequireTrust = False,
    calibrate: options.Calibrate = False,
    allow_code: options.AllowCode = False,
    workers: options.Workers = None,
    metric: options.Metric = None,
    objective: options.Objective = None,
    max_params: options.MaxParams = None,
    max_flops: options.MaxFlops = None,
    max_latency_ms: options.MaxLatency = None,
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
    """Search, verify and report in one go; with `--proxy synthetic`, distill first."""
    from nasproxy._environment import choose_device
    from nasproxy.pipeline import run

    terminal = Terminal(as_json=as_json, quiet=quiet)
    if allow_code:
        permission.allow_code()
    settings = run_settings(
        config,
        data=given(
            dataset=dataset, data_dir=data_dir, image_size=image_size, seed=seed,
            group_column=group_column, skip_unreadable=skip_unreadable or None,
            augmentation=augmentation,
        ),
        distill=given(ipc=ipc, iterations=iterations, seed=seed),
        trust=given(
            architectures=trust, epochs=trust_epochs, required=require_trust or None,
            calibrate=calibrate or None,
        ),
        search={
            **given(space=space, trials=trials, metric=metric, seed=seed),
            **goal_settings(
                objective, max_params=max_params, max_flops=max_flops,
                max_latency_ms=max_latency_ms,
            ),
        },
        verify=given(top=top, uniform=uniform, epochs=epochs, seed=seed),
        proxy=proxy,
        steps=steps,
    )  # fmt: skip
    refuse_idle(settings.proxy, ipc=ipc, iterations=iterations)
    folder = out or default_folder(settings.data.dataset, Path(settings.search.space).stem)
    with terminal.watching() as watch:
        summary = run(settings, folder, device=choose_device(device), workers=workers, watch=watch)
    show(terminal, summary, folder)
    terminal.finish({"out": str(folder), **summary})


def run_settings(
    path: Path | None,
    *,
    data: dict[str, Any],
    proxy: str | None,
    steps: int | None = None,
    **sections: dict[str, Any],
) -> RunConfig:
    """Merge a file of settings, if any, with what was given on the command line.

    Raises:
        ConfigError: a setting is unknown or out of range, or no data set is named.
    """
    from nasproxy.config import DISTILL_PRESETS, FULL_RECIPE, RunConfig

    values = read_settings(path, data, *sections)
    for name, options_given in sections.items():
        values[name] = {**values.get(name, {}), **options_given}
    presets = DISTILL_PRESETS.get(str(values["distill"].get("method", "datadam")), {"cpu": {}})
    values["distill"] = {**presets["cpu"], **values["distill"]}
    if isinstance(recipe := values["verify"].get("recipe"), dict):
        values["verify"]["recipe"] = {**FULL_RECIPE.to_dict(), **recipe}
    # what a table [search.recipe] leaves out is the proxy's own
    recipe = values["search"].get("recipe")
    if recipe is None or isinstance(recipe, dict):
        values["recipe"] = {**(values["search"].pop("recipe", None) or {}), **given(steps=steps)}
    return RunConfig.parse({**values, **given(proxy=proxy)})
