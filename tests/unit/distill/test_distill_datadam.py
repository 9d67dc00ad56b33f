from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch

from nasproxy._random import named_generator
from nasproxy.config import DIGITS, DataDAMConfig
from nasproxy.distill.base import DistillState
from nasproxy.distill.datadam import SCALE_MEMORY, DataDAM, level
from nasproxy.errors import ConfigError
from nasproxy.models.family import build_model
from nasproxy.progress import unwatched
from nasproxy.proxy.coreset import choose_k_center

TINY = DataDAMConfig(
    ipc=2, iterations=6, real_batch=8, depth=2, width=4, image_lr=1.0, num_checks=1
)


@pytest.fixture
def data(make_dataset):
    return make_dataset()


def run(data, config, state=None):
    distiller = DataDAM(config)
    return list(distiller.steps(data, state or distiller.start(data)))


def losses_of(distiller, seen, labels, made, made_labels, *, k):
    return distiller.losses(seen.by_class(labels, k), made.by_class(made_labels, k))


@pytest.mark.parametrize(
    ("activation", "norm", "pooling"),
    list(
        itertools.product(
            ["relu", "leakyrelu", "sigmoid"],
            ["none", "batch", "instance", "layer", "group"],
            ["none", "max", "avg"],
        )
    ),
)
def test_every_network_moves_the_images(data, activation, norm, pooling):
    config = TINY.replace(activation=activation, norm=norm, pooling=pooling, iterations=1)
    start = DataDAM(config).start(data)
    (step,) = run(data, config, start)
    assert step.state.iteration == 1
    assert step.losses["attention"] > 0  # whatever the activation
    assert step.losses["embedding"] > 0
    assert step.state.images.isfinite().all()
    moved = (step.state.images - start.images).abs().amax((1, 2, 3))
    assert (moved > 0).all()
    assert torch.equal(step.state.labels, start.labels)


def test_attention_alone_moves_the_images(data):
    for activation in ("relu", "leakyrelu", "sigmoid"):
        config = TINY.replace(task_balance=0.0, iterations=1, activation=activation)
        start = DataDAM(config).start(data)
        assert not torch.equal(run(data, config, start)[0].state.images, start.images)


@pytest.mark.parametrize("p", [1.0, 4.0])
def test_no_loss_where_the_synthetic_images_are_the_real_ones(data, p):
    network = build_model({"depth": 3, "width": 8}, (1, 8, 8), 3, named_generator(0))
    features = network.features(data.train.images)
    distiller = DataDAM(TINY.replace(p=p))
    labels = data.train.labels
    seen = distiller.attend(features)
    assert [v.item() for v in losses_of(distiller, seen, labels, seen, labels, k=3)] == [0, 0]
    order = torch.randperm(len(labels))
    again = distiller.attend(network.features(data.train.images[order]))
    for value in losses_of(distiller, seen, labels, again, labels[order], k=3):
        assert 0 <= value.item() < 1e-10
    for value in losses_of(distiller, seen, labels, again, labels, k=3):
        assert value.item() > 1e-4  # the labels matter


def losses_by_hand(distiller, seen, real_labels, synthetic, made_labels, *, k):
    """Loops over classes, layers and places: equations 2 and 3 as they are written."""

    def maps(layer):
        z = layer.abs().pow(distiller.config.p).sum(1).flatten(1)
        return z / z.square().sum(1, keepdim=True).sqrt()

    attention = embedding = 0.0
    for c in range(k):
        mine, theirs = made_labels == c, real_labels == c
        for a, b in zip(seen.layers[:-1], synthetic.layers[:-1], strict=True):
            attention += ((maps(a)[theirs].mean(0) - maps(b)[mine].mean(0)) ** 2).sum()
        gap = seen.embedding[theirs].mean(0) - synthetic.embedding[mine].mean(0)
        embedding += (gap**2).sum()
    return attention, embedding


