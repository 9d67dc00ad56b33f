from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

RUN = {
    "schema_version": 1,
    "command": "nasproxy search --dataset tiny",
    "config": {
        "data": {"dataset": "tiny"},
        "search": {"space": "small", "recipe": {"epochs": 60}},
        "verify": {"recipe": {"epochs": 3}},
    },
    "proxy": {
        "kind": "synthetic", "method": "datadam", "ipc": 10, "seconds": 30.0,
        "class_names": ["cat", "dog"],
    },
    "space": {"size": 8, "feasible": 8},
    "seed": 0,
    "versions": {"python": "3.11", "hardware": "2 cores"},
    "verify_workers": 2,
    "verify_versions": {"python": "3.11", "hardware": "2 cores"},
}  # fmt: skip


def architecture(trial):
    return {"family": "mlp", "width": 2**trial, "norm": "none" if trial % 2 else "batch"}


def candidate(trial, proxy, *, params=None, status="complete"):
    params = 100 * (trial + 1) if params is None else params
    return {
        "trial": trial,
        "architecture": architecture(trial),
        "proxy_accuracy": proxy,
        "num_params": params,
        "num_flops": 1000 - trial,
        "seconds": 4.0,
        "status": status,
        "origin": "uniform",
        "reason": None,
    }


def verification(trial, selected_by, full, *, test=None, seconds=40.0):
    return {
        "trial": trial,
        "architecture": architecture(trial),
        "selected_by": selected_by,
        "full_accuracy": full,
        "test_accuracy": full if test is None else test,
        "seconds": seconds,
        "errors": [],
    }


class RunFolder:
    """A run folder worked by hand; its records can be changed before they are written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run = copy.deepcopy(RUN)
        self.candidates = [candidate(t, p) for t, p in enumerate([0.2, 0.6, 0.4, 0.8, 0.1])]
        self.verification = [
            verification(0, ["uniform"], [0.50, 0.54], seconds=40),
            verification(1, ["uniform"], [0.90, 0.92], test=[0.80, 0.82], seconds=60),
            verification(2, ["top", "uniform"], [0.70, 0.72], test=[0.96, 0.98], seconds=80),
            verification(3, ["top"], [0.88, 0.90], seconds=50),
        ]
        self.timings = {"search_seconds": 20.0, "verify_seconds": 115.0}

    def write(self) -> Path:
        self.path.mkdir(exist_ok=True)
        for name in ("run", "candidates", "verification", "timings"):
            content = getattr(self, name)
            if content is not None:
                (self.path / f"{name}.json").write_text(json.dumps(content))
        return self.path


def ranked(folder, fulls, proxies=None, params=None):
    """Fill a folder with as many uniformly verified candidates, of two seeds each."""
    proxies = proxies or [(rank + 1) / 100 for rank in range(len(fulls))]
    params = params or [7 * (rank * 5 % 11) for rank in range(len(fulls))]
    folder.candidates = [
        candidate(trial, proxy, params=size)
        for trial, (proxy, size) in enumerate(zip(proxies, params, strict=True))
    ]
    folder.verification = [
        verification(trial, ["uniform"], [full, full]) for trial, full in enumerate(fulls)
    ]


def judged_by(folder, metric, class_counts=(90, 10)):
    """Give the records every score; the others rank the candidates against accuracy."""
    folder.run["config"]["search"]["metric"] = metric
    folder.run["data"] = {"validation_class_counts": list(class_counts)}
    for entry in folder.candidates:
        accuracy = entry["proxy_accuracy"]
        balanced = None if accuracy is None else 1 - accuracy
        auc = None if accuracy is None or len(class_counts) != 2 else 0.9 - accuracy / 2
        scores = {"accuracy": accuracy, "balanced_accuracy": balanced, "auc": auc}
        entry.update({f"proxy_{name}": score for name, score in scores.items()})
        entry["proxy_score"] = scores[metric]
    for entry in folder.verification:
        for split in ("full", "test"):
            values = entry[f"{split}_accuracy"]
            entry[f"{split}_balanced_accuracy"] = [1 - value for value in values]
            two = len(class_counts) == 2
            entry[f"{split}_auc"] = [0.9 - value / 2 if two else None for value in values]


@pytest.fixture
def run_folder(tmp_path):
    return RunFolder(tmp_path / "run")


@pytest.fixture
def judge_by():
    return judged_by


@pytest.fixture
def make_candidate():
    return candidate


@pytest.fixture
def make_verification():
    return verification


@pytest.fixture
def fill_ranked():
    return ranked
