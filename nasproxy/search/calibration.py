"""The recipe of a search, chosen before it on the architectures of the trust check.

Successive halving over architectures: all recipes on the first half of them; the search's own and
the better half of the others on the rest, too. Each recipe is judged by how well it ranks them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nasproxy._files import write_json
from nasproxy.config import Augmentation, RecipeChange, SearchConfig, TrustConfig
from nasproxy.data.dataset import Dataset
from nasproxy.executors.base import Executor, ReportTo
from nasproxy.executors.choose import choose_executor
from nasproxy.executors.engine import Engine
from nasproxy.models.family import Architecture
from nasproxy.progress import Watch, unwatched
from nasproxy.proxy.dataset import ProxyDataset
from nasproxy.proxy.store import seal
from nasproxy.run_folder import CALIBRATION_FILE, TRUST_FILE, locked
from nasproxy.search.halving import MARGIN, Agreement, agreement, better_half, choose
from nasproxy.search.objective import CandidateResult, ProxyObjective, candidate_data, check_metric
from nasproxy.search.rehearsal import (
    MIN_TO_RANK,
    Diary,
    Job,
    begin_record,
    build_rehearsal,
    describe_rehearsal,
    earlier_record,
)
from nasproxy.training.metric import mean_score

STAGE = "calibration"
Record = dict[str, Any]


@dataclass(frozen=True)
class Tryout:
    """Trains on the proxy by one of several recipes, or shortly on all data.

    Picklable work for any executor; a payload is the place of a recipe, None for all data, and an
    architecture.
    """

    proxies: tuple[ProxyObjective, ...]
    full: ProxyObjective

    def __call__(
        self, payload: tuple[int | None, Architecture], report: ReportTo
    ) -> CandidateResult:
        """Return the result of one architecture."""
        place, architecture = payload
        return (self.full if place is None else self.proxies[place])(architecture, report)


def calibrate(
    dataset: Dataset,
    proxy: ProxyDataset,
    search: SearchConfig,
    trust: TrustConfig,
    folder: Path,
    *,
    workers: int | None = None,
    engine: Engine = None,
    watch: Watch = unwatched,
) -> Record:
    """Choose a recipe; the same call goes on where it stopped.

    Its trainings are those of the trust check, too: with the recipe that was chosen they are
    written to `trust.json`, so that none is done twice.

    Args:
        dataset: whose training split is trained on and whose validation split scores.
        proxy: to be searched on.
        search: the search's settings; its recipe is the first that is tried.
        trust: which other recipes, how many architectures, and how long they train on all data.
        folder: of the run; `calibration.json` is kept there, and the seconds in `timings.json`.
        workers: as for `search`.
        engine: as for `search`.
        watch: told after every training.

    Returns:
        The content of `calibration.json`: what each recipe gave, and the place of the chosen one.

    Raises:
        ArtifactError: the proxy is of other data, or the folder cannot be written.
        ConfigError: the metric is not defined on this data set.
        SearchSpaceError: the space is unknown or does not fit the data.
    """
    check_metric(search.metric, dataset)
    proxy.check_fits(dataset)
    proxy = seal(proxy)
    options = list_options(proxy, search, trust)
    configs = [option.applied(search) for option in options]
    settings = {
        **describe_rehearsal(dataset, proxy, search, trust),
        "options": [option.changes() for option in options],
    }
    executor = choose_executor(
        _build_tryout(dataset, proxy, configs, trust),
        dataset.train.labels.device,
        workers,
        engine,
    )
    with locked(folder):
        record = begin_record(dataset, search, trust, settings=settings, folder=folder, watch=watch)
        known = earlier_record(folder / CALIBRATION_FILE, record)
        _halve(known, executor, folder, anew=known is record, watch=watch)
        chosen = configs[known["chosen"]]
        known["recipe"], known["labels"] = chosen.recipe.to_dict(), chosen.labels
        write_json(folder / CALIBRATION_FILE, known)
        write_json(
            folder / TRUST_FILE, _as_trust(known, describe_rehearsal(dataset, proxy, chosen, trust))
        )
    return known


def list_options(
    proxy: ProxyDataset, search: SearchConfig, trust: TrustConfig
) -> list[RecipeChange]:
    """Return the changes that make a difference here, the search's own recipe first."""
    options, seen = [], []
    for option in (RecipeChange(), *trust.recipes):
        config = option.applied(search)
        recipe = config.recipe.to_dict()
        if proxy.manifest.augmentation == Augmentation():
            recipe["augmentation"] = "none"
        what = (recipe, config.labels if proxy.soft_labels is not None else "kept")
        if what not in seen:
            seen.append(what)
            options.append(option)
    return options


