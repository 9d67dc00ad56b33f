from __future__ import annotations

import json

import pytest

from nasproxy.errors import ArtifactError
from nasproxy.verify.record import ResultRecords

NETWORK = {"family": "mlp", "hidden": [2]}


@pytest.fixture
def records(tmp_path):
    return ResultRecords(tmp_path, {"seed": 0}, needed="full_accuracy")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1], r"must hold an object, got \[1\]: delete it"),
        ({"full_accuracy": 0.5}, "seconds"),
        ({"full_accuracy": 0.5, "seconds": -1}, "seconds .* got -1"),
        ({"full_accuracy": 1.5, "seconds": 1}, "full_accuracy .* got 1.5"),
        ({"full_accuracy": "high", "seconds": 1}, "full_accuracy .* got 'high'"),
        ({"full_accuracy": 0.5, "test_auc": [], "seconds": 1}, r"test_auc .* got \[\]"),
        ({"full_accuracy": 0.5, "seconds": 1, "error": 3}, "error .* got 3"),
    ],
)
def test_damaged_records(records, content, message):
    records.path(NETWORK, 0).write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match=message):
        records.read(NETWORK, 0)


@pytest.mark.parametrize("content", [{}, {"full_accuracy": None}, {"seconds": 1}])
def test_records_without_what_is_needed_count_as_not_there(records, content):
    records.path(NETWORK, 0).write_text(json.dumps(content))
    assert records.read(NETWORK, 0) is None


def test_what_was_written_is_read(records):
    result = {"full_accuracy": 0.5, "full_auc": None, "seconds": 1.0, "compiled": True}
    records.write(NETWORK, 0, result)
    assert records.read(NETWORK, 0) == {
        "seed": 0, "architecture": NETWORK, "seed_index": 0, **result,
    }  # fmt: skip
