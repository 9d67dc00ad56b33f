"""DataDAM: dataset distillation with attention matching.

Source: Sajedi et al., ICCV 2023 (arXiv 2310.00093). Deviations: docs/adr/0002-datadam.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nasproxy._random import named_generator
from nasproxy.config import Augmentation, DataDAMConfig
from nasproxy.data.augment import sample_change
from nasproxy.data.dataset import Dataset, LabelledImages
from nasproxy.distill.attention import class_means, spatial_attention
from nasproxy.distill.base import DistillState, DistillStep, Preparation, Synthetic, decay
from nasproxy.errors import ConfigError
from nasproxy.executors.engine import Engine
from nasproxy.models.base import FeatureNet, Features, initialize
from nasproxy.models.builder import BUILDER
from nasproxy.models.family import build_model, check_architecture
from nasproxy.progress import Watch
from nasproxy.proxy.coreset import SELECTIONS, check_ipc
from nasproxy.training.evaluate import fitting_batch

REAL_CHUNK = 64
"""Real images that go through the network at a time, on a CPU."""
CONTRAST = 0.5
"""Largest change of contrast, beside the geometric changes that fit the data set."""
SCALE_MEMORY = 0.98
"""Share of the running mean of gradients' sizes that an iteration leaves."""


class Attended(NamedTuple):
    """What networks attend to in N images: maps (N, H * W), one a layer; embedding (N, D).

    Or the means of it over the images of each of K classes, K then standing for N.
    """

    maps: list[Tensor]
    embedding: Tensor

    def by_class(self, labels: Tensor, num_classes: int) -> Attended:
        """Return the means over the images of each class, by their labels (N,) int64."""
        maps = [class_means(layer, labels, num_classes) for layer in self.maps]
        return Attended(maps, class_means(self.embedding, labels, num_classes))


class DataDAM:
    """Moves synthetic images until fresh random networks attend to them as to real ones."""

    def __init__(self, config: DataDAMConfig) -> None:
        self.config = config

    def prepare(
        self,
        dataset: Dataset,
        folder: Path,
        *,
        workers: int | None,
        engine: Engine = None,
        watch: Watch,
    ) -> Preparation:
        """Only check: random networks need no training.

        Raises:
            ConfigError: a network does not fit the images, or has no maps to attend to.
        """
        for architecture in self.config.networks:
            check_architecture(architecture, dataset.image_shape)
            if (family := architecture["family"]) in ("mlp", BUILDER):
                raise ConfigError(
                    f"family {family} has no attention maps to match: leave out --networks, or "
                    "name a space of convolutional networks"
                )
        return Preparation()

    def start(self, dataset: Dataset) -> DistillState:
        """Choose the initial images: real ones, k-centers, or Gaussian noise.

        Raises:
            ConfigError: `ipc` is larger than the smallest class.
        """
        config = self.config
        check_ipc(dataset, config.ipc)
        select = SELECTIONS["kcenter" if config.init == "kcenter" else "random"]
        chosen = select(dataset.train, config.ipc, config.seed)
        images = chosen.images.clone()
        if config.init == "noise":
            generator = named_generator(config.seed, "datadam", "noise")
            images = torch.randn(images.shape, generator=generator).to(images)
        extra = {"gradient_scale": images.new_tensor(0.0)} if config.networks else {}
        return DistillState(images, chosen.labels, torch.zeros_like(images), extra=extra)

    def steps(self, dataset: Dataset, state: DistillState) -> Iterator[DistillStep]:
        """Yield one SGD update of the images after another.

        Chance depends on the seed and the iteration alone, so a run that goes on from a saved
        state ends in the same images, bit for bit, as one that was never stopped.
        """
        config = self.config
        augmentation = (
            dataset.augmentation.replace(contrast=CONTRAST) if config.augment else Augmentation()
        )
        networks = _Networks(self.config.networks or (self.architecture(),), dataset)
        pool = _ClassPool(dataset.train, dataset.num_classes)
        known: dict[int, Attended] = {}  # of real images, by class, where networks recur
        for iteration in range(state.iteration, config.iterations):
            draw = iteration % config.pool if config.pool else iteration
            generator = named_generator(config.seed, "datadam", draw)
            network = networks.draw(generator)
            real = pool.sample(config.real_batch, generator)
            change = sample_change(augmentation, 1, generator, state.images.device)
            images = state.images.detach().requires_grad_(True)
            seen = known.get(draw)
            if seen is None:
                with torch.no_grad():
                    whole = self._see(
                        network, real.images if change is None else change.apply(real.images)
                    )
                seen = whole.by_class(real.labels, dataset.num_classes)
                if config.pool:
                    known[draw] = seen
            made = self.attend(network.features(images if change is None else change.apply(images)))
            attention, embedding = self.losses(
                seen, made.by_class(state.labels, dataset.num_classes)
            )
            loss = config.loss_scale * (attention + config.task_balance * embedding)  # eq. 4
            (gradient,) = torch.autograd.grad(loss, images)
            extra = state.extra
            if config.networks:
                gradient, scale = level(gradient, extra["gradient_scale"])
                extra = {"gradient_scale": scale}
            velocity = config.image_momentum * state.velocity + gradient
            lr = config.image_lr * decay(config.schedule, iteration, config.iterations)
            state = replace(
                state,
                images=(images - lr * velocity).detach(),
                velocity=velocity,
                iteration=iteration + 1,
                extra=extra,
            )
            # read together, as reading waits for the device
            terms: list[float] = torch.stack([attention, embedding]).tolist()
            yield DistillStep(state, dict(zip(("attention", "embedding"), terms, strict=True)))

    def synthetic(self, state: DistillState) -> Synthetic:
        """Return the images."""
        return Synthetic(state.images)

    def attend(self, features: Features) -> Attended:
        """Return what is matched: attention maps of all layers but the last, and the embedding."""
        maps = [spatial_attention(layer, self.config.p) for layer in features.layers[:-1]]
        return Attended(maps, features.embedding)

    def _see(self, network: FeatureNet, images: Tensor) -> Attended:
        """Attend to real images (M, C, H, W), a few at a time, which saves memory and its traffic.

        BatchNorm in training mode wants to see them all at once.
        """
        whole = any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
        size = len(images) if whole else _chunk(images)
        parts = [self.attend(network.features(chunk)) for chunk in images.split(size)]
        maps = [torch.cat(layer) for layer in zip(*(part.maps for part in parts), strict=True)]
        return Attended(maps, torch.cat([part.embedding for part in parts]))

    def losses(self, seen: Attended, made: Attended) -> tuple[Tensor, Tensor]:
        """Return the two terms of the loss, each () and not negative.

        Spatial attention matching (eq. 2), over all layers l but the last:
        sum over classes and l of || mean z_l(real) - mean z_l(synthetic) ||^2.
        Embedding matching (eq. 3), an MMD with a linear kernel:
        sum over classes of || mean e(real) - mean e(synthetic) ||^2.

        Args:
            seen: in the real images, by class.
            made: in the synthetic images, by class.
        """
        attention = made.embedding.new_zeros(())
        for real, synthetic in zip(seen.maps, made.maps, strict=True):
            attention = attention + (real - synthetic).square().sum()
        return attention, (seen.embedding - made.embedding).square().sum()

    def architecture(self) -> dict[str, str | int]:
        """Return the network that the images are matched on."""
        config = self.config
        return {
            "family": "convnet",
            "depth": config.depth,
            "width": config.width,
            "norm": config.norm,
            "activation": config.activation,
            "pooling": config.pooling,
        }


