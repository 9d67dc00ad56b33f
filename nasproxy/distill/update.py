"""One update of what PAD learns: images, the logits of their labels, and a step size."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from nasproxy.config import PADConfig
from nasproxy.distill.base import DistillState, decay
from nasproxy.errors import EvaluationError

MAX_FAILURES = 10
"""Steps in a row without finite gradients after which the distillation gives up."""
MAX_STEP_CHANGE = 0.1
"""Largest relative change of the learned step size in an iteration; it also stays positive."""
STEP_MOMENTUM = 0.5
SCALE_MEMORY = 0.9
"""Share of the running median of gradients that an iteration leaves."""


def move(state: DistillState, gradients: dict[str, Tensor], config: PADConfig) -> DistillState:
    """Do one step of SGD with momentum.

    Args:
        state: before the step; its count of iterations stays.
        gradients: of the loss by `images` (N, C, H, W), `step_size` () and, where labels are
            learned, `label_logits` (N, K).
        config: learning rates, momenta and the clip.
    """
    gradients, extra = dict(gradients), dict(state.extra)
    factor = decay(config.schedule, state.iteration, config.iterations)
    extra["failures"] = torch.zeros_like(extra["failures"])
    before = extra["step_size"]
    extra["step_velocity"] = STEP_MOMENTUM * extra["step_velocity"] + gradients["step_size"]
    extra["step_size"] = (before - factor * config.step_lr * extra["step_velocity"]).clamp(
        before * (1 - MAX_STEP_CHANGE), before * (1 + MAX_STEP_CHANGE)
    )
    if config.clip is not None:
        for name in [name for name in ("images", "label_logits") if name in gradients]:
            gradients[name], extra[f"{name}_scale"] = clip_rows(
                gradients[name], extra[f"{name}_scale"], config.clip
            )
    if config.soft_labels:
        extra["label_velocity"] = (
            config.label_momentum * extra["label_velocity"] + gradients["label_logits"]
        )
        extra["label_logits"] = (
            extra["label_logits"] - factor * config.label_lr * extra["label_velocity"]
        )
    velocity = config.image_momentum * state.velocity + gradients["images"]
    images = state.images - factor * config.image_lr * velocity
    return replace(state, images=images, velocity=velocity, extra=extra)


def skip(state: DistillState) -> DistillState:
    """Leave everything where it is, and count: those in a row, and all (`skipped`).

    Raises:
        EvaluationError: it is the `MAX_FAILURES`th time in a row.
    """
    failures = state.extra["failures"] + 1
    if failures >= MAX_FAILURES:
        raise EvaluationError(
            f"distillation diverged: the gradients of {MAX_FAILURES} steps in a row, up to "
            f"{state.iteration + 1}, were not finite: use a smaller --image-lr or --step-size"
        )
    skipped = state.extra.get("skipped", torch.zeros_like(failures)) + 1  # old checkpoints lack it
    return replace(state, extra={**state.extra, "failures": failures, "skipped": skipped})


def num_skipped(state: DistillState) -> int:
    """Return how many steps were skipped in all."""
    return int(state.extra.get("skipped", 0))


def clip_rows(gradient: Tensor, scale: Tensor, clip: float) -> tuple[Tensor, Tensor]:
    """Shorten the rows of a gradient that are out of the ordinary.

    Args:
        gradient: (N, ...), one row an image.
        scale: () running median of the rows' norms; 0 where there has been none.
        clip: longest norm that is left as it is, in medians.

    Returns:
        The gradient (N, ...) with no row longer than `clip` times the new scale (), and that.
    """
    norms = gradient.flatten(1).norm(dim=1)
    median = norms.median()
    if scale > 0:
        median = SCALE_MEMORY * scale + (1 - SCALE_MEMORY) * median.clamp_max(2 * scale)
    factors = (clip * median / norms.clamp_min(torch.finfo(norms.dtype).tiny)).clamp_max(1)
    return gradient * factors.view(-1, *[1] * (gradient.ndim - 1)), median
