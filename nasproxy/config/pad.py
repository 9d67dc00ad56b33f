"""The settings of PAD."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from nasproxy.config.base import Config
from nasproxy.errors import ConfigError, unknown_name


class PADConfig(Config):
    """PAD's hyper-parameters (arXiv 2408.03360, section 4.1), with those of the DATM that it is.

    Trajectories are counted in snapshots: one an epoch in the paper, one every `snapshot_steps`
    steps where experts learn within a few epochs. Without filters (`filter_samples` false, `alpha`
    0) this is DATM (arXiv 2310.05773), and with hard labels, too, MTT (arXiv 2203.11932).
    """

    method: Literal["pad"] = "pad"
    ipc: int = Field(10, ge=1)
    init: Literal["real", "noise", "kcenter"] = "real"
    """`real`: images that all experts classify correctly."""
    iterations: int = Field(10_000, ge=1)
    experts: int = Field(100, ge=1)
    expert_epochs: int | None = Field(None, ge=1)
    """That each expert is trained for; None: until the last snapshot that can be read."""
    expert_steps: int | None = Field(None, ge=1)
    """That each expert is trained for at least where `expert_epochs` says nothing."""
    expert_lr: float = Field(0.01, gt=0)
    expert_schedule: Literal["constant", "cosine"] = "constant"
    """Of that learning rate; `cosine` ends at zero, so that the experts' labels are their best."""
    expert_momentum: float = Field(0.0, ge=0, lt=1)
    expert_batch: int = Field(256, ge=1)
    snapshot_steps: int | None = Field(None, ge=1)
    """Steps of an expert from one snapshot to the next; None: one epoch."""
    filter_samples: bool = True
    """Experts begin with easy images; hard ones are added, later the easiest dropped (FIEX)."""
    difficulty: Literal["el2n", "gradient", "forgetting"] = "el2n"
    difficulty_networks: int = Field(10, ge=1)
    difficulty_epochs: int = Field(20, ge=1)
    """Epochs of the networks by which images are ranked."""
    easy_fraction: float = Field(0.75, gt=0, le=1)
    """Of each class, that an expert begins with."""
    add_until: int = Field(20, ge=0)
    """Snapshot by which all images have been added, little by little."""
    drop: tuple[tuple[Annotated[int, Field(ge=0)], Annotated[float, Field(ge=0, lt=1)]], ...] = (
        (40, 0.1),
        (60, 0.2),
    )
    """From snapshot s on, the easiest fraction f of each class is left out: pairs (s, f)."""
    alpha: float = Field(0.25, ge=0, lt=1)
    """Fraction of the parameters that is not matched (FIEM); the preset `paper` goes by ipc."""
    mask: Literal["depth", "loss"] = "depth"
    """Which parameters that is: the shallowest, or those that match best."""
    match_distance: int = Field(2, ge=1)
    """Snapshots between a student's start and the expert's parameters that it is to reach (M)."""
    min_start: int = Field(0, ge=0)
    """First snapshot that a student may start from."""
    first_max_start: int = Field(10, ge=1)
    """Students start before this snapshot at first, and in the end before `max_start`."""
    max_start: int = Field(20, ge=1)
    growth_iterations: int | None = Field(None, ge=1)
    """Iterations in which the window of starts grows; None: all."""
    student_steps: int = Field(80, ge=1)
    student_batch: int | None = Field(None, ge=1)
    """Synthetic images per step of a student; None: all."""
    image_lr: float = Field(100.0, gt=0)
    image_momentum: float = Field(0.5, ge=0, lt=1)
    schedule: Literal["constant", "cosine"] = "constant"
    """Of the learning rates of images, labels and step size: `cosine` ends at zero."""
    soft_labels: bool = True
    label_temperature: float = Field(1.0, gt=0)
    """That the experts' mean logits are divided by at the start: more than 1 for softer labels."""
    label_lr: float = Field(2.0, gt=0)
    label_momentum: float = Field(0.9, ge=0, lt=1)
    step_size: float = Field(0.01, gt=0)
    """Learning rate of the students at first; it is learned, too."""
    step_lr: float = Field(1e-5, ge=0)
    """Learning rate of that learning rate; 0 keeps it as it is."""
    clip: float | None = Field(None, gt=0)
    """Longest gradient of an image or label, in running medians of them; None: any length."""
    depth: int = Field(3, ge=1)
    width: int = Field(128, ge=1)
    norm: Literal["none", "batch", "instance", "layer", "group"] = "instance"
    activation: Literal["relu", "leakyrelu", "sigmoid"] = "relu"
    pooling: Literal["none", "max", "avg"] = "avg"
    augment: bool = True
    max_memory_gib: float = Field(4.0, gt=0)
    """For an unrolled training; graphs of steps beyond it are built twice instead."""
    num_checks: int = Field(4, ge=1)
    """Times that the images are compared on the validation split, the last iteration included."""
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _clocks_agree(self) -> Self:
        if not self.min_start < self.first_max_start <= self.max_start:
            raise ValueError(
                "start snapshots must obey min_start < first_max_start <= max_start, got "
                f"{self.min_start}, {self.first_max_start} and {self.max_start} (--max-start)"
            )
        for _, fraction in self.drop:
            if fraction >= self.easy_fraction:
                raise ValueError(
                    f"drop must leave some images: fractions < easy_fraction {self.easy_fraction}, "
                    f"got {fraction}"
                )
        if self.difficulty == "forgetting" and self.difficulty_epochs < 2:
            raise ValueError(
                "difficulty forgetting needs difficulty_epochs >= 2 to see an image forgotten, "
                f"got {self.difficulty_epochs}"
            )
        return self

    @classmethod
    def preset(cls, name: str, **changes: Any) -> Self:
        """Return `paper`'s settings for an `ipc`, or `cpu`'s for two cores; then change some.

        Raises:
            ConfigError: the preset is unknown or a change is out of range.
        """
        if name not in PAD_PRESETS:
            raise ConfigError(unknown_name("preset", name, PAD_PRESETS))
        values = {**PAD_PRESETS[name], **changes}
        if name == "paper" and isinstance(ipc := changes.get("ipc"), int):
            values = {"alpha": paper_alpha(ipc), **values}
        if "max_start" in changes and "first_max_start" not in changes:  # it grows up to that
            first: int = values.get("first_max_start", cls.model_fields["first_max_start"].default)
            values["first_max_start"] = max(1, min(first, changes["max_start"]))
        return cls.parse(values, "distill")