@pytest.mark.parametrize("p", [1.0, 2.0, 4.0])
def test_losses_are_equations_2_and_3(data, p):
    distiller = DataDAM(TINY.replace(p=p))
    network = build_model({"depth": 3, "width": 4}, (1, 8, 8), 3, named_generator(0)).double()
    real, labels = data.train.images.double(), data.train.labels
    made, made_labels = torch.randn(6, 1, 8, 8).double(), torch.tensor([0, 0, 1, 2, 2, 2])
    seen, synthetic = network.features(real), network.features(made)
    attended = distiller.attend(seen), distiller.attend(synthetic)
    found = losses_of(distiller, attended[0], labels, attended[1], made_labels, k=3)
    expected = losses_by_hand(distiller, seen, labels, synthetic, made_labels, k=3)
    torch.testing.assert_close(torch.stack(found), torch.stack(expected))


@pytest.mark.parametrize("p", [1.0, 4.0])
@pytest.mark.parametrize("norm", ["none", "instance"])
def test_gradient_of_the_losses(p, norm):
    architecture = {"depth": 2, "width": 4, "norm": norm, "activation": "sigmoid"}
    network = build_model(architecture, (1, 4, 4), 2, named_generator(0)).double()
    real, labels = torch.randn(6, 1, 4, 4).double(), torch.tensor([0, 1] * 3)
    distiller = DataDAM(TINY.replace(p=p))
    seen = distiller.attend(network.features(real))
    made = torch.randn(3, 1, 4, 4, dtype=torch.float64, requires_grad=True)

    def losses(images):
        made_labels = torch.tensor([0, 1, 1])
        made = distiller.attend(network.features(images))
        return losses_of(distiller, seen, labels, made, made_labels, k=2)

    assert torch.autograd.gradcheck(losses, made)


def test_one_step_moves_against_a_measured_gradient(data):
    """Finite differences on a pixel, with real batch, network and no augmentation drawn by hand."""
    config = TINY.replace(
        iterations=1, augment=False, real_batch=99, activation="sigmoid", task_balance=0.5,
        loss_scale=3.0, image_lr=0.25,
    )  # fmt: skip
    distiller = DataDAM(config)
    start = distiller.start(data)
    network = build_model(
        distiller.architecture(), (1, 8, 8), 3, named_generator(0, "datadam", 0)
    ).double()
    seen = distiller.attend(network.features(data.train.images.double()))

    def loss(images):
        made = distiller.attend(network.features(images))
        attention, embedding = losses_of(
            distiller, seen, data.train.labels, made, start.labels, k=3
        )
        return 3.0 * (attention + 0.5 * embedding).item()

    (step,) = run(data, config, start)
    for index in [(0, 0, 3, 4), (5, 0, 0, 7)]:
        nudge = torch.zeros(start.images.shape).double()
        nudge[index] = 1e-4
        images = start.images.double()
        slope = (loss(images + nudge) - loss(images - nudge)) / 2e-4
        assert step.state.velocity[index].item() == pytest.approx(slope, rel=1e-3, abs=1e-6)
        moved = (step.state.images - start.images)[index].item()
        assert moved == pytest.approx(-0.25 * slope, rel=1e-2, abs=1e-5)


def test_updates_are_sgd_with_momentum(data):
    start = DataDAM(TINY).start(data)
    steps = run(data, TINY, start)
    parameter = start.images.clone().requires_grad_()
    optimizer = torch.optim.SGD([parameter], TINY.image_lr, TINY.image_momentum)
    before = start.velocity
    for step in steps:
        parameter.grad = step.state.velocity - TINY.image_momentum * before
        before = step.state.velocity
        optimizer.step()
        torch.testing.assert_close(parameter.detach(), step.state.images)
    # the gradient does not depend on the momentum
    plain = run(data, TINY.replace(image_momentum=0.0), start)
    assert torch.equal(plain[0].state.images, steps[0].state.images)
    assert not torch.equal(plain[1].state.images, steps[1].state.images)


