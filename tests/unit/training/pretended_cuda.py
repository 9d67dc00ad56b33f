"""CUDA that is pretended: tensors that say they are on a GPU, whose values lie on the CPU.

What would fail on a GPU because a tensor is on the wrong side fails here, and what would wait for
the GPU is counted; values are those of the CPU. Of the GPU's own kernels it says nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

CUDA = torch.device("cuda:0")
aten = torch.ops.aten
TAKES_BOTH = {aten.copy_.default, aten._to_copy.default}
INDEXES = {aten.index.Tensor, aten.index_put_.default, aten.index_put.default}
WAITS = {
    aten._local_scalar_dense.default, aten.nonzero.default, aten.bincount.default,
    aten._unique2.default, aten.masked_select.default, aten.equal.default,
}  # fmt: skip
"""Whose result, or its shape, the CPU needs before it goes on."""


class PretendedTensor(Tensor):
    """A tensor on pretended CUDA.

    To torch's own C++ it is on the meta device: the way back through CUDA asks for a driver.
    """

    held: Tensor
    device = CUDA  # type: ignore[assignment]
    is_cuda, is_cpu, is_meta = True, False, False  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, held: Tensor) -> PretendedTensor:
        with torch.inference_mode(held.is_inference()):
            made: PretendedTensor = Tensor._make_wrapper_subclass(
                cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(),
                dtype=held.dtype, device="meta",
            )  # fmt: skip
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise AssertionError("pretended CUDA is left: use it within `pretended_cuda`")

    def new_tensor(self, data: Any) -> Tensor:
        return torch.tensor(data, dtype=self.dtype).to(CUDA)

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def __deepcopy__(self, memo: dict[int, Any]) -> PretendedTensor:
        copied = self.detach().clone().requires_grad_(self.requires_grad)
        if isinstance(self, torch.nn.Parameter):
            copied = torch.nn.Parameter(copied, self.requires_grad)
        return memo.setdefault(id(self), copied)


class PretendedCuda(TorchDispatchMode):
    """Computes everything on the CPU, after a look at where it would be.

    Attributes:
        waits: operations so far that a GPU would have been waited for.
        uploads: transfers so far from the CPU to the GPU.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []
        self.uploads: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        there = any(isinstance(leaf, PretendedTensor) for leaf in tree_leaves((args, kwargs)))
        wanted = kwargs.get("device")
        cuda = there if wanted is None else torch.device(wanted).type in ("cuda", "meta")
        if cuda and isinstance(kwargs.get("generator"), torch.Generator):
            raise RuntimeError(f"{func}: a generator of the CPU for a tensor on cuda")
        if there:
            check_sides(func, args, kwargs)
        self._count(func, args, there=there, cuda=cuda)
        if wanted is not None:
            kwargs = {**kwargs, "device": torch.device("cpu")}
        found = func(*tree_map(_hold, args), **tree_map(_hold, kwargs))
        if _writes(func):
            return args[0]
        return tree_map(_pretend, found) if cuda else found

    def _count(self, func: Any, args: Any, *, there: bool, cuda: bool) -> None:
        masked = func in INDEXES and any(i is not None and i.dtype == torch.bool for i in args[1])
        back = func is aten._to_copy.default and not cuda
        if func is aten.copy_.default:
            back = not isinstance(args[0], PretendedTensor)
            if not back and not isinstance(args[1], PretendedTensor):
                self.uploads.append(str(func))
        if there and (func in WAITS or masked or back):
            self.waits.append(str(func))
        if func is aten._to_copy.default and cuda and not there:
            self.uploads.append(str(func))


def check_sides(func: Any, args: Any, kwargs: Any) -> None:
    """Refuse tensors of both sides, where CUDA does: numbers and indices may be on the CPU."""
    if func in TAKES_BOTH:
        return
    sides = args[:1] if func in INDEXES else (args, kwargs)
    if func in INDEXES and not isinstance(args[0], PretendedTensor):
        raise RuntimeError(f"{func}: indices on cuda for a tensor on the CPU")
    tensors = [leaf for leaf in tree_leaves(sides) if isinstance(leaf, Tensor)]
    strays = [t for t in tensors if not isinstance(t, PretendedTensor) and t.ndim]
    if strays:
        raise RuntimeError(f"{func}: {[tuple(t.shape) for t in strays]} on the CPU, others on cuda")


def _hold(value: Any) -> Any:
    return value.held if isinstance(value, PretendedTensor) else value


def _pretend(value: Any) -> Any:
    return PretendedTensor(value) if isinstance(value, Tensor) else value


def _writes(func: Any) -> bool:
    returns = func._schema.returns
    return bool(returns) and returns[0].alias_info is not None and returns[0].alias_info.is_write


@contextlib.contextmanager
def pretended_cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[PretendedCuda]:
    """Pretend, in this thread, that there is CUDA, cuDNN and all graphs left out."""
    if torch.cuda.is_available():
        pytest.skip("there is real CUDA: see tests/gpu")
    monkeypatch.setattr(torch.cuda, "_lazy_init", lambda: None)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device=None: None)
    monkeypatch.setattr(torch.backends.cudnn, "enabled", False)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    monkeypatch.setenv("NASPROXY_CUDA_GRAPHS", "0")
    lifted, overwrites = torch._C._only_lift_cpu_tensors(), torch.__future__
    before = overwrites.get_overwrite_module_params_on_conversion()
    torch._C._set_only_lift_cpu_tensors(True)
    overwrites.set_overwrite_module_params_on_conversion(True)
    try:
        with PretendedCuda() as mode:
            yield mode
    finally:
        torch._C._set_only_lift_cpu_tensors(lifted)
        overwrites.set_overwrite_module_params_on_conversion(before)