def paper_alpha(ipc: int) -> float:
    """Return the fraction of the parameters that the paper leaves out for CIFAR-10, by ipc.

    Between two sizes of the paper, the smaller one's.
    """
    return max((least, alpha) for least, alpha in PAPER_ALPHAS if least <= max(1, ipc))[1]


PAPER_ALPHAS = ((1, 0.0), (10, 0.25), (500, 0.5), (1000, 0.75))
"""Least ipc and the alpha from there on (section 4.1)."""

PAD_PRESETS: dict[str, dict[str, Any]] = {
    "paper": {"max_memory_gib": 32.0},
    "cpu": {
        "iterations": 800,
        "experts": 4,
        "expert_steps": 420,
        "expert_lr": 0.5,
        "expert_schedule": "cosine",
        "snapshot_steps": 5,
        "difficulty_networks": 2,
        "difficulty_epochs": 1,
        "add_until": 24,
        "match_distance": 5,
        "first_max_start": 20,
        "max_start": 20,
        "student_steps": 8,
        "image_lr": 30.0,
        "image_momentum": 0.9,
        "schedule": "cosine",
        "label_temperature": 3.0,
        "step_size": 0.3,
        "step_lr": 1e-3,
        "clip": 3.0,
        "width": 32,
        "num_checks": 8,
    },
}