@pytest.mark.parametrize(
    "change",
    [
        {"p": 1.0}, {"task_balance": 1.0}, {"task_balance": 0.0}, {"loss_scale": 2.0},
        {"image_lr": 0.5}, {"seed": 1}, {"augment": False}, {"real_batch": 4}, {"width": 8},
        {"norm": "batch"}, {"activation": "sigmoid"}, {"pooling": "max"}, {"depth": 3},
    ],
    ids=str,
)  # fmt: skip
def test_every_setting_matters(make_dataset, change):
    data = replace(make_dataset(), augmentation=DIGITS)
    start = DataDAM(TINY).start(data)
    one = run(data, TINY.replace(iterations=1), start)[0]
    other = run(data, TINY.replace(iterations=1, **change), start)[0]
    assert not torch.equal(one.state.images, other.state.images)


def test_a_smaller_loss_after_many_steps(data):
    config = TINY.replace(iterations=80, init="noise", augment=False, p=1.0, image_lr=2.0)
    losses = [sum(step.losses.values()) for step in run(data, config)]
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])


@pytest.mark.parametrize("init", ["real", "noise", "kcenter"])
@pytest.mark.parametrize("batch", ["instance", "batch"])
def test_going_on_from_any_state_is_bit_identical(data, init, batch):
    config = TINY.replace(init=init, norm=batch)
    torch.manual_seed(0)
    straight = run(data, config)
    for stop in (1, 3, 5):
        torch.manual_seed(stop)
        torch.randn(7)  # chance elsewhere does not matter
        rest = run(data, config, straight[stop - 1].state)
        assert [s.state.iteration for s in rest] == list(range(stop + 1, 7))
        for one, other in zip(straight[stop:], rest, strict=True):
            assert torch.equal(one.state.images, other.state.images)
            assert torch.equal(one.state.velocity, other.state.velocity)
            assert one.losses == other.losses
    assert run(data, config, straight[-1].state) == []


def test_states_yielded_earlier_stay_as_they_were(data):
    start = DataDAM(TINY).start(data)
    images = start.images.clone()
    seen = [(s.state.images, s.state.images.clone()) for s in DataDAM(TINY).steps(data, start)]
    assert torch.equal(start.images, images)
    assert all(torch.equal(one, copy) for one, copy in seen)


def test_starts(digits):
    starts = {
        init: DataDAM(DataDAMConfig(ipc=5, init=init)).start(digits)
        for init in ("real", "noise", "kcenter")
    }
    for start in starts.values():
        assert start.labels.tolist() == [label for label in range(10) for _ in range(5)]
        assert start.images.shape == (50, 1, 8, 8)
        assert not start.velocity.any()
        assert start.iteration == 0
    rows = [row.tobytes() for row in digits.train.images.numpy()]
    real = dict(zip(rows, digits.train.labels.tolist(), strict=True))
    for init in ("real", "kcenter"):
        found = [real[row.tobytes()] for row in starts[init].images.numpy()]
        assert found == starts[init].labels.tolist()
    noise = starts["noise"].images
    assert abs(noise.mean()) < 0.06
    assert abs(noise.std() - 1) < 0.06
    assert torch.equal(starts["kcenter"].images, choose_k_center(digits.train, 5, 0).images)
    again = DataDAM(DataDAMConfig(ipc=5, init="noise")).start(digits)
    assert torch.equal(noise, again.images)
    other = DataDAM(DataDAMConfig(ipc=5, init="noise", seed=1)).start(digits)
    assert not torch.equal(noise, other.images)


def test_small_and_unbalanced_classes(make_dataset):
    """A class with fewer images than the batch gives all it has; others are not thinned."""
    data = make_dataset((3, 40, 9))
    config = TINY.replace(real_batch=16, iterations=2, augment=False, norm="instance")
    steps = run(data, config)
    assert all(step.state.images.isfinite().all() for step in steps)
    # the class of three is in every batch as a whole, so its own loss is that of all three
    whole = run(data, config.replace(real_batch=3))
    small = steps[0].state.labels == 0
    assert torch.equal(steps[0].state.images[small], whole[0].state.images[small])


