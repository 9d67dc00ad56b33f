"""The settings of a bench: what is measured, how large and how often."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field

from nasproxy.config import Config

Norm = Literal["none", "batch", "instance", "layer", "group"]


class BenchConfig(Config):
    """Sizes of all measurements; the defaults are those of `results/bench-cpu`."""

    dataset: str | None = None
    """None: MNIST, or random images of its size where it is not there."""
    data_dir: str | None = None
    quick: bool = False
    """Sizes that only show that it runs: no figure of such a bench means anything."""
    repeats: int = Field(5, ge=1)
    """Times that everything is measured; the two sides of a ratio take turns."""
    workers: int | None = Field(None, ge=1)
    """Processes; None: one a core on a CPU."""
    seed: int = Field(0, ge=0)
    ipc: int = Field(10, ge=1)
    """Of the proxy that candidates train on, images of random choice."""
    validation_images: int = Field(2000, ge=1)
    gemm_sizes: tuple[int, ...] = (512, 1024, 2048)
    """Sides of the square matrices; the size that is fastest counts."""
    gemm_seconds: float = Field(0.5, gt=0)
    candidates: int = Field(20, ge=1)
    """Architectures of the space `convnet` that are evaluated."""
    epochs: int = Field(30, ge=1)
    """Of each of their trainings, on both sides; a search takes 300."""
    convnets: tuple[tuple[int, int, Norm], ...] = (
        (3, 16, "batch"), (3, 32, "instance"), (3, 64, "none"),
    )  # fmt: skip
    """Depth, width and norm of those trained on full data."""
    full_images: int = Field(5120, ge=2)
    """That are measured; seconds of an epoch over all images follow from them."""
    hidden: tuple[int, ...] = (64, 64)
    """Hidden layers of the study's MLP."""
    study_images: int = Field(10_000, ge=2)
    """That the MLP is measured on."""
    throughput_widths: tuple[int, ...] = (16, 32, 64, 128)
    throughput_images: int = Field(512, ge=2)
    distill_widths: tuple[int, ...] = (32, 128)
    distill_iterations: int = Field(2, ge=1)
    """Of DataDAM, a repeat."""
    real_batch: int = Field(64, ge=1)
    """Real images a class in DataDAM."""
    trials: int = Field(60, ge=3)
    """Of the search by whose trials Optuna and scheduling are timed."""
    scaling_tasks: int = Field(4, ge=1)
    """Trainings a worker, where the number of workers is varied."""
    growth_widths: tuple[int, ...] = (8, 16, 32, 64)
    growth_depths: tuple[int, ...] = (1, 2, 3, 4)
    growth_ipcs: tuple[int, ...] = (1, 5, 10, 50)
    growth_candidates: tuple[int, ...] = (2, 4, 8, 16)
    cost_spaces: tuple[str, ...] = ("convnet", "convnet720")
    """Whose search is priced end to end."""
    cost_networks: int = Field(24, ge=1)
    """Of each of them that are measured."""

    @classmethod
    def make(cls, *, quick: bool = False, **given: Any) -> Self:
        """Return the settings, or those of a smoke test, with some of them given.

        Raises:
            ConfigError: one is out of range.
        """
        return cls.parse({**(QUICK if quick else {}), **given}, "bench")


QUICK: dict[str, Any] = {
    "dataset": "digits",
    "quick": True,
    "repeats": 2,
    "workers": 1,
    "ipc": 2,
    "validation_images": 50,
    "gemm_sizes": [128],
    "gemm_seconds": 0.02,
    "candidates": 2,
    "epochs": 2,
    "convnets": [[1, 4, "batch"]],
    "full_images": 128,
    "study_images": 256,
    "throughput_widths": [4],
    "throughput_images": 64,
    "distill_widths": [4],
    "distill_iterations": 1,
    "real_batch": 4,
    "trials": 4,
    "scaling_tasks": 1,
    "growth_widths": [4, 8],
    "growth_depths": [1, 2],
    "growth_ipcs": [1, 2],
    "growth_candidates": [1, 2],
    "cost_spaces": ["convnet"],
    "cost_networks": 2,
}
