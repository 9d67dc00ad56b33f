"""A run told to optuna-dashboard: facts of every trial, a note, the report's figures, pictures."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nasproxy.errors import ArtifactError
from nasproxy.report.figures.base import Figure
from nasproxy.report.figures.gallery import draw_all
from nasproxy.report.markdown import proxy_name
from nasproxy.report.record import Verified, load_records
from nasproxy.report.session import HTML_FILE
from nasproxy.report.summary import summarize
from nasproxy.report.table import key_figures
from nasproxy.report.wording import count, percent
from nasproxy.run_folder import CANDIDATES_FILE, PROXY_FOLDER, STUDY_FILE, read_records, read_run
from nasproxy.search.inspection import ARTIFACTS_FOLDER, Decoration, decorate
from nasproxy.search.storage import MASK
from nasproxy.training.metric import METRIC_NAMES, METRICS

STUDY_NAME = "search"
"""Of the study in a run's own storage."""
PICTURE_FILE = "final.png"
COPIED = (
    "architecture", "num_params", "num_flops", "latency_ms", "pareto", "seconds", "origin",
    "reason",
)  # fmt: skip


def decorate_study(
    folder: Path | str, *, storage: str | None = None, study_name: str | None = None
) -> dict[str, Any]:
    """Put on a run's study all that a person wants to see there; safe to call again at any time.

    Args:
        folder: of the run; the search may still be running, verification still be missing.
        storage: Optuna storage URL; None: `study.db` in the folder, else the recorded one.
        study_name: in the storage; None: as the search named it.

    Returns:
        `storage`, `study_name`, `study_id` and what the study carries.

    Raises:
        ArtifactError: the run or its study is not there, or is damaged.
    """
    folder = Path(folder)
    records = load_records(folder)
    url, name = locate_study(folder, storage, study_name)
    candidates = read_records(folder, CANDIDATES_FILE, ("trial",))
    summary = summarize(records)
    decoration = Decoration(
        attributes=describe_trials(candidates, records.verified),
        trial_notes={v.candidate.trial: _trial_note(v) for v in records.verified if v.full_scores},
        note=lambda links: render_note(summary, links),
        figures={f"nasproxy-{f.key}": _drawing(f) for f in draw_all(summary, records)},
        files=[folder / PROXY_FOLDER / PICTURE_FILE, folder / HTML_FILE],
    )
    found = decorate(url, name, decoration, folder / ARTIFACTS_FOLDER)
    return {"storage": url, "study_name": name, **found}


def locate_study(folder: Path, storage: str | None, name: str | None) -> tuple[str, str]:
    """Return the storage URL and the name of a run's study.

    Raises:
        ArtifactError: the folder has no study and the run's command names no storage.
    """
    run = read_run(folder)
    words = str(run.get("command", "")).split()  # all that older versions recorded
    study = run["study"] if isinstance(run.get("study"), dict) else {}
    named = name or study.get("name") or _option(words, "--study-name")
    url = storage or study.get("storage")
    if url is None and (folder / STUDY_FILE).is_file():
        return f"sqlite:///{folder / STUDY_FILE}", named or STUDY_NAME
    url = url or _option(words, "--storage")
    if url is not None and f":{MASK}@" in url:
        raise ArtifactError(f"{url}: the password is not recorded, give the URL with --storage")
    if url is None:
        raise ArtifactError(
            f"{folder} has no {STUDY_FILE}: give the storage of its study with --storage"
        )
    return url, named or folder.resolve().name


def describe_trials(
    candidates: Sequence[Mapping[str, Any]], verified: Sequence[Verified]
) -> dict[int, dict[str, Any]]:
    """Return the user attributes of every trial by its number; what is not known is left out."""
    found: dict[int, dict[str, Any]] = {}
    for candidate in candidates:
        seeds = candidate.get("proxy_accuracies") or []
        values = {
            **{name: candidate.get(name) for name in COPIED},
            **{f"proxy_{name}": candidate.get(f"proxy_{name}") for name in METRICS},
            "proxy_accuracy_std": statistics.stdev(seeds) if len(seeds) > 1 else None,
        }
        found[candidate["trial"]] = {k: v for k, v in values.items() if v is not None}
    for one in verified:
        if one.full_scores:
            found[one.candidate.trial].update(_verified_attributes(one))
    return found


def _verified_attributes(one: Verified) -> dict[str, Any]:
    values: dict[str, Any] = {"verified_by": " and ".join(one.selected_by)}
    for metric in METRICS:
        for name, scores in (("verified", one.full[metric]), ("test", one.test[metric])):
            if scores:
                values[f"{name}_{metric}"] = statistics.fmean(scores)
            if len(scores) > 1:
                values[f"{name}_{metric}_std"] = statistics.stdev(scores)
    return values


def _trial_note(one: Verified) -> str:
    lines = [f"**Verified on the full data** (chosen as {' and '.join(one.selected_by)})", ""]
    for split, scores in (("validation", one.full), ("test", one.test)):
        for metric in METRICS:
            if scores[metric]:
                each = ", ".join(percent(score, 2) for score in scores[metric])
                lines.append(f"- {split} {METRIC_NAMES[metric]}, by seed: {each}")
    return "\n".join(lines)


def render_note(summary: Mapping[str, Any], links: Mapping[str, str]) -> str:
    """Write the study's note in Markdown.

    Args:
        summary: the content of `report.json`.
        links: addresses of the attached files by name.
    """
    space = f" of {count(summary['space_size'])}" if summary["space_size"] else ""
    trust = summary.get("trust")
    parts = [
        f"## {_clean(summary['dataset'])}: space {_clean(summary['space'])}",
        f"**{_clean(summary['verdict'])}**",
        f"- Searched: {count(summary['num_candidates'])} architectures{space}, by "
        f"{METRIC_NAMES[summary['metric']]} on validation images"
        f"\n- Trained on: {_clean(proxy_name(dict(summary)))}"
        f"\n- Trust check before the search: {_clean(trust['sentence']) if trust else 'none'}"
        f"\n- Verified on the full data: {count(summary['num_verified'])}; those trials carry "
        "`verified_accuracy`, chosen by validation, never by test",
        _table(key_figures(dict(summary))),
    ]
    if PICTURE_FILE in links:
        parts.append(f"![The proxy: one row a class]({links[PICTURE_FILE]})")
    if HTML_FILE in links:
        parts.append(f"[The whole report]({links[HTML_FILE]})")
    parts.append(f"Made with `{_clean(summary['command'])}`")
    return "\n\n".join(parts)


def _table(rows: Sequence[tuple[str, str, str]]) -> str:
    lines = ["| figure | value | remark |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(map(_clean, row))} |" for row in rows)])


def _drawing(figure: Figure) -> dict[str, Any]:
    """Return a figure that carries its title itself: the dashboard shows no words beside it."""
    layout = {
        **figure.drawing["layout"],
        "title": {"text": figure.title},
        "margin": {"l": 60, "r": 20, "t": 90, "b": 50},
    }
    return {**figure.drawing, "layout": layout}


def _option(words: Sequence[str], name: str) -> str | None:
    """Return an option's value in the words of a command, None where it is not given."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == name and following:
            return following
        if word.startswith(f"{name}="):
            return word.removeprefix(f"{name}=")
    return None


def _clean(text: Any) -> str:
    """Make text of a file harmless in a table of Markdown."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;").replace("`", "'")
