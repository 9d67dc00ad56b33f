"""The settings of a search."""

from __future__ import annotations

from typing import Final, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from nasproxy.config.base import Config
from nasproxy.config.recipe import SEARCH_RECIPE, Recipe

METRIC_OBJECTIVE: Final = "accuracy"
"""How the metric is called among the objectives, whichever it is."""
COST_FIELDS = {"params": "num_params", "flops": "num_flops", "latency": "latency_ms"}
"""What an architecture may be wanted small in, and the field of a candidate that has it."""
LIMITS = ("max_params", "max_flops", "max_latency_ms")
"""The settings that limit an architecture."""

Objective = Literal["accuracy", "balanced_accuracy", "auc", "params", "flops", "latency"]


class SearchConfig(Config):
    """How the space is searched."""

    space: str = "convnet"
    metric: Literal["accuracy", "balanced_accuracy", "auc"] = "accuracy"
    """What candidates are ranked by; `auc` takes exactly two classes."""
    objectives: tuple[Objective, ...] = (METRIC_OBJECTIVE,)
    """The metric, as `accuracy` or by its name, then what shall be small beside it."""
    max_params: int | None = Field(None, ge=1)
    """Trainable parameters of an architecture, at most; None: any number."""
    max_flops: int | None = Field(None, ge=1)
    """Of one image's forward pass, a multiply-add counted as two."""
    max_latency_ms: float | None = Field(None, gt=0)
    """Milliseconds of one image's forward pass on this device, on one thread."""
    trials: int = Field(60, ge=1)
    sampler: Literal["tpe", "random", "grid", "gp", "nsga2"] = "tpe"
    pruner: Literal["none", "median", "halving"] = "none"
    uniform_trials: int | None = Field(None, ge=0)
    """Trials drawn uniformly before the sampler learns; None: a third, at least ten."""
    lag: int = Field(8, ge=1)
    """Trials unfinished when a learning sampler proposes the next: best twice the workers."""
    seeds: int = Field(1, ge=1)
    """Trainings per candidate, averaged."""
    recipe: Recipe = SEARCH_RECIPE
    labels: Literal["kept", "hard"] = "kept"
    """`hard`: a proxy's soft labels, where it has any, are left aside."""
    seed: int = Field(0, ge=0)

    @field_validator("objectives")
    @classmethod
    def _begin_with_the_metric(
        cls, objectives: tuple[Objective, ...], info: ValidationInfo
    ) -> tuple[Objective, ...]:
        """Write the metric in one way, so that two ways of asking are one search."""
        metric = str(info.data.get("metric", METRIC_OBJECTIVE))
        first, costs = objectives[:1], objectives[1:]
        known = first in ((METRIC_OBJECTIVE,), (metric,)) and set(costs) <= set(COST_FIELDS)
        if not known or len(set(costs)) < len(costs):
            names = METRIC_OBJECTIVE if metric == METRIC_OBJECTIVE else f"accuracy or {metric}"
            raise ValueError(
                f"must be {names} (the metric) and after it any of {', '.join(COST_FIELDS)}, each "
                f"once, got {','.join(objectives) or 'none'} (--objective)"
            )
        return (METRIC_OBJECTIVE, *costs)

    @model_validator(mode="after")
    def _prune_by_one_value(self) -> Self:
        if self.costs and self.pruner != "none":
            raise ValueError(
                f"pruner must be none where there are several objectives, got {self.pruner!r} with "
                f"{','.join(self.objectives)} (--pruner, --objective)"
            )
        return self

    @property
    def costs(self) -> tuple[str, ...]:
        """Return what shall be small beside the metric: keys of COST_FIELDS."""
        return tuple(self.objectives[1:])

    @property
    def limits(self) -> dict[str, float]:
        """Return the limits that are set, by setting."""
        values = {name: getattr(self, name) for name in LIMITS}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def needs_latency(self) -> bool:
        """Say whether the search depends on how fast this very device is."""
        return self.max_latency_ms is not None or "latency" in self.costs

    def num_uniform(self) -> int:
        """Return how many trials are drawn uniformly before the sampler learns."""
        return max(10, self.trials // 3) if self.uniform_trials is None else self.uniform_trials
