"""A study from its plan to its table; every row is a file, so the same call goes on."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from nasproxy._environment import versions
from nasproxy._files import read_json, write_bytes, write_json
from nasproxy._timing import Stopwatch
from nasproxy.data.dataset import Dataset, LabelledImages, load_dataset
from nasproxy.distill.session import distill
from nasproxy.errors import ArtifactError, ConfigError, unknown_name
from nasproxy.models.family import named_architecture
from nasproxy.progress import Progress, Watch, unwatched
from nasproxy.proxy.coreset import make_baseline
from nasproxy.proxy.dataset import ProxyDataset
from nasproxy.proxy.grid import draw_grid, save_grid
from nasproxy.proxy.store import MANIFEST_FILE, load_proxy, save_proxy
from nasproxy.run_folder import command_line, locked
from nasproxy.scores.cost import measure_cost
from nasproxy.study.mlps import MlpTraining, train_all
from nasproxy.study.page import render_html
from nasproxy.study.plan import FULL, Row, StudyConfig, plan
from nasproxy.study.record import read_rows
from nasproxy.study.summary import summarize
from nasproxy.study.table import render_markdown
from nasproxy.verify.quality import evaluate_proxy

STUDY_FILE = "study.json"


def study(
    config: StudyConfig,
    folder: Path | str,
    *,
    rows: tuple[str, ...] = (),
    given: dict[str, Path] | None = None,
    dataset: Dataset | None = None,
    workers: int | None = None,
    watch: Watch = unwatched,
) -> dict[str, Any]:
    """Run the rows that are missing and write `study.json`, `study.md` and `study.html`.

    Args:
        config: what to run.
        folder: of the study; proxies go to `proxies/`, rows to `rows/`.
        rows: patterns of the rows to run now; those of earlier calls stay in the table.
        given: folders of proxies made before, by name, instead of making them.
        dataset: already loaded and on its device; None: as the configuration says.
        workers: processes; None: one a core on a CPU.
        watch: told of progress.

    Returns:
        The content of `study.json`.

    Raises:
        ConfigError: a row or proxy is unknown.
        ArtifactError: the folder holds another study.
    """
    folder, given = Path(folder), given or {}
    if unknown := set(given) - set(config.proxies()):
        raise ConfigError(unknown_name("proxy", min(unknown), config.proxies()) + " (--proxy)")
    wanted = plan(config, rows)
    dataset = dataset or load_dataset(config.data, watch=watch)
    with locked(folder):
        _check_folder(folder, config, dataset)
        lab = _Lab(dataset, config, folder, given=given, workers=workers, watch=watch)
        for done, row in enumerate(wanted):
            watch(Progress("study", done, len(wanted), row.name))
            lab.run(row)
        watch(Progress("study", len(wanted), len(wanted)))
        summary = summarize(config, lab.finished(), lab.proxies())
        summary = {**read_json(folder / STUDY_FILE), **summary}
        write_json(folder / STUDY_FILE, summary)
        write_bytes(folder / "study.md", render_markdown(summary).encode())
        write_bytes(folder / "study.html", render_html(summary, folder).encode())
    return summary


def _check_folder(folder: Path, config: StudyConfig, dataset: Dataset) -> None:
    path = folder / STUDY_FILE
    record = {
        "config": {**config.to_dict(), "data": config.data.identity()},
        "data_sha256": dataset.fingerprint,
    }
    if path.exists():
        before = read_json(path)
        found = {name: before.get(name) for name in record} if isinstance(before, dict) else {}
        if found != json.loads(json.dumps(record)):
            raise ArtifactError(
                f"{folder} holds another study (other settings or data): choose another --out"
            )
        return
    write_json(path, {**record, "command": command_line(), "versions": versions()})


class _Lab:
    """Makes proxies and runs rows, each once."""

    def __init__(
        self,
        dataset: Dataset,
        config: StudyConfig,
        folder: Path,
        *,
        given: dict[str, Path],
        workers: int | None,
        watch: Watch,
    ) -> None:
        self._dataset, self._config, self._folder = dataset, config, folder
        self._given, self._workers, self._watch = given, workers, watch

    def run(self, row: Row) -> None:
        """Run a row that has no result yet."""
        path = self._path(row)
        if path.exists():
            return
        proxy = self._open(row.data)
        clock = Stopwatch(self._dataset.train.labels.device)
        result = self._search(proxy, row) if row.kind == "search" else self._train(proxy, row)
        record = {"row": row.name, "command": command_line(), "versions": versions(), **result}
        write_json(path, {**record, "wall_seconds": clock.seconds()})

    def finished(self) -> dict[str, dict[str, Any]]:
        """Read the results there are, by the name of the row."""
        return read_rows({row: self._path(row) for row in plan(self._config)})

    def proxies(self) -> dict[str, dict[str, Any]]:
        """Describe the proxies there are."""
        found = {}
        for name in self._config.proxies():
            folder = self._proxy_folder(name)
            if (folder / MANIFEST_FILE).exists():
                manifest = load_proxy(folder).manifest
                here = Path(os.path.relpath(folder, self._folder))
                pictures = ("start.png", "final.png")
                found[name] = {
                    "folder": here.as_posix(),
                    "seconds": manifest.seconds,
                    "sha256": manifest.tensors_sha256,
                    "made_on": manifest.versions.get("hardware", ""),
                    "pictures": [(here / p).as_posix() for p in pictures if (folder / p).exists()],
                }
        return found

    def _path(self, row: Row) -> Path:
        return self._folder / "rows" / f"{row.name.replace('/', '--')}.json"

    def _proxy_folder(self, name: str) -> Path:
        return self._given.get(name, self._folder / "proxies" / name)

    def _open(self, name: str) -> ProxyDataset:
        """Load a proxy, making it the first time."""
        folder, seed = self._proxy_folder(name), self._config.seed
        if name == FULL:
            return make_baseline(self._dataset, FULL, None, seed)
        if not (folder / MANIFEST_FILE).exists():
            self._make(name, folder)
        proxy = load_proxy(folder, self._dataset.train.labels.device)
        proxy.check_fits(self._dataset)
        return proxy

    def _make(self, name: str, folder: Path) -> None:
        config = self._config
        common = {"ipc": config.ipc, "seed": config.seed}
        if name.startswith("datadam-"):
            datadam = config.datadam.replace(init=name.removeprefix("datadam-"), **common)
            distill(self._dataset, datadam, folder, watch=self._watch)
        elif name == "pad":
            pad = config.pad.replace(**common)
            distill(self._dataset, pad, folder, workers=self._workers, watch=self._watch)
        else:
            kind, _, labels = name.partition("-")
            proxy = make_baseline(
                self._dataset, kind, config.ipc, config.seed, labels=labels or "hard"
            )
            save_proxy(proxy, folder)
            picture = draw_grid(proxy.images, proxy.labels, proxy.normalization)
            save_grid(picture, folder / "final.png")

    def _train(self, proxy: ProxyDataset, row: Row) -> dict[str, Any]:
        config = self._config
        seeds = config.full_seeds if row.data == FULL else config.seeds
        architecture = named_architecture(row.model, row.width)
        result = evaluate_proxy(
            self._dataset,
            proxy,
            architecture,
            row.recipe,
            seeds=config.cross_seeds if row.kind == "cross" else seeds,
            seed=config.seed,
            workers=self._workers,
            curve=row.kind == "study",
            watch=self._watch,
        )
        cost = measure_cost(architecture, self._dataset.image_shape, self._dataset.num_classes)
        return {**result, "num_params": cost.num_params, "multiply_adds": cost.num_flops // 2}

    def _search(self, proxy: ProxyDataset, row: Row) -> dict[str, Any]:
        work = MlpTraining(
            data=proxy.training_set(),
            own=LabelledImages(proxy.images, proxy.labels),
            validation=self._dataset.validation,
            recipe=row.recipe,
            seed=self._config.seed,
        )
        networks = train_all(
            work, self._config.search_seeds, workers=self._workers, watch=self._watch
        )
        return {
            "recipe": row.recipe.to_dict(),
            "num_seeds": self._config.search_seeds,
            "networks": networks,
            "seconds": sum(sum(network["seconds"]) for network in networks),
        }
