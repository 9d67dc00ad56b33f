from __future__ import annotations

import pytest
import torch
from safetensors.torch import save

from nasproxy._files import sha256_of
from nasproxy.export import training
from nasproxy.models.family import build_model


def network(width: int = 2) -> torch.nn.Module:
    return build_model({"family": "mlp", "hidden": [width]}, (1, 2, 2), 2)


def read(path, tensors):
    content = save(tensors)
    path.write_bytes(content)
    return training._read(path, {"weights_sha256": sha256_of([content])}, network())


def test_weights_of_the_network_are_kept(tmp_path):
    assert read(tmp_path / "w", dict(network().state_dict())) == (tmp_path / "w").read_bytes()


@pytest.mark.parametrize(
    "tensors",
    [
        {},
        dict(network(3).state_dict()),
        {n: t.double() for n, t in network().state_dict().items()},
        {n: t * float("nan") for n, t in network().state_dict().items()},
    ],
)
def test_other_weights_are_trained_again(tmp_path, tensors):
    assert read(tmp_path / "w", tensors) is None


def test_a_larger_file_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "MAX_HEADER_BYTES", 0)
    assert read(tmp_path / "w", dict(network().state_dict())) is None
