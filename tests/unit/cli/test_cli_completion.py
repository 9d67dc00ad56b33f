from __future__ import annotations

import typing
from pathlib import Path

import pytest

from nasproxy.cli.completion import (
    DATASETS,
    METRICS,
    PROXIES,
    SPACES,
    complete_dataset,
    complete_metric,
    complete_proxy,
    complete_space,
)
from nasproxy.config import SearchConfig
from nasproxy.data.sources import KNOWN
from nasproxy.pipeline import PROXY_CHOICES
from nasproxy.search.space import shipped_spaces


def test_the_names_are_those_that_are_known() -> None:
    assert set(SPACES) == set(shipped_spaces())
    assert set(PROXIES) == set(PROXY_CHOICES)
    assert set(METRICS) == set(typing.get_args(SearchConfig.model_fields["metric"].annotation))
    assert {name.rstrip(":") for name in DATASETS} == {name.partition(":")[0] for name in KNOWN}


def test_names_and_paths_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conv.toml").touch()
    (tmp_path / "convert.txt").touch()
    (tmp_path / "runs" / "proxy").mkdir(parents=True)
    assert complete_space("conv") == ["convnet", "convnet-mhist", "convnet720", "conv.toml"]
    assert complete_space("runs/p") == ["runs/proxy/"]
    assert complete_proxy("r") == ["random", "random-soft", "runs/"]
    assert complete_proxy("nowhere/") == []
    assert complete_dataset("f") == ["fashion-mnist", "folder:"]
    assert complete_metric("a") == ["accuracy", "auc"]
