from __future__ import annotations

import pytest
import torch
from torch import nn

from nasproxy._random import named_generator
from nasproxy.distill.matching import kept_by_depth, normalized_distance
from nasproxy.distill.unroll import Student, graph_bytes, unroll
from nasproxy.models.family import build_model

K = 3


def make_student(norm="instance", activation="relu", pooling="avg", *, channels=1, double=False):
    architecture = {
        "depth": 2, "width": 4, "norm": norm, "activation": activation, "pooling": pooling,
    }  # fmt: skip
    network = build_model(architecture, (channels, 4, 4), K, named_generator(0))
    start = nn.utils.parameters_to_vector(network.parameters()).detach()
    return (Student(network.double()), start.double()) if double else (Student(network), start)


def make_batches(steps: int, *, size=4, channels=1, double=False):
    generator = torch.Generator().manual_seed(0)
    dtype = torch.float64 if double else torch.float32
    return [
        (
            torch.randn(size, channels, 4, 4, generator=generator, dtype=dtype),
            torch.randn(size, K, generator=generator, dtype=dtype).softmax(1),
        )
        for _ in range(steps)
    ]


def plain_unroll(student, start, step_size, batches):
    """The same steps with autograd's own second order, all graphs kept."""
    parameters = start.clone().requires_grad_()
    for images, targets in batches:
        loss = student.loss(parameters, images, targets)
        (gradient,) = torch.autograd.grad(loss, parameters, create_graph=True)
        parameters = parameters - step_size * gradient
    return parameters


@pytest.mark.parametrize("max_graphs", [0, 1, 9])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("norm", ["none", "batch", "instance", "layer", "group"])
def test_end_and_gradients_are_autograds_own(norm, channels, max_graphs):
    student, start = make_student(norm, channels=channels)

    def run(unrolled):
        batches = make_batches(3, channels=channels)
        leaves = [tensor.requires_grad_() for batch in batches for tensor in batch]
        step_size = torch.tensor(0.3, requires_grad=True)
        end = unrolled(student, start, step_size, batches)
        return end, torch.autograd.grad(end.square().sum(), [step_size, *leaves])

    end, gradients = run(lambda *a: unroll(*a, max_graphs=max_graphs))
    expected_end, expected = run(plain_unroll)
    torch.testing.assert_close(end, expected_end)
    assert len(gradients) == 1 + 2 * 3
    for found, wanted in zip(gradients, expected, strict=True):
        assert wanted.abs().max() > 0
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-5)


def test_graphs_kept_or_built_again_are_bit_identical():
    student, start = make_student()
    found = []
    for max_graphs in (0, 2, 5):
        batches = make_batches(5)
        leaves = [tensor.requires_grad_() for batch in batches for tensor in batch]
        end = unroll(student, start, torch.tensor(0.3), batches, max_graphs=max_graphs)
        found.append([end, *torch.autograd.grad(end.square().sum(), leaves)])
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize("alpha", [0.0, 0.4])
@pytest.mark.parametrize(
    ("norm", "activation", "pooling"),
    [("instance", "sigmoid", "avg"), ("batch", "sigmoid", "none"), ("none", "leakyrelu", "max")],
)
def test_gradcheck_of_the_matching_loss(norm, activation, pooling, alpha):
    """Finite differences through two steps, the distance and the mask."""
    student, start = make_student(norm, activation, pooling, double=True)
    target = start + 0.1 * torch.randn(len(start), generator=torch.Generator().manual_seed(1))
    kept = kept_by_depth(len(start), alpha)
    batches = make_batches(2, size=2, double=True)
    inputs = [tensor.requires_grad_() for batch in batches for tensor in batch]
    step_size = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)

    def loss(step_size, *flat):
        pairs = list(zip(flat[::2], flat[1::2], strict=True))
        end = unroll(student, start, step_size, pairs, max_graphs=1)
        return normalized_distance(end, start, target, kept)

    assert torch.autograd.gradcheck(loss, (step_size, *inputs), atol=1e-6)


def test_gradient_of_the_start():
    student, start = make_student(activation="sigmoid", double=True)
    batches = make_batches(2, double=True)

    def end(start):
        return unroll(student, start, torch.tensor(0.2).double(), batches, max_graphs=0)

    direction = torch.randn(len(start), dtype=torch.float64)
    leaf = start.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(end(leaf) @ direction, leaf)
    step = 1e-5 * torch.randn(len(start), dtype=torch.float64)
    slope = (end(start + step) - end(start - step)) @ direction / 2
    assert (gradient @ step).item() == pytest.approx(slope.item(), rel=1e-5)


def test_steps_are_torchs_own_sgd():
    student, start = make_student("batch")
    network = build_model({"depth": 2, "width": 4, "norm": "batch"}, (1, 4, 4), K)
    nn.utils.vector_to_parameters(start.clone(), network.parameters())
    optimizer = torch.optim.SGD(network.parameters(), lr=0.3)
    batches = make_batches(4)
    for images, targets in batches:
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), targets).backward()
        optimizer.step()
    end = unroll(student, start, torch.tensor(0.3), batches, max_graphs=2)
    expected = nn.utils.parameters_to_vector(network.parameters())
    torch.testing.assert_close(end, expected, rtol=1e-4, atol=1e-5)


def test_the_network_itself_stays_as_it_was():
    network = build_model({"depth": 1, "width": 4, "norm": "batch"}, (1, 4, 4), K)
    before = nn.utils.parameters_to_vector(network.parameters()).clone()
    student = Student(network)
    unroll(student, torch.zeros_like(before), torch.tensor(0.1), make_batches(2), max_graphs=9)
    assert torch.equal(nn.utils.parameters_to_vector(network.parameters()), before)
    assert not list(network.buffers())  # no running statistics to be changed on the way


def test_memory_grows_with_the_batch():
    student, _ = make_student()
    small, large = (graph_bytes(student, make_batches(1, size=size)[0]) for size in (10, 20))
    activations = 10 * 4 * (16 + 4) * 4  # images x channels x places x bytes, at the very least
    assert activations < small < 20 * activations
    assert 1.3 * small < large < 2.1 * small
