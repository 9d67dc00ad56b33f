"""Fixtures that every test may use. No network; the user's own data folder is hidden."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

from nasproxy import permission
from nasproxy.config import Augmentation, DataConfig, Recipe, SearchConfig
from nasproxy.data.dataset import Dataset, LabelledImages, Normalization, load_dataset
from nasproxy.proxy.coreset import make_baseline
from nasproxy.proxy.dataset import ProxyDataset
from nasproxy.search.session import search

REAL_DATA = os.environ.get("NASPROXY_DATA")
torch.set_num_threads(1)
settings.register_profile(
    "nasproxy",
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("nasproxy")


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    nowhere = str(tmp_path_factory.getbasetemp() / "no-data")
    monkeypatch.setenv("NASPROXY_DATA", nowhere)
    monkeypatch.setenv("XDG_CACHE_HOME", nowhere)
    monkeypatch.setenv("HOME", nowhere)
    monkeypatch.setenv("NASPROXY_CACHE", str(tmp_path_factory.getbasetemp() / "decoded"))
    monkeypatch.setattr(permission, "_FOLDERS", [])
    monkeypatch.setattr(sys, "path", [*sys.path])


@pytest.fixture
def write_module(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Writes modules for builders into `tmp_path`; those that were imported are forgotten."""

    def write(text: str, name: str = "nets") -> Path:
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        return path

    before = set(sys.modules)
    yield write
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return load_dataset(DataConfig(dataset="digits"))


@pytest.fixture(scope="session")
def mnist() -> Dataset:
    """The real MNIST; for tests marked `mnist`."""
    if not REAL_DATA or not (Path(REAL_DATA) / "mnist").is_dir():
        pytest.skip("NASPROXY_DATA/mnist is not there")
    return load_dataset(DataConfig(dataset="mnist", data_dir=REAL_DATA))


def _make_dataset(
    counts: tuple[int, ...] = (12, 12, 12),
    shape: tuple[int, int, int] = (1, 8, 8),
    *,
    validation: int = 4,
    seed: int = 0,
) -> Dataset:
    generator = torch.Generator().manual_seed(seed)
    patterns = torch.randn(len(counts), *shape, generator=generator)

    def draw(numbers: tuple[int, ...]) -> LabelledImages:
        labels = torch.repeat_interleave(torch.arange(len(numbers)), torch.tensor(numbers))
        noise = torch.randn(len(labels), *shape, generator=generator)
        return LabelledImages(patterns[labels] + 0.5 * noise, labels)

    return Dataset(
        config=DataConfig(dataset="digits"),
        train=draw(counts),
        validation=draw((validation,) * len(counts)),
        class_names=tuple(f"class {index}" for index in range(len(counts))),
        normalization=Normalization((0.5,) * shape[0], (0.25,) * shape[0]),
        augmentation=Augmentation(),
        fingerprint=f"{seed:064d}",
    )


@pytest.fixture(scope="session")
def make_dataset() -> Callable[..., Dataset]:
    """Builds a small random data set whose classes differ by a pattern."""
    return _make_dataset


def _idx_bytes(array: np.ndarray) -> bytes:
    header = b"\0\0\x08" + bytes([array.ndim])
    return header + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


@pytest.fixture(scope="session")
def idx_bytes() -> Callable[[np.ndarray], bytes]:
    """Writes an idx file of bytes."""
    return _idx_bytes


TINY_SPACE = """
family = "convnet"
[parameters]
depth = [1, 2]
width = [4, 8, 12]
norm = ["none", "batch"]
"""


def _search_config(folder: Path, **changes: object) -> SearchConfig:
    space = folder / "tiny.toml"
    space.write_text(TINY_SPACE)
    values = {"space": str(space), "trials": 10, "uniform_trials": 6, "recipe": Recipe(epochs=2)}
    return SearchConfig(**{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def random_proxy(digits: Dataset) -> ProxyDataset:
    return make_baseline(digits, "random", 3, 0)


@pytest.fixture(scope="session")
def searched(
    digits: Dataset, random_proxy: ProxyDataset, tmp_path_factory: pytest.TempPathFactory
) -> SimpleNamespace:
    """An undisturbed search, not to be changed: folder, config, candidates, make_config."""
    base = tmp_path_factory.mktemp("searched")
    config = _search_config(base)
    folder = base / "run"
    candidates = search(digits, random_proxy, config, folder, engine="serial")
    return SimpleNamespace(
        folder=folder,
        config=config,
        candidates=candidates,
        make_config=lambda **changes: _search_config(base, **changes),
    )
