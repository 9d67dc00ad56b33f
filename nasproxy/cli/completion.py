"""What the shell offers for an option: names that are known, then paths that begin as typed."""

from __future__ import annotations

from pathlib import Path

# written out, as looking them up would import torch at every press of a key; a test compares them
DATASETS = ("digits", "mnist", "fashion-mnist", "mhist", "folder:", "npz:")
METRICS = ("accuracy", "balanced_accuracy", "auc")
PROXIES = ("early", "full", "synthetic", "random", "random-soft", "herding", "kcenter")
SPACES = ("convnet", "convnet-mhist", "convnet720", "mlp20")


def complete_dataset(incomplete: str) -> list[str]:
    """Complete the name of a data set."""
    return _beginning(incomplete, DATASETS)


def complete_metric(incomplete: str) -> list[str]:
    """Complete the name of a metric."""
    return _beginning(incomplete, METRICS)


def complete_proxy(incomplete: str) -> list[str]:
    """Complete a kind of proxy, or the folder of one."""
    return _beginning(incomplete, PROXIES) + _paths(incomplete, "")


def complete_space(incomplete: str) -> list[str]:
    """Complete the name of a search space, or a TOML file."""
    return _beginning(incomplete, SPACES) + _paths(incomplete, ".toml")


def _beginning(incomplete: str, names: tuple[str, ...]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _paths(incomplete: str, suffix: str) -> list[str]:
    """Return folders, and files of a suffix, whose path begins as typed."""
    head, slash, tail = incomplete.rpartition("/")
    try:
        found = sorted(Path(f"{head}{slash}" or ".").iterdir())
    except OSError:
        return []
    return [
        f"{head}{slash}{path.name}{'/' if path.is_dir() else ''}"
        for path in found
        if path.name.startswith(tail)
        and (tail or not path.name.startswith("."))
        and (path.is_dir() or (suffix and path.suffix == suffix))
    ]
