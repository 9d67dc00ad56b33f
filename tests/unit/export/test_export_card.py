from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from nasproxy.export.card import SNIPPETS, render_card

FACTS: dict[str, Any] = {
    "input": "pixels", "output": "probabilities", "class_names": ["<b>cat</b>", "dog"],
    "image_shape": [3, 8, 9], "mean": [0.5], "std": [0.25], "architecture": {"family": "mlp"},
    "run": "first", "trial": 7, "metric": "accuracy", "dataset": "folder:pets",
    "data_sha256": "abc", "num_train": 1200, "num_validation": 300, "num_params": 12345,
    "num_flops": 2_000_000, "recipe": {"epochs": 3}, "seed": 0, "seed_index": 0,
    "scores": {"full_accuracy": 0.9, "test_accuracy": 0.875},
    "verification": {"full_accuracy": [0.9, 0.94], "test_accuracy": [0.875, 0.885]},
    "training_seconds": 12.0, "versions": {"torch": "2.6"},
}  # fmt: skip


def card(form: str = "pt2", difference: float | None = 1e-7, **changes: Any) -> str:
    path = Path(f"pets.{form}")
    return render_card({**FACTS, **changes}, path, form=form, sha256="f00", difference=difference)


def test_numbers() -> None:
    text = card()
    assert "| validation accuracy | 90.00% | 90.00%, 94.00% | 92.00% ± 2.83% |" in text
    assert "| test accuracy | 87.50% | 87.50%, 88.50% | 88.00% ± 0.71% |" in text
    assert "12,345 parameters; 2.00M FLOPs" in text
    assert "1,200 training images; 300 validation images" in text
    assert text.startswith("<!-- nasproxy export f00 -->")


def test_text_of_files_is_harmless() -> None:
    assert "&lt;b&gt;cat&lt;/b&gt;, dog" in card()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"verification": None}, "was not verified"),
        ({"difference": None}, "was not read back"),
        ({"class_names": [str(n) for n in range(99)]}, "49, ..."),
    ],
)
def test_what_is_not_known_is_said(changes: dict[str, Any], words: str) -> None:
    assert words in card(**changes)


@pytest.mark.parametrize("form", SNIPPETS)
def test_the_loader_is_python_of_ten_lines(form: str) -> None:
    [code] = re.findall(r"```python\n(.*?)```", card(form), re.DOTALL)
    ast.parse(code)
    assert f"pets.{form}" in code
    assert len([line for line in code.splitlines() if line.strip()]) <= 10


@pytest.mark.parametrize("form", SNIPPETS)
def test_who_normalises_is_said(form: str) -> None:
    assert ("Takes pixels normalised by mean" in card(form)) == (form == "safetensors")
