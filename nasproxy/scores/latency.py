"""How long a network takes for one image on this very machine."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Iterator

import torch

from nasproxy._random import named_generator
from nasproxy._timing import Stopwatch
from nasproxy.models.family import Architecture, build_model

WARM_UPS = 5
"""Passes that are not counted: the first ones allocate memory and choose algorithms."""
PASSES = 21


def measure_latency(
    architecture: Architecture,
    image_shape: tuple[int, int, int],
    num_classes: int,
    device: torch.device,
) -> float:
    """Time the forward pass of one image, on one thread, as the network would be used.

    The weights are the first ones, in evaluation mode: their values hardly matter for the time.
    The median leaves out what else the machine did for a moment; a machine that is busy all the
    while gives other numbers.

    Args:
        architecture: family and settings.
        image_shape: (C, H, W).
        num_classes: outputs.
        device: to run on.

    Returns:
        The median of PASSES passes after WARM_UPS others, in milliseconds.

    Raises:
        ConfigError: the architecture does not fit the images.
    """
    generator = named_generator(0, "latency")
    model = build_model(architecture, image_shape, num_classes, generator).to(device).eval()
    image = torch.randn(1, *image_shape, generator=generator).to(device)
    seconds = []
    with _one_thread(), torch.inference_mode():
        for _ in range(WARM_UPS):
            model(image)
        for _ in range(PASSES):
            clock = Stopwatch(device)
            model(image)
            seconds.append(clock.seconds())
    return 1000 * statistics.median(seconds)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
