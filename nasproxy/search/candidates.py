"""The finished trials of a study, and `candidates.json`, which lists them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from nasproxy._files import write_json
from nasproxy.data.dataset import Dataset
from nasproxy.run_folder import CANDIDATES_FILE
from nasproxy.scores.cost import measure_cost
from nasproxy.search.pareto import mark_front
from nasproxy.search.study import ArchitectureStudy
from nasproxy.training.metric import METRICS, mean_score, score_text

STATUS = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
}
MIN_PAUSE_SECONDS = 1.0
PAUSE_PER_WRITE = 20.0
"""The file grows with every trial: writing it may take a twentieth of the time, no more."""


class CandidateList:
    """What became of a study's trials, in the order of their numbers.

    The file follows the study a little later: whoever ends in order writes it once more.
    """

    def __init__(self, study: ArchitectureStudy, dataset: Dataset, folder: Path) -> None:
        self._study = study
        self._dataset = dataset
        self._path = folder / CANDIDATES_FILE
        self._entries: dict[int, dict[str, Any]] = {}
        self._num_settled = 0
        self._best: dict[str, Any] | None = None
        self._num_failed = 0
        self._is_new = False
        self._due = 0.0
        self.update()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def entries(self) -> list[dict[str, Any]]:
        """The candidates, as in the file."""
        entries = [self._entries[number] for number in sorted(self._entries)]
        return mark_front(entries, self._study.costs) if self._study.costs else entries

    def update(self) -> None:
        """Take in what has finished since the last call, whoever did it."""
        for trial in self._study.finished(self._num_settled):
            if trial.number not in self._entries:
                self._add(trial)
        while self._num_settled in self._entries:
            self._num_settled += 1

    def is_due(self, *, at_the_end: bool = False) -> bool:
        """Say whether the file lacks something and it is time to write it."""
        return self._is_new and (at_the_end or time.monotonic() >= self._due)

    def write(self) -> None:
        """Write the file.

        Raises:
            ArtifactError: it cannot be written.
        """
        begun = time.monotonic()
        write_json(self._path, self.entries)
        self._is_new = False
        ended = time.monotonic()
        self._due = ended + max(MIN_PAUSE_SECONDS, PAUSE_PER_WRITE * (ended - begun))

    def message(self, shown: tuple[str, ...]) -> str:
        """Word the best candidate yet by some metrics, and how many have failed."""
        if self._best is None:
            return f"{self._num_failed} failed"
        scores = {name: self._best[f"proxy_{name}"] for name in shown}
        text = f"best {score_text(scores, shown)} (trial {self._best['trial']})"
        return text + (f", {self._num_failed} failed" if self._num_failed else "")

    def _add(self, trial: FrozenTrial) -> None:
        entry = self._entries[trial.number] = self._describe(trial)
        self._is_new = True
        self._num_failed += entry["status"] == "failed"
        if entry["status"] == "complete":  # of equals the first
            self._best = max(
                (one for one in (self._best, entry) if one),
                key=lambda one: (one["proxy_score"], -one["trial"]),
            )

    def _describe(self, trial: FrozenTrial) -> dict[str, Any]:
        attributes = trial.user_attrs
        architecture = self._study.space.architecture(trial.params)
        if "num_params" not in attributes:  # killed between proposing and counting
            data = self._dataset
            cost = measure_cost(architecture, data.image_shape, data.num_classes)
            attributes = {**attributes, **cost._asdict()}
        return {
            "trial": trial.number,
            "architecture": architecture,
            **_scores(trial, self._study.metric),
            "num_params": attributes["num_params"],
            "num_flops": attributes["num_flops"],
            **{name: attributes[name] for name in ("latency_ms",) if name in attributes},
            "seconds": attributes.get("seconds"),
            "status": STATUS[trial.state],
            "origin": attributes["origin"],
            "reason": attributes.get("reason"),
        }


def _scores(trial: FrozenTrial, metric: str) -> dict[str, Any]:
    """Return what a trial is worth; of one given up early only the metric's last value is known."""
    value = trial.values[0] if trial.values else None
    seeds = trial.user_attrs.get("proxy_scores", {})
    means = {name: mean_score(values) for name, values in seeds.items()}
    means[metric] = value
    older = trial.user_attrs.get("proxy_accuracies", [])  # of studies that knew accuracy alone
    return {
        "proxy_score": value,
        **{f"proxy_{name}": means.get(name) for name in METRICS},
        "proxy_accuracies": seeds.get("accuracy", older),
    }