def _build_tryout(
    dataset: Dataset, proxy: ProxyDataset, configs: Sequence[SearchConfig], trust: TrustConfig
) -> Tryout:
    own = build_rehearsal(dataset, proxy, configs[0], trust)
    proxies = tuple(
        replace(own.proxy, data=candidate_data(proxy, config), recipe=config.recipe)
        for config in configs
    )
    return Tryout(proxies, own.full)


def _halve(record: Record, executor: Executor, folder: Path, *, anew: bool, watch: Watch) -> None:
    """Train what is missing, rung by rung, and write down what each recipe is worth."""
    entries, num_options = record["architectures"], len(record["settings"]["options"])
    everyone = list(range(num_options))
    half = min(len(entries), max(MIN_TO_RANK, math.ceil(len(entries) / 2)))
    first = _jobs(entries[:half], everyone)
    num_later = (len(entries) - half) * (2 + math.ceil((num_options - 1) / 2))
    diary = Diary(folder, CALIBRATION_FILE, STAGE, record, len(first) + num_later)
    diary.work_off(first, executor, before=0, anew=anew, watch=watch)
    early = _agreements(record, entries[:half], everyone)
    kept = better_half(early)
    later = _jobs(entries[half:], kept)
    diary.work_off(later, executor, before=len(first), anew=False, watch=watch)
    final = _agreements(record, entries, kept)
    record["options"] = [
        {
            "changes": changes,
            "first_rho": early[place].rho,
            "rho": final[place].rho if place in final else None,
            "rank_distance": final[place].rank_distance if place in final else None,
            "p_value": final[place].p_value if place in final else None,
        }
        for place, changes in enumerate(record["settings"]["options"])
    ]
    record["num_first"], record["margin"] = half, MARGIN
    record["num_trainings"] = len(first) + len(later)
    record["chosen"] = choose(final)


def _jobs(entries: Sequence[dict[str, Any]], places: Sequence[int]) -> list[Job]:
    """List the trainings of some architectures: on all data, then by each recipe."""
    jobs = [Job((None, entry["architecture"]), "full", entry, "on the full data")
            for entry in entries]  # fmt: skip
    for place in places:
        for entry in entries:
            tried = entry.setdefault("options", {}).setdefault(str(place), {})
            payload = (place, entry["architecture"])
            jobs.append(Job(payload, "proxy", tried, f"on the proxy, recipe {place + 1}"))
    return jobs


def _agreements(
    record: Record, entries: Sequence[dict[str, Any]], places: Sequence[int]
) -> dict[int, Agreement]:
    """Compare each recipe's ranking with full training's, where that did not fail."""
    metric = record["settings"]["metric"]
    trained = [entry for entry in entries if "full_scores" in entry]
    full = [mean_score(entry["full_scores"][metric]) or 0.0 for entry in trained]
    return {
        place: agreement([_proxy_score(entry, place, metric) for entry in trained], full)
        for place in places
    }


def _proxy_score(entry: dict[str, Any], place: int, metric: str) -> float | None:
    scores = entry["options"][str(place)].get("proxy_scores")
    return None if scores is None else mean_score(scores[metric])


def _as_trust(record: Record, settings: dict[str, Any]) -> Record:
    """Return the content of `trust.json` with the recipe that was chosen."""
    return {
        "settings": settings,
        "space": record["space"],
        "architectures": [
            {name: value for name, value in entry.items() if name != "options"}
            | entry["options"][str(record["chosen"])]
            for entry in record["architectures"]
        ],
    }
