"""A step that is recorded once and then replayed: on a GPU, as a CUDA graph.

Small networks take longer to launch kernel by kernel than to compute. A CUDA graph launches all
kernels of a step at once; they read and write where they did when they were recorded, so a step's
draw is copied to where the recorded step reads it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from nasproxy.training.draw import Draw

WARM_UP_STEPS = 3
"""Before the recording, in which libraries choose algorithms and gradients get their memory."""
MIN_STEPS = 50
"""Of a training, from which recording is worth its while; a guess, not measured."""
_LOG = logging.getLogger(__name__)


class Recorder(Protocol):
    """How a device records."""

    def warm_up(self, step: Callable[[], Tensor]) -> Tensor:
        """Do a step as it is, in the place where the device wants it done before a recording."""
        ...

    def record(self, step: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """Record a step without doing it; return what does it and gives its result.

        Raises:
            RuntimeError: the step cannot be recorded.
        """
        ...


class CudaRecorder:
    """Records CUDA graphs.

    Source: PyTorch's notes on CUDA semantics, section "CUDA Graphs", whole-network capture.
    """

    def __init__(self) -> None:
        self._aside = torch.cuda.Stream()

    def warm_up(self, step: Callable[[], Tensor]) -> Tensor:
        """Do a step on a stream of its own, which has to wait and be waited for."""
        self._aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._aside):
            result = step()
        torch.cuda.current_stream().wait_stream(self._aside)
        return result

    def record(self, step: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """Record a step into a graph, which owns the memory of its intermediate results."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            result = step()

        def replay() -> Tensor:
            graph.replay()
            return result

        return replay


class ReplayedStep:
    """Does steps: the first whole batches as they are, then by a recording.

    Each call is one step, also those that warm up and the one in which the recording is made, so
    results are those of the step itself. Batches of another size are done as they are. Where
    recording fails, so are all.

    Args:
        step: what a step does; all that it changes but its result has to stay where it is.
        size: of whole batches, B.
        recorder: of the device.
    """

    def __init__(self, step: Callable[[Draw], Tensor], size: int, recorder: Recorder) -> None:
        self._step, self._size, self._recorder = step, size, recorder
        self._left = WARM_UP_STEPS
        self._inputs: Draw | None = None
        self._replay: Callable[[], Tensor] | None = None
        self._failed = False

    def __call__(self, draw: Draw) -> Tensor:
        """Do one step; return the mean loss (), which the next call writes over."""
        if self._failed or len(draw.chosen) != self._size:
            return self._step(draw)
        if self._left:
            self._left -= 1
            return self._recorder.warm_up(lambda: self._step(draw))
        if self._inputs is None:
            self._inputs = draw.clone()
            self._replay = self._record(self._inputs)
        if self._replay is None:
            return self._step(draw)
        for place, value in zip(self._inputs.tensors(), draw.tensors(), strict=True):
            place.copy_(value)
        return self._replay()

    def _record(self, inputs: Draw) -> Callable[[], Tensor] | None:
        try:
            return self._recorder.record(lambda: self._step(inputs))
        except RuntimeError as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            _LOG.warning("training without a CUDA graph, which cannot be recorded: %s", reason)
            self._failed = True
            return None


def replaying_pays(images: Tensor, num_steps: int) -> bool:
    """Say whether a training on images (N, C, H, W) is to be recorded.

    It has to be on CUDA, on images that are in its memory, and not short. `NASPROXY_CUDA_GRAPHS=0`
    turns it off.
    """
    if os.environ.get("NASPROXY_CUDA_GRAPHS") == "0" or num_steps < MIN_STEPS:
        return False
    return isinstance(images, Tensor) and images.device.type == "cuda"
