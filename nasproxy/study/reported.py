"""What the study reported, as text: its protocol is not ours in every row, so it is only shown.

Source: "Dataset Distillation: A Data-Efficient Learning Framework", course report, University of
Toronto, 2024.
"""

from __future__ import annotations

from nasproxy.study.plan import Row

MNIST: dict[tuple[str, str, str], str] = {
    ("full", "convnet-3", "study"): "~99%, 255 s on an RTX 4090, 48.4 M multiply-adds",
    ("datadam-real", "convnet-3", "study"): "~80%, converged in 15 epochs",
    ("datadam-real", "alexnet", "cross"): "~80%",
    ("pad", "convnet-3", "study"): "~87%, converged in 7 epochs",
    ("full", "", "search"): "1607.3 s",
    ("datadam-real", "", "search"): "2.8 s, same best",
}
MHIST: dict[tuple[str, str, str], str] = {
    ("full", "convnet-7", "study"): ("~75% (of MHIST), 466 s on an RTX 4090, 2.64 G multiply-adds"),
    ("datadam-real", "convnet-7", "study"): "~60% (of MHIST)",
    ("datadam-real", "alexnet", "cross"): "poor (of MHIST)",
    ("datadam-real", "resnet18", "cross"): "poor (of MHIST)",
}


def reported(dataset: str, row: Row) -> str:
    """Return what the study says of a row, empty where it says nothing."""
    table = MNIST if dataset == "mnist" else MHIST if dataset.startswith("mhist") else {}
    return table.get((row.data, row.model, row.kind), "")
