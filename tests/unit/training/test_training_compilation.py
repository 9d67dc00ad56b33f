from __future__ import annotations

import pytest
import torch

from nasproxy._random import named_generator
from nasproxy.config import Augmentation, Recipe
from nasproxy.models.family import build_model
from nasproxy.training.compilation import (
    MIN_ACTIVATIONS,
    can_compile,
    compile_forward,
    compiling_pays,
)
from nasproxy.training.fit import fit


def test_when_it_can_be_done_and_when_it_pays(monkeypatch, tmp_path):
    compiler = tmp_path / "my-compiler"
    compiler.write_text("#!/bin/sh\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.delenv("NASPROXY_COMPILE", raising=False)
    assert not can_compile()  # no compiler
    monkeypatch.setenv("CXX", "my-compiler")
    assert can_compile()
    convnet = build_model({"depth": 1, "width": 4}, (1, 10, 10), 3)
    mlp = build_model({"family": "mlp", "hidden": [4]}, (1, 10, 10), 3)
    # an image is 4 x 10 x 10 activations of the ConvNet
    images = torch.zeros(1).expand(MIN_ACTIVATIONS // 400 // 2, 1, 10, 10)  # takes no memory
    assert compiling_pays(convnet, images, Recipe(epochs=2))
    assert not compiling_pays(convnet, images, Recipe(epochs=1))
    assert not compiling_pays(mlp, images, Recipe(epochs=2))
    monkeypatch.setenv("NASPROXY_COMPILE", "0")
    assert not can_compile()
    assert not compiling_pays(convnet, images, Recipe(epochs=2))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's compiler has warnings of its own
@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_compiled_training_ends_where_plain_training_does(make_dataset, norm):
    if not can_compile():
        pytest.skip("no C++ compiler, or NASPROXY_COMPILE=0")
    data = make_dataset((20, 20, 20)).train
    recipe = Recipe(epochs=2, batch_size=25, lr=0.01)  # 25, 25 and a rest of 10

    def train(compiled: bool) -> dict[str, torch.Tensor]:
        architecture = {"depth": 2, "width": 8, "norm": norm}
        model = build_model(architecture, (1, 8, 8), 3, named_generator(0))
        logs = fit(
            model,
            data.images,
            data.labels,
            recipe,
            augmentation=Augmentation(),
            generator=named_generator(0, "batches"),
            forward=compile_forward(model) if compiled else None,
        )
        assert [log.epoch for log in logs] == [1, 2]
        return model.state_dict()

    plain, compiled, again = train(False), train(True), train(True)
    for name, value in plain.items():
        torch.testing.assert_close(compiled[name], value, atol=1e-4, rtol=1e-3)
        assert torch.equal(compiled[name], again[name])
