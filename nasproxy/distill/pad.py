"""PAD: dataset distillation that prioritizes alignment, on matched training trajectories.

Source: Li et al., 2024 (arXiv 2408.03360), on DATM, Guo et al., ICLR 2024 (arXiv 2310.05773), on
MTT, Cazenavette et al., CVPR 2022 (arXiv 2203.11932). Deviations: docs/adr/0005-pad.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nasproxy._random import named_generator
from nasproxy.config import Augmentation, PADConfig
from nasproxy.data.augment import sample_change
from nasproxy.data.dataset import Dataset, LabelledImages
from nasproxy.distill.base import DistillState, DistillStep, Preparation, Synthetic
from nasproxy.distill.matching import kept_by_depth, kept_by_loss, normalized_distance
from nasproxy.distill.trajectory import (
    Segment,
    Trajectories,
    gather_trajectories,
    plan_experts,
)
from nasproxy.distill.unroll import Batch, Student, graph_bytes, saved_bytes, unroll
from nasproxy.distill.update import move, num_skipped, skip
from nasproxy.executors.engine import Engine
from nasproxy.models.family import build_model, check_architecture
from nasproxy.progress import Progress, Watch
from nasproxy.proxy.coreset import check_ipc, choose_k_center, choose_random
from nasproxy.training.expert import Expert, outputs

POOL_PER_IMAGE = 10
"""Real images that are looked at for each initial image wanted."""


class PAD:
    """Moves images, soft labels and a step size until students follow the experts."""

    def __init__(self, config: PADConfig) -> None:
        self.config = config
        self._trajectories: Trajectories | None = None
        self._max_graphs = config.student_steps

    def architecture(self) -> dict[str, Any]:
        """Return the network of experts and students."""
        config = self.config
        return {
            "family": "convnet",
            "depth": config.depth,
            "width": config.width,
            "norm": config.norm,
            "activation": config.activation,
            "pooling": config.pooling,
        }

    def prepare(
        self,
        dataset: Dataset,
        folder: Path,
        *,
        workers: int | None,
        engine: Engine = None,
        watch: Watch,
    ) -> Preparation:
        """Train the experts that the folder lacks, and say what the steps will need.

        Raises:
            ArtifactError: experts there are damaged, or of other data, size or model.
            ConfigError: `ipc` is larger than the smallest class, the network does not fit the
                images, or more snapshots are wanted than trained.
            EvaluationError: an expert diverged.
        """
        config = self.config
        check_ipc(dataset, config.ipc)
        check_architecture(self.architecture(), dataset.image_shape)
        plan_experts(config, self.architecture(), dataset)  # what is wrong with it is said first
        memory = self._measure_memory(dataset)
        mebibytes = f"{memory / 2**20:,.0f} MiB of memory"
        said = f"unrolling {config.student_steps} steps takes about {mebibytes}"
        watch(Progress("experts", 0, config.experts, said))
        self._trajectories, seconds = gather_trajectories(
            dataset,
            config,
            self.architecture(),
            folder,
            workers=workers,
            engine=engine,
            watch=watch,
        )
        experts = self._trajectories.experts
        accuracies = [expert.record.validation_accuracy for expert in experts]
        said = f"{min(accuracies):.1%} to {max(accuracies):.1%} on validation images"
        watch(Progress("experts", len(experts), len(experts), said))
        hashes = [expert.record.tensors_sha256 for expert in experts]
        trained = {
            "seconds": seconds,
            "validation_accuracy": accuracies,
            "num_parameters": experts[0].record.num_parameters,
            "sha256": hashes,
        }
        record = {"trained_experts": trained, "memory_bytes": memory}
        return Preparation(seconds, {"experts_sha256": hashes}, record)

    def start(self, dataset: Dataset) -> DistillState:
        """Choose the initial images, and as their labels the experts' mean logits."""
        config = self.config
        experts = self._prepared().experts
        if config.init == "kcenter":
            chosen = choose_k_center(dataset.train, config.ipc, config.seed)
        else:
            chosen = choose_correct(dataset, experts, config.ipc, config.seed)
        images = chosen.images.clone()
        logits = outputs(experts, images).mean(0) / config.label_temperature
        if config.init == "noise":
            generator = named_generator(config.seed, "pad", "noise")
            images = torch.randn(images.shape, generator=generator).to(images)
        extra = {
            "step_size": images.new_tensor(config.step_size),
            "step_velocity": images.new_tensor(0.0),
            "failures": torch.zeros((), dtype=torch.int64, device=images.device),
        }
        if config.soft_labels:
            extra |= {"label_logits": logits, "label_velocity": torch.zeros_like(logits)}
        if config.clip is not None:
            extra |= {
                f"{name}_scale": images.new_tensor(0.0) for name in ("images", "label_logits")
            }
        return DistillState(images, chosen.labels, torch.zeros_like(images), extra=extra)

    def steps(self, dataset: Dataset, state: DistillState) -> Iterator[DistillStep]:
        """Yield one SGD update of images, labels and step size after another.

        Chance depends on the seed and the iteration alone, so a run that goes on from a saved
        state ends in the same images, bit for bit, as one that was never stopped. A step without
        finite gradients moves nothing.

        Raises:
            EvaluationError: there were `update.MAX_FAILURES` of them in a row.
        """
        trajectories = self._prepared()
        student = self._build_student(dataset)
        for iteration in range(state.iteration, self.config.iterations):
            generator = named_generator(self.config.seed, "pad", iteration)
            segment = trajectories.draw(iteration, generator, state.images.device)
            learned = self._learned(state)
            batches = self._batches(dataset, state.labels, learned, generator)
            loss = self._loss(student, segment, learned, batches)
            gradients = torch.autograd.grad(loss, list(learned.values()))
            if all(bool(tensor.isfinite().all()) for tensor in (loss, *gradients)):
                state = move(state, dict(zip(learned, gradients, strict=True)), self.config)
                losses = {"matching": loss.item()}
            else:
                state, losses = skip(state), {}
            if skipped := num_skipped(state):
                losses["skipped"] = float(skipped)
            state = replace(state, iteration=iteration + 1)
            yield DistillStep(state, {**losses, "step_size": state.extra["step_size"].item()})

    def synthetic(self, state: DistillState) -> Synthetic:
        """Return images, labels as probabilities, and step size."""
        logits = state.extra.get("label_logits")
        soft_labels = None if logits is None else logits.softmax(1)
        return Synthetic(state.images, soft_labels, state.extra["step_size"])

    def _learned(self, state: DistillState) -> dict[str, Tensor]:
        """Return what the steps move, as leaves: images, step size and the labels' logits."""
        learned = {"images": state.images, "step_size": state.extra["step_size"]}
        if self.config.soft_labels:
            learned["label_logits"] = state.extra["label_logits"]
        return {name: tensor.detach().requires_grad_() for name, tensor in learned.items()}

    def _batches(
        self,
        dataset: Dataset,
        labels: Tensor,
        learned: dict[str, Tensor],
        generator: torch.Generator,
        num_steps: int | None = None,
    ) -> list[Batch]:
        """Draw a student's batches, in which each image is changed in a way of its own."""
        config = self.config
        augmentation = dataset.augmentation if config.augment else Augmentation()
        if config.soft_labels:
            targets = learned["label_logits"].softmax(1)
        else:
            targets = F.one_hot(labels, dataset.num_classes).to(learned["images"].dtype)
        images, count = learned["images"], len(labels)
        size = min(config.student_batch or count, count)
        batches = []
        for _ in range(num_steps or config.student_steps):
            chosen = torch.arange(count)
            if size < count:
                chosen = torch.randperm(count, generator=generator)[:size]
            chosen = chosen.to(images.device)
            change = sample_change(augmentation, size, generator, images.device)
            batch = images[chosen] if change is None else change.apply(images[chosen])
            batches.append((batch, targets[chosen]))
        return batches

    def _loss(
        self, student: Student, segment: Segment, learned: dict[str, Tensor], batches: list[Batch]
    ) -> Tensor:
        """Unroll a student and return how far from the expert it ends, ()."""
        start, target = segment
        end = unroll(student, start, learned["step_size"], batches, max_graphs=self._max_graphs)
        if self.config.mask == "loss":
            kept = kept_by_loss(end, target, self.config.alpha)
        else:
            kept = kept_by_depth(len(end), self.config.alpha).to(end.device)
        return normalized_distance(end, start, target, kept)

    def _prepared(self) -> Trajectories:
        assert self._trajectories is not None, "prepare comes before start and steps"
        return self._trajectories

    def _build_student(self, dataset: Dataset) -> Student:
        network = build_model(self.architecture(), dataset.image_shape, dataset.num_classes)
        return Student(network.to(dataset.train.labels.device))

    def _measure_memory(self, dataset: Dataset) -> int:
        """Choose how many steps' graphs are kept, and estimate the peak of an iteration, bytes."""
        config = self.config
        student = self._build_student(dataset)
        images = dataset.train.images[:1].expand(config.ipc * dataset.num_classes, -1, -1, -1)
        learned = {
            "images": images.contiguous().requires_grad_(),
            "label_logits": images.new_zeros(len(images), dataset.num_classes),
        }
        labels = torch.zeros(len(images), dtype=torch.int64, device=images.device)
        batch: list[Batch] = []

        def draw() -> object:
            batch[:] = self._batches(dataset, labels, learned, named_generator(0), num_steps=1)
            return batch

        drawing = saved_bytes(draw)
        ((seen, targets),) = batch
        pixels = 4 * seen.numel()
        graph = graph_bytes(student, (seen.detach(), targets))
        # of each step: what changed its images, the images, their gradient; parameters and theirs
        every = config.student_steps * (drawing + 2 * pixels + 8 * student.num_parameters)
        limit = config.max_memory_gib * 2**30
        self._max_graphs = config.student_steps
        if every + _graphs(config.student_steps, config.student_steps) * graph > limit:
            self._max_graphs = max(0, int((limit - every) / graph) - _graphs(0, 1))
        return int(every + _graphs(self._max_graphs, config.student_steps) * graph)


def _graphs(kept: int, num_steps: int) -> int:
    """Return how many steps' graphs an unrolled training holds at its peak.

    Differentiating the first of them takes as much again, twice (2026-11-28: of 8 kept ones the
    peak was 10, of none 3); one that was not kept is built again before.
    """
    return kept + 2 + (kept < num_steps)


def choose_correct(dataset: Dataset, experts: list[Expert], ipc: int, seed: int) -> LabelledImages:
    """Return `ipc` random images of each class that all experts classify correctly.

    Where there are too few among those looked at, images that most of them do fill up.

    Source: DATM (arXiv 2310.05773), section 3.3.
    """
    pool = choose_random(dataset.train, POOL_PER_IMAGE * ipc, seed)
    votes = (outputs(experts, pool.images).argmax(2) == pool.labels).sum(0).cpu()
    labels = pool.labels.cpu()
    chosen = []
    for label in range(dataset.num_classes):
        members = (labels == label).nonzero().flatten()
        order = votes[members].argsort(descending=True, stable=True)
        chosen.append(members[order[:ipc]])
    return pool.take(torch.cat(chosen))