def test_a_class_without_images_is_refused(make_dataset):
    data = make_dataset((3, 0, 4))
    with pytest.raises(ConfigError, match=r"'class 1' has to give \(0 training images\)"):
        DataDAM(TINY).start(data)


def test_a_power_below_one_stays_finite(data):
    for activation in ("relu", "leakyrelu"):
        (step,) = run(data, TINY.replace(p=0.5, iterations=1, activation=activation))
        assert step.state.images.isfinite().all()


def test_state_moves_between_devices():
    state = DistillState(torch.zeros(1, 1, 2, 2), torch.zeros(1).long(), torch.ones(1, 1, 2, 2), 3)
    moved = state.to(torch.device("meta"))
    assert moved.iteration == 3
    assert {moved.images.device.type, moved.labels.device.type, moved.velocity.device.type} == {
        "meta"
    }


CONVNETS = [
    {"family": "convnet", "depth": depth, "width": 4, "norm": norm}
    for depth in (1, 2)
    for norm in ("none", "batch", "layer")
]


def test_networks_are_drawn_from_those_given(data):
    config = TINY.replace(networks=CONVNETS, iterations=12)
    steps = run(data, config)
    blind = [step.losses["attention"] == 0 for step in steps]  # one layer has none to attend to
    assert any(blind)
    assert not all(blind)
    resumed = run(data, config, steps[5].state)
    assert torch.equal(resumed[-1].state.images, steps[-1].state.images)


def test_no_network_outweighs_another(data):
    """Whatever the size of its gradient, a step has the size of the running mean."""
    scale = torch.tensor(0.0)
    sizes = [2.0, 2000.0, 0.002]
    for size in sizes:
        gradient, scale = level(torch.full((2, 1, 4, 4), size), scale)
        torch.testing.assert_close(gradient, torch.full_like(gradient, float(scale)))
    expected = 2.0
    for size in sizes[1:]:
        expected = expected**SCALE_MEMORY * size ** (1 - SCALE_MEMORY)
    assert scale.item() == pytest.approx(expected)


def test_a_network_that_sees_no_difference_moves_nothing():
    gradient, scale = level(torch.zeros(2, 1, 4, 4), torch.tensor(3.0))
    assert not gradient.any()
    assert scale == 3.0


def test_networks_must_have_maps_and_fit(data, tmp_path):
    mlp = [{"family": "mlp", "hidden": [8]}]
    with pytest.raises(ConfigError, match=r"mlp has no attention maps.*--networks"):
        DataDAM(TINY.replace(networks=mlp)).prepare(data, tmp_path, workers=1, watch=unwatched)
    deep = [{"family": "convnet", "depth": 6, "width": 4}]
    with pytest.raises(ConfigError, match="depth 6"):
        DataDAM(TINY.replace(networks=deep)).prepare(data, tmp_path, workers=1, watch=unwatched)


def test_settings_without_networks_are_written_as_before():
    assert "networks" not in TINY.to_dict()
    assert len(TINY.replace(networks=CONVNETS).to_dict()["networks"]) == len(CONVNETS)


def test_with_a_pool_networks_and_real_images_recur(data):
    """The first round is that without a pool; the second sees the first's draws again."""
    plain, pooled = run(data, TINY), run(data, TINY.replace(pool=3))
    assert [step.losses for step in pooled[:3]] == [step.losses for step in plain[:3]]
    assert pooled[3].losses != plain[3].losses
    fixed = TINY.replace(pool=1, image_lr=1e-12)
    first, *others = [step.losses["attention"] for step in run(data, fixed)]
    assert others == pytest.approx([first] * len(others), rel=1e-4)
    state = pooled[3].state
    again = list(DataDAM(TINY.replace(pool=3)).steps(data, state))
    assert torch.equal(again[-1].state.images, pooled[-1].state.images)  # kept or computed anew


def test_with_a_pool_real_images_are_seen_once(data, monkeypatch):
    seen = []
    see = DataDAM._see
    monkeypatch.setattr(DataDAM, "_see", lambda *args: seen.append(1) or see(*args))
    run(data, TINY.replace(pool=2))
    assert len(seen) == 2
