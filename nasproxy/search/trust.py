"""Short trainings on all data against the proxy's, before a search: what a trust check needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nasproxy.config import SearchConfig, TrustConfig
from nasproxy.data.dataset import Dataset
from nasproxy.executors.choose import choose_executor
from nasproxy.executors.engine import Engine
from nasproxy.progress import Watch, unwatched
from nasproxy.proxy.dataset import ProxyDataset
from nasproxy.proxy.store import seal
from nasproxy.run_folder import TRUST_FILE, locked
from nasproxy.search.objective import check_metric
from nasproxy.search.rehearsal import (
    KINDS,
    Diary,
    Job,
    begin_record,
    build_rehearsal,
    describe_rehearsal,
    earlier_record,
)

NAMES = {"full": "full data", "proxy": "proxy"}


def train_for_trust(
    dataset: Dataset,
    proxy: ProxyDataset,
    search: SearchConfig,
    trust: TrustConfig,
    folder: Path,
    *,
    workers: int | None = None,
    engine: Engine = None,
    watch: Watch = unwatched,
) -> dict[str, Any]:
    """Train architectures spread over the space on both; the same call goes on where it stopped.

    Args:
        dataset: whose training split is trained on and whose validation split scores.
        proxy: that is to be trusted.
        search: the search's settings: space, metric, recipe, seeds.
        trust: how many architectures, and how long they train.
        folder: of the run; `trust.json` is kept there, and the seconds in `timings.json`.
        workers: as for `search`.
        engine: as for `search`.
        watch: told after every training.

    Returns:
        The content of `trust.json`: settings and, by architecture, the scores.

    Raises:
        ArtifactError: the proxy is of other data, or the folder cannot be written.
        ConfigError: the metric is not defined on this data set.
        SearchSpaceError: the space is unknown or does not fit the data.
    """
    check_metric(search.metric, dataset)
    proxy.check_fits(dataset)
    proxy = seal(proxy)
    settings = describe_rehearsal(dataset, proxy, search, trust)
    work = build_rehearsal(dataset, proxy, search, trust)
    executor = choose_executor(work, dataset.train.labels.device, workers, engine)
    with locked(folder):
        record = begin_record(dataset, search, trust, settings=settings, folder=folder, watch=watch)
        known = earlier_record(folder / TRUST_FILE, record)
        jobs = [
            Job((kind, entry["architecture"]), kind, entry, f"on the {NAMES[kind]}")
            for kind in KINDS
            for entry in known["architectures"]
        ]
        diary = Diary(folder, TRUST_FILE, "trust", known, len(jobs))
        diary.work_off(jobs, executor, before=0, anew=known is record, watch=watch)
    return known
