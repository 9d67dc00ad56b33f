"""Average pooling that keeps up with the convolutions on a CPU."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 2
"""Of the windows, which do not overlap."""


class AveragePool(nn.Module):
    """Means of 2x2 windows, as `nn.AvgPool2d(2)` gives them but for rounding.

    torch's own kernel takes a third of a training step of a ConvNet with InstanceNorm on a CPU in
    NCHW, where this one takes a fifth of that (docs/performance.md); elsewhere torch's is fast.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Pool (N, C, H, W) to (N, C, H // 2, W // 2)."""
        if _is_slow_case(images):
            return _Pool.apply(images)  # type: ignore[no-any-return]
        return F.avg_pool2d(images, SIDE)


def _is_slow_case(images: Tensor) -> bool:
    return (
        images.device.type == "cpu"
        and images.is_contiguous()
        and images.shape[1] > 1  # one channel is contiguous in both layouts
        and not any(side % SIDE for side in images.shape[2:])
        and torch._C._functorch.peek_interpreter_stack() is None
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    )


class _Pool(torch.autograd.Function):
    """The mean of each window; its derivative is `_Spread`, whose derivative it is."""

    @staticmethod
    def forward(images: Tensor) -> Tensor:
        pairs = images.unflatten(2, (-1, SIDE))
        rows: Tensor = pairs[..., 0, :] + pairs[..., 1, :]
        return rows[..., ::SIDE].add(rows[..., 1::SIDE]).mul_(1 / SIDE**2)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        """Keep nothing: the derivative does not depend on the images."""

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return _Spread.apply(grad)  # type: ignore[no-any-return]


class _Spread(torch.autograd.Function):
    """A quarter of each value in every place of its window."""

    @staticmethod
    def forward(pooled: Tensor) -> Tensor:
        pairs = pooled.new_empty(*pooled.shape, SIDE)
        pairs[..., 0] = pairs[..., 1] = pooled * (1 / SIDE**2)
        rows = pairs.flatten(-2)
        images = rows.new_empty(*rows.shape[:-1], SIDE, rows.shape[-1])
        images[..., 0, :] = rows
        images[..., 1, :] = rows
        return images.flatten(-3, -2)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        """Keep nothing."""

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return _Pool.apply(grad)  # type: ignore[no-any-return]
