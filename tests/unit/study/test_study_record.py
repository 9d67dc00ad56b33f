from __future__ import annotations

import json
from typing import Any

import pytest

from nasproxy.config import DataConfig
from nasproxy.errors import ArtifactError
from nasproxy.study.plan import StudyConfig, plan
from nasproxy.study.record import read_rows

MADE = {"versions": {"python": "3"}, "command": "nasproxy study", "recipe": {"epochs": 2}}
NETWORK = {"architecture": {"hidden": [2]}, "validation": [0.5], "own": [0.9]}
SEARCH = {**MADE, "num_seeds": 1, "networks": [NETWORK] * 3, "seconds": 2.0}
TRAINING = {
    **MADE, "accuracy_mean": 0.5, "accuracy_std": 0.0, "balanced_accuracy_mean": 0.5,
    "balanced_accuracy_std": 0.0, "seconds_mean": 1.0, "num_seeds": 2,
    "runs": [{"curve": [0.5, 0.6]}, {}],
}  # fmt: skip
ROWS = {row.name: row for row in plan(StudyConfig(data=DataConfig(dataset="digits")))}


@pytest.fixture
def read(tmp_path):
    def read(**rows: Any) -> dict[str, Any]:
        net = "full/convnet-3-w32/study"
        names = {"full": "full/search", "random": "random/search", "net": net}
        paths = {ROWS[name]: tmp_path / f"{short}.json" for short, name in names.items()}
        for short, content in rows.items():
            (tmp_path / f"{short}.json").write_text(json.dumps(content))
        return read_rows(paths)

    return read


def test_rows_that_are_there(read):
    assert read(full=SEARCH, net=TRAINING) == {
        "full/search": SEARCH, "full/convnet-3-w32/study": TRAINING,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"full": [1]}, r"full.json must hold an object, got list: delete it"),
        ({"full": {**SEARCH, "seconds": 0}}, "full.json: seconds .*got 0"),
        ({"full": {**SEARCH, "networks": []}}, "full.json: networks"),
        ({"full": {**SEARCH, "networks": [{**NETWORK, "own": []}]}}, "networks.0.own"),
        ({"full": SEARCH, "random": {**SEARCH, "networks": [NETWORK]}}, "full/search 3, random"),
        ({"net": {**TRAINING, "runs": [{"curve": [1.5]}]}}, "runs.0.curve.0 .*got 1.5"),
        ({"net": {**TRAINING, "runs": [{"curve": [1]}, {"curve": [1, 1]}]}}, r"of \[1, 2\] epochs"),
        ({"net": {**TRAINING, "auc_mean": 0.5}}, "auc_mean and auc_std"),
        ({"net": {**TRAINING, "recipe": {}}}, "recipe.epochs"),
    ],
)
def test_damaged_rows(read, rows, message):
    with pytest.raises(ArtifactError, match=message):
        read(**rows)
