"""The order of things around a recording, with a recorder that stands in for CUDA graphs."""

from __future__ import annotations

import pytest
import torch

from nasproxy._random import named_generator
from nasproxy.config import DIGITS, TISSUE, Recipe
from nasproxy.data.pixels import Normalization, StoredImages
from nasproxy.models.family import build_model
from nasproxy.training import graph
from nasproxy.training.draw import draw_steps
from nasproxy.training.graph import MIN_STEPS, WARM_UP_STEPS, ReplayedStep, replaying_pays
from nasproxy.training.step import SgdStep

BATCHES = [16, 16, 4] * 4
"""Four epochs of 36 images."""


class Notes:
    """Replays by running the recorded function again: on the very tensors that it was given.

    As with CUDA graphs, recording does nothing, and all results are in one place.
    """

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.done: list[str] = []

    def warm_up(self, step):
        self.done.append("warm up")
        return step()

    def record(self, step):
        self.done.append("record")
        if self.failure is not None:
            raise self.failure
        place = torch.zeros(())

        def replay():
            self.done.append("replay")
            return place.copy_(step())

        return replay


@pytest.fixture
def data(make_dataset):
    return make_dataset().train


def train(data, recorder, *, norm="batch", augmentation=DIGITS):
    """Twelve steps; returns the losses and all that the network then holds."""
    model = build_model({"depth": 1, "width": 4, "norm": norm}, (1, 8, 8), 3, named_generator(0))
    step = SgdStep(model.train(), data.images, data.labels, Recipe(batch_size=16))
    run = step if recorder is None else ReplayedStep(step, step.whole, recorder)
    generator = named_generator(0, "batches")
    batches = (torch.randperm(36, generator=generator)[:size] for size in BATCHES)
    losses = []
    draws = draw_steps(batches, augmentation, generator, torch.device("cpu"))
    for index, draw in enumerate(draws):
        step.set_lr(0.1 / (1 + index))
        losses.append(run(draw).item())
    return losses, model.state_dict()


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("augmentation", [DIGITS, TISSUE.replace(cutout=0.3)])
def test_replayed_steps_are_the_same_steps(data, norm, augmentation):
    recorder = Notes()
    losses, weights = train(data, recorder, norm=norm, augmentation=augmentation)
    expected, others = train(data, None, norm=norm, augmentation=augmentation)
    assert losses == expected
    for name, value in weights.items():
        assert torch.equal(value, others[name])
    # whole batches are 8; those that warm up and the first replay are steps like the others
    replays = 8 - WARM_UP_STEPS
    assert recorder.done == ["warm up"] * WARM_UP_STEPS + ["record"] + ["replay"] * replays


def test_what_cannot_be_recorded_is_done_as_it_is(data, caplog):
    recorder = Notes(RuntimeError("operation not permitted when stream is capturing\nmore"))
    losses, weights = train(data, recorder)
    expected, others = train(data, None)
    assert losses == expected
    assert all(torch.equal(value, others[name]) for name, value in weights.items())
    assert recorder.done == ["warm up"] * WARM_UP_STEPS + ["record"]  # and not tried again
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert caplog.text.rstrip().endswith(
        "without a CUDA graph, which cannot be recorded: operation not permitted when stream is "
        "capturing"
    )


def test_other_failures_are_not_hidden(data):
    with pytest.raises(ValueError, match="ours"):
        train(data, Notes(ValueError("ours")))


class TestWhenItPays:
    class OnCuda(torch.Tensor):
        device = torch.device("cuda")

    def images(self, kind):
        return torch.zeros(2, 1, 4, 4).as_subclass(kind)

    def test_on_cuda_and_long_enough(self, monkeypatch):
        monkeypatch.delenv("NASPROXY_CUDA_GRAPHS", raising=False)
        cuda = self.images(self.OnCuda)
        assert replaying_pays(cuda, MIN_STEPS)
        assert not replaying_pays(cuda, MIN_STEPS - 1)
        assert not replaying_pays(self.images(torch.Tensor), MIN_STEPS)
        monkeypatch.setenv("NASPROXY_CUDA_GRAPHS", "0")
        assert not replaying_pays(cuda, MIN_STEPS)

    def test_not_where_images_are_read_from_disk(self, tmp_path):
        normalization = Normalization((0.5,), (0.5,))
        rows = torch.arange(2)
        stored = StoredImages(
            tmp_path / "x", (2, 1, 4, 4), rows, normalization, torch.device("cuda")
        )
        assert not replaying_pays(stored, MIN_STEPS)


def test_a_training_on_cuda_asks_for_the_recorder_of_cuda(monkeypatch, data):
    """Without CUDA that fails, and says so: no training silently runs another way."""
    if torch.cuda.is_available():
        pytest.skip("there is CUDA: see tests/gpu")
    with pytest.raises((RuntimeError, AssertionError), match=r"CUDA|NVIDIA"):
        graph.CudaRecorder()
