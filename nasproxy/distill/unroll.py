"""A student's training, unrolled: what its end owes to every synthetic image, label and step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.func import functional_call, replace_all_batch_norm_modules_

Batch = tuple[Tensor, Tensor]
"""Images (N, C, H, W) and class probabilities (N, K)."""


class Student:
    """A network as a function of its flattened parameters.

    BatchNorm keeps no running statistics: a student is never evaluated, and in training it
    normalises by its batch.

    Args:
        network: on the device to work on; it is changed into training mode.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = replace_all_batch_norm_modules_(network.train())
        self._shapes = {name: value.shape for name, value in network.named_parameters()}
        self._sizes = [shape.numel() for shape in self._shapes.values()]
        self.num_parameters = sum(self._sizes)

    def loss(self, parameters: Tensor, images: Tensor, probabilities: Tensor) -> Tensor:
        """Return the mean cross-entropy () of parameters (P,) on a batch."""
        parts = parameters.split(self._sizes)
        named = {
            name: part.view(shape)
            for (name, shape), part in zip(self._shapes.items(), parts, strict=True)
        }
        logits = functional_call(self._network, named, (images,))
        loss: Tensor = -(probabilities * logits.log_softmax(1)).sum(1).mean()
        return loss


def unroll(
    student: Student, start: Tensor, step_size: Tensor, batches: list[Batch], *, max_graphs: int
) -> Tensor:
    """Return the parameters (P,) after one step of plain SGD on each batch, differentiably.

    Gradients reach `start`, `step_size` and the batches, exactly. They are summed up step by step,
    from the last to the first: with theta_s = theta_{s-1} - eta * g(theta_{s-1}, x_s, y_s) and
    v_s the gradient with respect to theta_s,

        v_{s-1} = v_s - eta * (dg/dtheta)^T v_s,   d/dx_s = -eta * (dg/dx)^T v_s (y_s alike),
        d/deta = -sum over s of v_s^T g_s.

    So one step's graph is enough at any time. Graphs are kept from the way forward for the last
    `max_graphs` steps; those of the others are built again, at a third more time.

    Source: MTT (arXiv 2203.11932), algorithm 1, lines 9 to 14.

    Args:
        student: the network.
        start: (P,) parameters.
        step_size: () learning rate eta.
        batches: one a step.
        max_graphs: kept at once.
    """
    tensors = [tensor for batch in batches for tensor in batch]
    end: Tensor = _Unroll.apply(student, max_graphs, start, step_size, *tensors)
    return end


def graph_bytes(student: Student, batch: Batch) -> int:
    """Return how much memory the graph of one step holds on to, measured on a batch."""
    parameters = batch[0].new_zeros(student.num_parameters)
    return saved_bytes(lambda: _Step(student, parameters, *batch))


def saved_bytes(build: Callable[[], object]) -> int:
    """Return how much memory the graphs of what is built hold on to."""
    sizes: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        # the graph has to live until all of it has been noted
        graph = build()
    del graph
    return sum(sizes.values())


class _Step:
    """The gradient g of one step, with the graph through which it is differentiated again."""

    def __init__(
        self, student: Student, parameters: Tensor, images: Tensor, targets: Tensor
    ) -> None:
        self._inputs = tuple(
            tensor.detach().requires_grad_() for tensor in (parameters, images, targets)
        )
        with torch.enable_grad():
            loss = student.loss(*self._inputs)
            (self._gradient,) = torch.autograd.grad(loss, self._inputs[0], create_graph=True)
        self.gradient = self._gradient.detach()

    def pull_back(self, vector: Tensor) -> tuple[Tensor, ...]:
        """Return (dg/dtheta)^T v, (dg/dx)^T v and (dg/dy)^T v; once, for the graph is freed."""
        return torch.autograd.grad(
            self._gradient, self._inputs, vector, allow_unused=True, materialize_grads=True
        )


class _Unroll(torch.autograd.Function):
    """The steps as one operation with a gradient of its own."""

    @staticmethod
    def forward(
        ctx: Any, student: Student, max_graphs: int, start: Tensor, step_size: Tensor, *flat: Tensor
    ) -> Tensor:
        batches = _paired(flat)
        way, gradients = [start], []
        graphs: dict[int, _Step] = {}
        for index, batch in enumerate(batches):
            step = _Step(student, way[-1], *batch)
            if len(batches) - index <= max_graphs:
                graphs[index] = step
            gradients.append(step.gradient)
            way.append(way[-1] - step_size * step.gradient)
        ctx.student, ctx.graphs, ctx.num_steps = student, graphs, len(batches)
        ctx.save_for_backward(step_size, *way[:-1], *gradients, *flat)
        return way[-1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        (vector,) = grads
        step_size, *saved = ctx.saved_tensors
        n = ctx.num_steps
        way, gradients, batches = saved[:n], saved[n : 2 * n], _paired(saved[2 * n :])
        for_step_size = torch.zeros_like(step_size)
        for_batches: list[Tensor] = []
        for index in reversed(range(n)):
            for_step_size = for_step_size - vector @ gradients[index]
            step = ctx.graphs.pop(index, None) or _Step(ctx.student, way[index], *batches[index])
            for_parameters, *for_batch = step.pull_back(-step_size * vector)
            for_batches = [*for_batch, *for_batches]
            vector = vector + for_parameters
            del step
        return (None, None, vector, for_step_size, *for_batches)


def _paired(flat: Sequence[Tensor]) -> list[Batch]:
    return list(zip(flat[::2], flat[1::2], strict=True))
