from __future__ import annotations

import pytest

from nasproxy.config import DataConfig
from nasproxy.errors import ConfigError
from nasproxy.study.plan import CROSS_PROTOCOL, StudyConfig, plan
from nasproxy.study.reported import MHIST, MNIST, reported

CONFIG = StudyConfig(data=DataConfig(dataset="mnist"), widths=(32, 128))


def test_every_row_of_the_study_is_there():
    names = [row.name for row in plan(CONFIG)]
    assert len(names) == len(set(names)) == 2 + 5 * (4 + 2 + 1)
    for expected in (
        "full/convnet-3-w32/study",
        "full/search",
        "datadam-real/convnet-3-w32/study",
        "datadam-noise/convnet-3-w128/standard",
        "pad/alexnet/cross",
        "random-soft/resnet18/cross",
        "pad/search",
    ):
        assert expected in names


def test_cross_rows_train_for_100_plain_epochs():
    row = next(row for row in plan(CONFIG) if row.kind == "cross")
    assert row.recipe == CROSS_PROTOCOL
    assert (row.recipe.epochs, row.recipe.lr, row.recipe.augmentation) == (100, 0.01, "none")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "convent-3"}, r"model: unknown model 'convent-3': .*mean 'convnet-3'\?"),
        ({"model": "alexnet"}, r"model: the widths of alexnet are fixed"),
        ({"cross_models": ["alexnte"]}, r"cross_models: unknown model 'alexnte'.*mean 'alexnet'\?"),
        ({"baselines": ["random-sotf"]}, r"baselines: unknown baseline .*mean 'random-soft'\?"),
        ({"baselines": ["full"]}, r"baselines: unknown baseline proxy 'full'"),
        ({"baselines": ["random", "random"]}, r"baselines: 'random' is named 2 times: name it onc"),
        ({"cross_models": ["mlp", "alexnet", "mlp"]}, r"cross_models: 'mlp' is named 2 times"),
        ({"widths": [4, 8, 4, 4]}, r"widths: 4 is named 3 times: name it once"),
        ({"widths": [0]}, r"widths: each must be >= 1, got 0 \(--width\)"),
        ({"widths": [32, -1]}, r"widths: each must be >= 1, got -1 \(--width\)"),
        ({"widths": []}, r"widths .*at least 1"),
    ],
)
def test_names_and_widths_are_checked_before_anything_runs(change, message):
    with pytest.raises(ConfigError, match=message):
        CONFIG.replace(**change)


def test_how_proxies_are_made():
    config = CONFIG.replace(ipc=3, seed=5)
    noise, pad = config.distillation("datadam-noise"), config.distillation("pad")
    assert (noise.method, noise.init, noise.ipc, noise.seed) == ("datadam", "noise", 3, 5)
    assert (pad.method, pad.ipc, pad.seed) == ("pad", 3, 5)
    assert config.distillation("random-soft") is None


def test_patterns_choose_rows():
    assert {row.data for row in plan(CONFIG, ("pad/*",))} == {"pad"}
    assert [row.name for row in plan(CONFIG, ("full/search",))] == ["full/search"]
    with pytest.raises(ConfigError, match=r"no row is called 'pda/\*' \(--rows\); there are full/"):
        plan(CONFIG, ("pda/*",))


def test_what_was_reported_stands_beside_rows_that_exist():
    rows = {(row.data, row.model, row.kind) for row in plan(CONFIG)}
    assert set(MNIST) <= rows
    seven = CONFIG.replace(model="convnet-7")
    assert set(MHIST) <= {(row.data, row.model, row.kind) for row in plan(seven)}
    row = next(row for row in plan(CONFIG) if row.name == "pad/convnet-3-w32/study")
    assert reported("mnist", row) == "~87%, converged in 7 epochs"
    assert reported("digits", row) == ""
