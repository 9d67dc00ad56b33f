"""The model card: what a file holds, how to use it, and how far to trust it."""

from __future__ import annotations

import html
import json
import re
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nasproxy.report.wording import count, duration, percent, size
from nasproxy.training.metric import METRIC_NAMES, METRICS

MARK = "<!-- nasproxy export"
"""First words of every card, followed by the sha256 of the file it is of."""

SNIPPETS = {
    "onnx": """import json, onnxruntime

session = onnxruntime.InferenceSession({file!r})
names = json.loads(session.get_modelmeta().custom_metadata_map["class_names"])
# pixels: numpy float32 (N, {shape}) in [0, 1]
[probabilities] = session.run(None, {{"pixels": pixels}})
print([names[k] for k in probabilities.argmax(1)])""",
    "pt2": """import json, torch

facts = {{"nasproxy.json": ""}}
network = torch.export.load({file!r}, extra_files=facts).module()  # only files that you trust
names = json.loads(facts["nasproxy.json"])["class_names"]
# pixels: torch float32 (N, {shape}) in [0, 1]
with torch.inference_mode():
    probabilities = network(pixels)
print([names[k] for k in probabilities.argmax(1)])""",
    "safetensors": """{permission}import json, pathlib, torch
from safetensors.torch import load_file
from nasproxy.models.family import build_model
facts = json.loads(pathlib.Path({facts!r}).read_text())
network = build_model(facts["architecture"], facts["image_shape"], len(facts["class_names"])).eval()
network.load_state_dict(load_file({file!r}))
mean, std = (torch.tensor(facts[name]).view(1, -1, 1, 1) for name in ("mean", "std"))
with torch.inference_mode():  # pixels: torch float32 (N, {shape}) in [0, 1]
    probabilities = network((pixels - mean) / std).softmax(1)
print([facts["class_names"][k] for k in probabilities.argmax(1)])""",
}
PERMISSION = """import nasproxy
nasproxy.allow_code()  # imports {builder} from this folder: only code that you trust
"""
"""Before the snippet of a network that a function of the user's makes."""
MAX_CLASSES_NAMED = 50


def render_card(
    facts: dict[str, Any], path: Path, *, form: str, sha256: str, difference: float | None
) -> str:
    """Write a card in Markdown.

    Args:
        facts: as `describe` gathers them.
        path: of the file.
        form: its format.
        sha256: of its content.
        difference: largest difference of a probability when it was read back, or None.
    """
    shape = ", ".join(map(str, facts["image_shape"]))
    parts = [
        f"{MARK} {sha256} -->",
        f"# {_clean(path.name)}",
        f"A network that tells {len(facts['class_names'])} classes of {_clean(facts['dataset'])} "
        f"apart: trial {facts['trial']} of the search {_clean(facts['run'])}, trained on the full "
        "training data by nasproxy.",
        "## Use",
        f"- Input: {facts['input']} - here (N, {shape}). Resize larger images yourself, bilinear "
        "with antialiasing, as in training; divide bytes by 255.",
        f"- Output: {facts['output']}.",
        f"- Classes, in order: {_classes(facts['class_names'])}.",
        f"```python\n{_snippet(form, path, facts)}\n```",
        "## Scores",
        _score_table(facts),
        _on_scores(facts),
        "## Network",
        _bullets(_network(facts, form)),
        "## Training",
        _bullets(_training(facts)),
        "## Limits",
        _bullets(_limits(facts, form, difference)),
    ]
    return "\n\n".join(parts) + "\n"


def _snippet(form: str, path: Path, facts: dict[str, Any]) -> str:
    builder = facts["architecture"].get("builder")
    return SNIPPETS[form].format(
        file=path.name,
        facts=f"{path.name}.json",
        shape=", ".join(map(str, facts["image_shape"])),
        permission="" if builder is None else PERMISSION.format(builder=_clean(builder)),
    )


def _score_table(facts: dict[str, Any]) -> str:
    verified, scores = facts["verification"] or {}, facts["scores"]
    lines = ["| score | these weights | verification, by seed | mean |", "|---|---|---|---|"]
    for split, where in (("full", "validation"), ("test", "test")):
        for metric in METRICS:
            name = f"{split}_{metric}"
            if name in scores:
                seeds = verified.get(name, [])
                row = (f"{where} {METRIC_NAMES[metric]}", percent(scores[name], 2), *_seeds(seeds))
                lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines)


def _seeds(scores: Sequence[float]) -> tuple[str, str]:
    """Render scores one by one, and their mean with the standard deviation."""
    if not scores:
        return "-", "-"
    spread = f" ± {percent(statistics.stdev(scores), 2)}" if len(scores) > 1 else ""
    each = ", ".join(percent(score, 2) for score in scores)
    return each, percent(statistics.fmean(scores), 2) + spread


def _on_scores(facts: dict[str, Any]) -> str:
    if facts["verification"] is None:
        return "This network was not verified: its scores are of one training."
    return (
        f"The choice went by validation {METRIC_NAMES[facts['metric']]}, which therefore flatters "
        "a little; the test split had no say. These weights are of the verification's first seed, "
        "trained again unless the recipe differs."
    )


def _network(facts: dict[str, Any], form: str) -> list[str]:
    # weights alone hold no arithmetic: whoever loads them normalises
    where = "Takes pixels normalised" if form == "safetensors" else "Normalises pixels inside"
    return [
        f"Architecture: `{_clean(json.dumps(facts['architecture']))}`",
        f"{count(facts['num_params'])} parameters; {size(facts['num_flops'])} FLOPs an image "
        "(a multiply-add counts as two)",
        f"{where} by mean {facts['mean']} and standard deviation {facts['std']}",
    ]


def _training(facts: dict[str, Any]) -> list[str]:
    recipe = ", ".join(f"{name} {value}" for name, value in facts["recipe"].items())
    versions = ", ".join(f"{name} {value}" for name, value in facts["versions"].items())
    return [
        f"Data: {_clean(facts['dataset'])}, {facts['num_train']:,} training images; "
        f"{facts['num_validation']:,} validation images were held out; sha256 of the training "
        f"data `{facts['data_sha256']}`",
        f"Recipe: {_clean(recipe)}",
        f"Seed {facts['seed']}, training {facts['seed_index']}; "
        f"{duration(facts['training_seconds'])}",
        f"Made with {_clean(versions)}",
    ]


def _limits(facts: dict[str, Any], form: str, difference: float | None) -> list[str]:
    checked = (
        "The file was not read back: onnxruntime is not installed here."
        if difference is None
        else f"The file was read back: its probabilities differ by at most {difference:.1e} from "
        "the network's."
    )
    limits = [
        "The scores hold for images like those of the data set, prepared alike; nothing is known "
        "of others, and every image is given one of the classes.",
        "The probabilities are a softmax and were not calibrated.",
        checked,
    ]
    if form == "pt2":
        limits.append("Loading a .pt2 file may run code: take it only from whom you trust.")
    return limits


def _classes(names: list[str]) -> str:
    listed = ", ".join(_clean(name) for name in names[:MAX_CLASSES_NAMED])
    return listed + (", ..." if len(names) > MAX_CLASSES_NAMED else "")


def _bullets(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _clean(text: Any) -> str:
    """Make text of a file harmless: one line, no tags."""
    return html.escape(re.sub(r"\s+", " ", str(text)), quote=False)
