"""From options that were given to validated settings; what was not given keeps its default."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from nasproxy.config import DataConfig, DistillConfig
    from nasproxy.executors.engine import EngineConfig


def given(**options: Any) -> dict[str, Any]:
    """Keep the options that the user gave."""
    return {name: value for name, value in options.items() if value is not None}


def goal_settings(
    objective: str | None,
    *,
    max_params: int | None,
    max_flops: int | None,
    max_latency_ms: float | None,
) -> dict[str, Any]:
    """Return the settings of a search's objectives, named one after another, and limits."""
    names = None if objective is None else [word.strip() for word in objective.split(",")]
    return given(
        objectives=names, max_params=max_params, max_flops=max_flops, max_latency_ms=max_latency_ms
    )


def read_settings(path: Path | None, data: dict[str, Any], *tables: str) -> dict[str, Any]:
    """Read a file of settings, if any; options of the data set go before what it says of it.

    Args:
        path: of the TOML file.
        data: options of the data set that were given.
        tables: settings of the file that have to be tables, besides `data`.

    Raises:
        ConfigError: the file cannot be read, one of those is no table, or no data set is named.
    """
    from nasproxy.config import read_toml
    from nasproxy.errors import ConfigError

    values: dict[str, Any] = read_toml(path) if path else {}
    for name in ("data", *tables):
        if not isinstance(values.get(name, {}), dict):
            raise ConfigError(f"{name} must be a table in {path}, got {values[name]!r}")
    values["data"] = {**values.get("data", {}), **data}
    if "dataset" not in values["data"]:
        raise ConfigError("no data set is named: use --dataset, or [data] dataset in --config")
    return values


def refuse_idle(proxy: str, **options: int | None) -> None:
    """Refuse options of few images where candidates train on all of them.

    Raises:
        ConfigError: naming the option.
    """
    from nasproxy.errors import ConfigError

    if proxy not in ("early", "full"):
        return
    for name, value in given(**options).items():
        raise ConfigError(
            f"--{name} {value} has no use with --proxy {proxy}, where candidates train on all "
            "images: add --proxy synthetic, or leave it out"
        )


def engine_settings(
    name: str | None,
    *,
    timeout: float | None,
    memory: float | None,
    address: str | None,
    gpus: float | None,
) -> EngineConfig:
    """Say where trainings run and what one may use: seconds, GiB, GPUs."""
    from nasproxy.executors.engine import EngineConfig

    memory_bytes = None if memory is None else int(memory * 2**30)
    return EngineConfig.parse(
        given(
            name=name, timeout_seconds=timeout, memory_bytes=memory_bytes,
            ray_address=address, gpus_per_candidate=gpus,
        )
    )  # fmt: skip


def data_settings(
    dataset: str, data_dir: str | None, image_size: int | None, seed: int | None, **others: Any
) -> DataConfig:
    """Build the settings of a data set."""
    from nasproxy.config import DataConfig

    options = given(data_dir=data_dir, image_size=image_size, seed=seed, **others)
    return DataConfig.parse({"dataset": dataset, **options}, "data")


def default_folder(dataset: str, *words: str) -> Path:
    """Name a folder under runs/ after the data set (of a path, its last part) and what is done."""
    kind, _, path = dataset.partition(":")
    return Path("runs") / "-".join([f"{kind}-{Path(path).stem}" if path else kind, *words])


def distill_settings(
    preset: str | None, device: torch.device, *, method: str = "datadam", **options: Any
) -> DistillConfig:
    """Build a distillation's settings: a preset, by default the device's, then what was given."""
    from nasproxy.config import distill_config

    settings = distill_config(method)
    chosen = given(**options)
    _refuse_idle_options(method, chosen)
    fitting = "cpu" if device.type == "cpu" else "paper"
    return settings.preset(preset or fitting, **chosen)


_NEGATED = {"filter_samples": "no-filter", "soft_labels": "hard-labels"}
"""Flags that say no to a setting."""


def _refuse_idle_options(method: str, chosen: dict[str, Any]) -> None:
    """Refuse options of another method, and those that another option makes void."""
    from nasproxy.config import DISTILL_CONFIGS
    from nasproxy.errors import ConfigError

    for name, value in chosen.items():
        owners = [owner for owner, made in DISTILL_CONFIGS.items() if name in made.model_fields]
        if owners and method not in owners:
            flag = _NEGATED[name] if value is False else name.removesuffix("_samples")
            raise ConfigError(
                f"--{flag.replace('_', '-')} is an option of {owners[0]}, not of {method}: "
                f"leave it out, or use --method {owners[0]}"
            )
    if chosen.get("filter_samples") is False and "difficulty" in chosen:
        raise ConfigError(
            "without the filter nothing is ranked: leave out --difficulty "
            f"{chosen['difficulty']} or --no-filter"
        )
    if chosen.get("soft_labels") is False and "label_lr" in chosen:
        raise ConfigError(
            f"hard labels are not learned: leave out --label-lr {chosen['label_lr']} or "
            "--hard-labels"
        )
