from __future__ import annotations

import itertools
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nasproxy._random import named_generator
from nasproxy.config import DIGITS, Augmentation, PADConfig
from nasproxy.data.augment import sample_change
from nasproxy.distill import pad
from nasproxy.distill.matching import kept_by_depth, kept_by_loss
from nasproxy.distill.pad import PAD, choose_correct
from nasproxy.errors import ConfigError, EvaluationError
from nasproxy.models.family import build_model
from nasproxy.progress import unwatched
from nasproxy.training.expert import outputs

TINY = PADConfig(
    ipc=2, iterations=6, experts=2, expert_batch=8, expert_lr=0.1, filter_samples=False,
    first_max_start=1, max_start=2, match_distance=1, student_steps=3, depth=2, width=4,
    image_lr=1.0, label_lr=1.0, step_size=0.1, step_lr=1e-4, num_checks=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def data(make_dataset):
    return replace(make_dataset(), augmentation=DIGITS)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folders of experts by what they were made with, so that tests share them."""
    made: dict[str, Path] = {}

    def folder(*key: object) -> Path:
        return made.setdefault(str(key), tmp_path_factory.mktemp("experts"))

    return folder


@pytest.fixture(scope="module")
def build(data, folders):
    """Builds a prepared distiller."""

    def prepared(config, dataset=None, *, watch=unwatched):
        dataset = dataset or data
        network = (config.depth, config.width, config.norm, config.activation, config.pooling)
        distiller = PAD(config)
        folder = folders(dataset.image_shape, dataset.fingerprint, config.filter_samples, *network)
        distiller.prepare(dataset, folder, workers=1, watch=watch)
        return distiller

    return prepared


@pytest.fixture(scope="module")
def run(build, data):
    def steps(config, state=None, dataset=None):
        distiller = build(config, dataset)
        dataset = dataset or data
        return list(distiller.steps(dataset, state or distiller.start(dataset)))

    return steps


def tensors(state):
    return {"images": state.images, "velocity": state.velocity, **state.extra}


def plain_matching_loss(distiller, data, state, iteration=0):
    """MTT as it is written: autograd's second order through all steps, every parameter matched."""
    config = distiller.config
    generator = named_generator(config.seed, "pad", iteration)
    start, target = distiller._prepared().draw(iteration, generator, torch.device("cpu"))
    images = state.images.clone().requires_grad_()
    logits = state.extra["label_logits"].clone().requires_grad_()
    step_size = state.extra["step_size"].clone().requires_grad_()
    student = distiller._build_student(data)
    parameters = start.clone().requires_grad_()
    for _ in range(config.student_steps):
        change = sample_change(data.augmentation, len(images), generator)
        loss = student.loss(parameters, change.apply(images), logits.softmax(1))
        (gradient,) = torch.autograd.grad(loss, parameters, create_graph=True)
        parameters = parameters - step_size * gradient
    loss = ((parameters - target) ** 2).sum() / ((start - target) ** 2).sum()
    return loss, torch.autograd.grad(loss, [images, logits, step_size])


def test_without_filters_it_is_plain_trajectory_matching(build, run, data):
    """And the update is SGD with momentum on images, labels and step size."""
    config = TINY.replace(alpha=0.0)
    start = build(config).start(data)
    loss, (images, logits, step_size) = plain_matching_loss(build(config), data, start)
    (step, *_) = run(config, start)
    assert step.losses["matching"] == pytest.approx(loss.item(), rel=1e-5)
    state = step.state
    torch.testing.assert_close(state.velocity, images, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(state.images, start.images - images, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(state.extra["label_velocity"], logits, rtol=1e-3, atol=1e-6)
    expected = start.extra["label_logits"] - logits
    torch.testing.assert_close(state.extra["label_logits"], expected, rtol=1e-4, atol=1e-5)
    moved = (state.extra["step_size"] - start.extra["step_size"]).item()
    assert moved == pytest.approx(-1e-4 * step_size.item(), rel=1e-3)


def test_alpha_zero_equals_no_mask_exactly(run, monkeypatch):
    by_depth, by_loss = (run(TINY.replace(alpha=0.0, mask=mask)) for mask in ("depth", "loss"))
    monkeypatch.setattr(
        pad, "kept_by_depth", lambda count, alpha: torch.ones(count, dtype=torch.bool)
    )
    unmasked = run(TINY.replace(alpha=0.5))
    for one, *others in zip(unmasked, by_depth, by_loss, strict=True):
        for other in others:
            assert one.losses == other.losses
            assert all(
                torch.equal(value, tensors(other.state)[name])
                for name, value in tensors(one.state).items()
            )


@pytest.mark.parametrize("mask", ["depth", "loss"])
def test_masks_are_those_of_the_paper(build, data, mask):
    distiller = build(TINY.replace(alpha=0.4, mask=mask))
    state = distiller.start(data)
    learned = distiller._learned(state)
    generator = named_generator(0)
    segment = distiller._prepared().draw(0, generator, torch.device("cpu"))
    batches = distiller._batches(data, state.labels, learned, generator)
    end = pad.unroll(
        distiller._build_student(data), segment.start, learned["step_size"], batches, max_graphs=9
    )
    kept = (
        kept_by_depth(len(end), 0.4) if mask == "depth" else kept_by_loss(end, segment.target, 0.4)
    )
    left = ((end - segment.target) ** 2 * kept).sum()
    way = ((segment.start - segment.target) ** 2 * kept).sum()
    found = distiller._loss(distiller._build_student(data), segment, learned, batches)
    assert found.item() == pytest.approx((left / way).item(), rel=1e-5)


@pytest.mark.parametrize("norm", ["none", "batch", "instance", "layer", "group"])
@pytest.mark.parametrize("others", [("relu", "avg"), ("sigmoid", "max"), ("leakyrelu", "none")])
def test_every_network_moves_everything(run, build, data, norm, others):
    activation, pooling = others
    config = TINY.replace(norm=norm, activation=activation, pooling=pooling, iterations=1)
    start = build(config).start(data)
    (step,) = run(config, start)
    assert step.state.iteration == 1
    before, after = tensors(start), tensors(step.state)
    for name in ("images", "step_size", "label_logits"):
        assert after[name].isfinite().all()
        assert not torch.equal(before[name], after[name])
    moved = (step.state.images - start.images).abs().amax((1, 2, 3))
    assert (moved > 0).all()
    assert torch.equal(step.state.labels, start.labels)


def test_colour_and_unequal_classes(run, build, make_dataset):
    data = make_dataset((3, 20, 9), (3, 8, 8))
    config = TINY.replace(filter_samples=True, difficulty_networks=1, difficulty_epochs=1)
    steps = run(config, dataset=data)
    assert steps[-1].state.images.shape == (6, 3, 8, 8)
    assert steps[-1].state.images.isfinite().all()
    with pytest.raises(ConfigError, match=r"ipc 4 is more than class 'class 0' has to give \(3"):
        build(config.replace(ipc=4), data)


@pytest.mark.parametrize(
    "change", [{}, {"norm": "batch"}, {"soft_labels": False}, {"clip": 0.5}], ids=str
)
def test_going_on_from_any_state_is_bit_identical(run, change):
    config = TINY.replace(student_batch=4, **change)
    torch.manual_seed(0)
    straight = run(config)
    for stop in (1, 4):
        torch.manual_seed(stop)
        torch.randn(7)  # chance elsewhere does not matter
        rest = run(config, straight[stop - 1].state)
        assert [s.state.iteration for s in rest] == list(range(stop + 1, 7))
        for one, other in zip(straight[stop:], rest, strict=True):
            assert one.losses == other.losses
            assert all(
                torch.equal(value, tensors(other.state)[name])
                for name, value in tensors(one.state).items()
            )
    assert run(config, straight[-1].state) == []


def test_less_memory_changes_nothing(build, run, data):
    rich = run(TINY)
    poor = run(TINY.replace(max_memory_gib=1e-9))
    assert build(TINY.replace(max_memory_gib=1e-9))._max_graphs == 0
    assert torch.equal(rich[-1].state.images, poor[-1].state.images)


def test_states_yielded_earlier_stay_as_they_were(build, data):
    distiller = build(TINY)
    start = distiller.start(data)
    seen = [(start, {name: value.clone() for name, value in tensors(start).items()})]
    for step in distiller.steps(data, start):
        seen.append((step.state, {n: value.clone() for n, value in tensors(step.state).items()}))
    for state, copies in seen:
        assert all(torch.equal(value, copies[name]) for name, value in tensors(state).items())


@pytest.mark.parametrize(
    "change",
    [
        {"alpha": 0.6}, {"mask": "loss"}, {"match_distance": 2, "max_start": 1}, {"image_lr": 2.0},
        {"student_steps": 2}, {"student_batch": 3}, {"step_size": 0.2}, {"seed": 1},
        {"augment": False}, {"soft_labels": False}, {"min_start": 1, "first_max_start": 2},
    ],
    ids=str,
)  # fmt: skip
def test_every_setting_matters(data, folders, change):
    def first(config):
        key = {"augment", "match_distance"} & set(change)
        distiller = PAD(config)
        folder = folders("setting", *(getattr(config, name) for name in sorted(key)))
        distiller.prepare(data, folder, workers=1, watch=unwatched)
        start = PAD(TINY)
        start._trajectories = distiller._trajectories
        state = start.start(data)
        state = replace(
            state,
            extra={**state.extra, "step_size": torch.tensor(config.step_size)},
        )
        return next(distiller.steps(data, state)).state

    assert not torch.equal(first(TINY).images, first(TINY.replace(**change)).images)


@pytest.mark.parametrize("name", ["label_lr", "step_lr", "label_momentum"])
def test_learning_rates_of_labels_and_step_size(run, name):
    key = "step_size" if name == "step_lr" else "label_logits"
    one, other = (run(config) for config in (TINY, TINY.replace(**{name: 1e-9})))
    assert not torch.equal(one[1].state.extra[key], other[1].state.extra[key])
    if name == "step_lr":
        still = run(TINY.replace(step_lr=0.0))[-1].state.extra["step_size"]
        assert still.item() == pytest.approx(TINY.step_size)


def test_hard_labels_stay(run, build, data):
    config = TINY.replace(soft_labels=False)
    state = run(config)[-1].state
    assert "label_logits" not in state.extra
    made = build(config).synthetic(state)
    assert made.soft_labels is None
    assert made.step_size is state.extra["step_size"]


def test_hard_labels_are_one_hot_targets(build, data):
    distiller = build(TINY.replace(soft_labels=False))
    state = distiller.start(data)
    batches = distiller._batches(data, state.labels, distiller._learned(state), named_generator(0))
    assert torch.equal(batches[0][1], F.one_hot(state.labels, 3).float())


def test_soft_labels_are_probabilities(run, build):
    state = run(TINY)[-1].state
    made = build(TINY).synthetic(state)
    assert made.images is state.images
    assert torch.equal(made.soft_labels, state.extra["label_logits"].softmax(1))
    torch.testing.assert_close(made.soft_labels.sum(1), torch.ones(6))


def test_starts(build, data):
    starts = {init: build(TINY.replace(init=init)).start(data) for init in ("real", "noise")}
    starts["kcenter"] = build(TINY.replace(init="kcenter")).start(data)
    experts = build(TINY)._prepared().experts
    rows = {row.tobytes() for row in data.train.images.numpy()}
    for init, start in starts.items():
        assert start.labels.tolist() == [0, 0, 1, 1, 2, 2]
        assert not start.velocity.any()
        assert start.extra["step_size"].item() == pytest.approx(0.1)
        real = [row.tobytes() in rows for row in start.images.numpy()]
        assert all(real) if init != "noise" else not any(real)
        if init != "noise":
            logits = outputs(experts, start.images).mean(0)
            torch.testing.assert_close(start.extra["label_logits"], logits)
    # noise has the labels of the real images in whose places it is
    assert torch.equal(starts["noise"].extra["label_logits"], starts["real"].extra["label_logits"])
    again = build(TINY.replace(init="noise")).start(data)
    assert torch.equal(again.images, starts["noise"].images)


class Oracle:
    """An expert that gets some pixels' images right."""

    def __init__(self, labels_by_pixel: dict[float, int]) -> None:
        self._known = labels_by_pixel

    def network(self, device: torch.device) -> nn.Module:
        known = self._known

        class Network(nn.Module):
            def forward(self, images: torch.Tensor) -> torch.Tensor:
                labels = [known[pixel] for pixel in images[:, 0, 0, 0].tolist()]
                return F.one_hot(torch.tensor(labels), 2).float()

        return Network()


def test_initial_images_are_those_that_all_experts_get_right(make_dataset):
    data = make_dataset((4, 4), (1, 8, 8))
    data.train.images[:, 0, 0, 0] = torch.arange(8).float()
    right, wrong = [0, 0, 0, 0, 1, 1, 1, 1], [1, 0, 0, 1, 1, 0, 0, 0]
    experts = [Oracle(dict(enumerate(labels))) for labels in (right, wrong)]
    chosen = choose_correct(data, experts, 2, 0)  # type: ignore[arg-type]
    pixels = chosen.images[:, 0, 0, 0].tolist()
    assert set(pixels[:2]) == {1, 2}
    assert pixels[2] == 4  # only one is right by both; another fills up
    assert pixels[3] in {5, 6, 7}
    assert chosen.labels.tolist() == [0, 0, 1, 1]


def test_a_nan_is_skipped_counted_and_forgotten(build, data, monkeypatch):
    distiller = build(TINY)
    true_loss = distiller._loss
    calls = iter([True, False, False, True, False, True])

    def loss(*arguments):
        value = true_loss(*arguments)
        return value if next(calls) else value * torch.nan

    monkeypatch.setattr(distiller, "_loss", loss)
    steps = list(distiller.steps(data, distiller.start(data)))
    assert [step.losses.get("skipped") for step in steps] == [None, 1, 2, 2, 3, 3]  # in all
    for before, after in itertools.pairwise(steps):
        moved = not torch.equal(before.state.images, after.state.images)
        assert moved == ("matching" in after.losses)
        assert after.state.iteration == before.state.iteration + 1
        assert after.state.images.isfinite().all()
    assert steps[-1].state.extra["failures"] == 0


@pytest.mark.parametrize("stop", [0, 4])
def test_ten_in_a_row_end_it_also_when_resumed(build, data, monkeypatch, stop):
    distiller = build(TINY.replace(iterations=40))

    def infinite(student, segment, learned, batches):
        return torch.inf * sum(tensor.sum() for tensor in learned.values())

    monkeypatch.setattr(distiller, "_loss", infinite)
    state = distiller.start(data)
    steps = distiller.steps(data, state)
    if stop:
        for _ in range(stop):
            state = next(steps).state
        steps = distiller.steps(data, state)
    with pytest.raises(EvaluationError, match=r"10 steps in a row, up to 10, were not finite"):
        list(steps)


def test_the_step_size_stays_positive_whatever_its_gradient(run):
    for step_lr in (1e6, 1e-2):
        sizes = [s.state.extra["step_size"].item() for s in run(TINY.replace(step_lr=step_lr))]
        before = [TINY.step_size, *sizes]
        for one, other in zip(before, sizes, strict=False):
            assert 0.899 * one <= other <= 1.101 * one


def test_the_loss_goes_down(run):
    config = TINY.replace(
        iterations=60, augment=True, image_lr=20.0, max_start=1, student_steps=5, step_lr=1e-3
    )
    losses = [step.losses["matching"] for step in run(config)]
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])


def test_what_it_needs_is_said_before_it_begins(build, data):
    said = []
    build(TINY, watch=said.append)
    assert (said[0].done, said[0].total) == (0, 2), "before experts are trained"
    assert said[0].message == "unrolling 3 steps takes about 0 MiB of memory"
    assert said[-1].done == said[-1].total == 2


MEASURE = """
import sys
from types import SimpleNamespace
import torch
from nasproxy.config import DataConfig, PADConfig
from nasproxy.data.dataset import load_dataset
from nasproxy.distill.base import DistillState
from nasproxy.distill.pad import PAD
from nasproxy.distill.trajectory import Segment

width, steps, gib = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
torch.set_num_threads(1)
data = load_dataset(DataConfig(dataset="digits", image_size=28))
config = PADConfig(
    ipc=10, width=width, student_steps=steps, max_memory_gib=gib, iterations=2, soft_labels=False
)
distiller = PAD(config)
estimate = distiller._measure_memory(data)
start = torch.randn(distiller._build_student(data).num_parameters) * 0.05
segment = Segment(start, start + 0.1)
distiller._trajectories = SimpleNamespace(draw=lambda *_: segment)
images = torch.randn(100, 1, 28, 28)
extra = {"step_size": torch.tensor(0.01), "step_velocity": torch.tensor(0.0)}
extra["failures"] = torch.tensor(0)
state = DistillState(images, torch.arange(10).repeat(10), torch.zeros_like(images), extra=extra)

def status(name):
    line = next(line for line in open("/proc/self/status") if line.startswith(name))
    return 1024 * int(line.split()[1])

before = status("VmRSS")
open("/proc/self/clear_refs", "w").write("5")  # the peak counts from now on
next(distiller.steps(data, state))
print(distiller._max_graphs, estimate, status("VmHWM") - before)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="measured by Linux")
@pytest.mark.parametrize(
    ("width", "steps", "gib", "graphs"), [(32, 8, 4.0, 8), (32, 8, 1e-9, 0), (8, 40, 1e-9, 0)]
)
def test_the_estimate_of_memory_is_what_is_measured(width, steps, gib, graphs):
    arguments = [str(value) for value in (width, steps, gib)]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *arguments], check=True, capture_output=True, text=True,
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"},
    )  # fmt: skip
    kept, estimate, peak = (int(word) for word in done.stdout.split())
    assert kept == graphs
    assert 0.7 < estimate / peak < 1.5, f"estimate {estimate >> 20}, peak {peak >> 20} MiB"


def test_the_record_names_the_experts(data, folders):
    distiller = PAD(TINY)
    prepared = distiller.prepare(data, folders("record"), workers=1, watch=unwatched)
    trained = prepared.record["trained_experts"]
    assert prepared.key == {"experts_sha256": trained["sha256"]}
    assert len(set(trained["sha256"])) == 2
    assert prepared.seconds == trained["seconds"] > 0
    network = build_model(distiller.architecture(), (1, 8, 8), 3)
    assert trained["num_parameters"] == sum(p.numel() for p in network.parameters())
    assert prepared.record["memory_bytes"] > 0


def test_no_augmentation_where_the_settings_say_so(build, data):
    distiller = build(TINY)
    state = distiller.start(data)
    images = distiller._learned(state)
    plain = PAD(TINY.replace(augment=False))
    batches = plain._batches(data, state.labels, images, named_generator(0))
    assert all(torch.equal(batch, state.images) for batch, _ in batches)
    changed = distiller._batches(data, state.labels, images, named_generator(0))
    assert data.augmentation != Augmentation()
    assert not torch.equal(changed[0][0], changed[1][0])


def test_clipping_leaves_ordinary_gradients_alone(run):
    one, other = run(TINY), run(TINY.replace(clip=1e9))
    assert torch.equal(one[-1].state.images, other[-1].state.images)
    short = run(TINY.replace(clip=0.1))
    before = short[0].state.velocity.flatten(1).norm(dim=1)
    torch.testing.assert_close(before, before[:1].expand(6))  # all rows are as short as allowed
    assert not torch.equal(one[-1].state.images, short[-1].state.images)