class _Networks:
    """Draws networks, fresh and never trained (section 3.1), of the architectures in turn."""

    def __init__(self, architectures: Sequence[dict[str, Any]], dataset: Dataset) -> None:
        self._architectures = architectures
        self._dataset = dataset
        self._built: dict[int, FeatureNet] = {}

    def draw(self, generator: torch.Generator) -> FeatureNet:
        """Return a network in training mode whose weights are drawn anew."""
        count, index = len(self._architectures), 0
        if count > 1:
            index = int(torch.randint(count, (), generator=generator))
        if index not in self._built:
            self._built[index] = self._build(self._architectures[index])
        network = self._built[index]
        initialize(network, generator)
        return network

    def _build(self, architecture: dict[str, Any]) -> FeatureNet:
        dataset = self._dataset
        network = build_model(architecture, dataset.image_shape, dataset.num_classes)
        assert isinstance(network, FeatureNet)
        return network.to(dataset.train.labels.device).requires_grad_(False).train()


def level(gradient: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Give a gradient the size that gradients have had on average, so no network outweighs others.

    Args:
        gradient: (N, C, H, W).
        scale: () geometric running mean of gradients' root mean squares; 0 at first.

    Returns:
        The gradient, and the running mean with it.
    """
    size = gradient.square().mean().sqrt()
    none = size == 0  # a network that sees no difference
    mean = torch.where(scale == 0, size, scale**SCALE_MEMORY * size ** (1 - SCALE_MEMORY))
    # no branches: they would wait for a GPU
    return gradient * torch.where(none, 1, mean / size), torch.where(none, scale, mean)


def _chunk(images: Tensor) -> int:
    """Return how many of the images (M, C, H, W) go through a network at a time."""
    return REAL_CHUNK if images.device.type == "cpu" else max(REAL_CHUNK, fitting_batch(images))


class _ClassPool:
    """Draws real images class by class, as many as a class has where it has too few."""

    def __init__(self, data: LabelledImages, num_classes: int) -> None:
        self._data = data
        labels = data.labels.cpu()
        self._members = [(labels == label).nonzero().flatten() for label in range(num_classes)]

    def sample(self, per_class: int, generator: torch.Generator) -> LabelledImages:
        """Draw up to `per_class` images of each class, without replacement."""
        chosen = [
            members[torch.randperm(len(members), generator=generator)[:per_class]]
            for members in self._members
        ]
        return self._data.take(torch.cat(chosen))
