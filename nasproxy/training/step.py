"""One step of SGD, whose tensors stay where they are on the device."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasproxy.config import Recipe
from nasproxy.training.draw import Draw
from nasproxy.training.precision import forward_dtype, in_dtype


class SgdStep:
    """Augments a batch, passes it forward and back, and updates the weights.

    On CUDA the learning rate is a tensor and the update a single kernel, so that nothing in a
    step waits for the device, and cuDNN is told to be deterministic.

    Args:
        model: on the images' device, in training mode whenever a step is done.
        images: (N, C, H, W), normalised.
        targets: labels int64 (N,), or class probabilities float32 (N, K).
        recipe: batch size, momentum, weight decay and precision.
        forward: a compiled form of the model, used for whole batches; None: the model itself.
    """

    def __init__(
        self,
        model: nn.Module,
        images: Tensor,
        targets: Tensor,
        recipe: Recipe,
        forward: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.whole = min(recipe.batch_size, len(images))
        """Images of a batch that is not the rest of an epoch."""
        self._model, self._forward = model, model if forward is None else forward
        self._images, self._targets = images, targets
        self._device = images.device
        self._dtype = forward_dtype(recipe, self._device)
        self._lr: Tensor | None = None
        if self._device.type == "cuda":
            torch.backends.cudnn.deterministic = True
            self._lr = torch.tensor(recipe.lr, device=self._device)
        # updates in another order of operations round otherwise: the CPU's are those of before
        self._optimizer = torch.optim.SGD(
            model.parameters(),
            recipe.lr if self._lr is None else self._lr,
            recipe.momentum,
            weight_decay=recipe.weight_decay,
            fused=None if self._lr is None else True,
        )

    def set_lr(self, lr: float) -> None:
        """Set the learning rate of the steps that follow."""
        if self._lr is None:
            self._optimizer.param_groups[0]["lr"] = lr
        else:
            self._lr.fill_(lr)

    def __call__(self, draw: Draw) -> Tensor:
        """Do one step; return the mean loss (), on the device."""
        batch, targets = self._images[draw.chosen], self._targets[draw.chosen]
        if draw.change is not None:
            batch = draw.change.apply(batch)
        # another size would be compiled anew: the rest of an epoch runs as it is
        run = self._forward if len(draw.chosen) == self.whole else self._model
        with in_dtype(self._dtype, self._device):
            logits = run(batch)
        if self._dtype != torch.float32:
            logits = logits.float()
        loss = F.cross_entropy(logits, targets)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        return loss.detach()
