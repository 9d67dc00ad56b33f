"""A study from its plan to its table; every row is a file, so the same call goes on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypedDict

from nasproxy._environment import versions
from nasproxy._files import read_json, write_bytes, write_json
from nasproxy._timing import Stopwatch
from nasproxy.data.dataset import Dataset, LabelledImages, load_dataset
from nasproxy.distill.session import distill
from nasproxy.errors import ArtifactError, ConfigError, unknown_name
from nasproxy.models.family import check_architecture, named_architecture
from nasproxy.progress import Progress, Watch, unwatched
from nasproxy.proxy.coreset import make_baseline
from nasproxy.proxy.dataset import ProxyDataset
from nasproxy.proxy.grid import draw_grid, save_grid
from nasproxy.proxy.store import MANIFEST_FILE, load_manifest, load_proxy, save_proxy, seal
from nasproxy.run_folder import command_line, locked
from nasproxy.scores.cost import measure_cost
from nasproxy.study.check import check_proxies, check_settings
from nasproxy.study.mlps import MlpTraining, train_all
from nasproxy.study.page import render_html
from nasproxy.study.plan import FULL, Row, StudyConfig, plan
from nasproxy.study.record import read_rows
from nasproxy.study.summary import summarize
from nasproxy.study.table import render_markdown
from nasproxy.verify.quality import evaluate_proxy

STUDY_FILE = "study.json"
TEACHERS_FOLDER = "teachers"


class Work(TypedDict):
    """What all that trains is told."""

    workers: int | None
    watch: Watch


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
        ConfigError: a row or proxy is unknown, or a network does not fit the images.
        ArtifactError: the folder holds another study, or rows on other proxies.
    """
    folder, given = Path(folder), given or {}
    if unknown := set(given) - set(config.proxies()):
        raise ConfigError(unknown_name("proxy", min(unknown), config.proxies()) + " (--proxy)")
    wanted = plan(config, rows)
    dataset = dataset or load_dataset(config.data, watch=watch)
    for row in (row for row in wanted if row.model):
        check_architecture(named_architecture(row.model, row.width), dataset.image_shape)
    with locked(folder):
        lab = _Lab(dataset, config, folder, given=given, workers=workers, watch=watch)
        lab.begin(wanted)
        try:
            for done, row in enumerate(wanted):
                watch(Progress("study", done, len(wanted), row.name))
                lab.run(row)
            watch(Progress("study", len(wanted), len(wanted)))
        finally:  # rows that finished are shown, whatever became of the others
            summary = lab.report()
    return summary


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

    def begin(self, wanted: list[Row]) -> None:
        """Write down what is run, once it is known to go with what the folder holds.

        Raises:
            ArtifactError: it does not.
        """
        config, finished = self._config, self.finished()
        before, sha256 = self._record(), self._dataset.fingerprint
        settings = {**config.to_dict(), "data": config.data.identity()}
        if before:
            found = before.get("config")
            found = found if isinstance(found, dict) else {}
            if (found.get("data"), before.get("data_sha256")) != (settings["data"], sha256):
                raise ArtifactError(
                    f"{self._folder} holds another study, of other data: choose another --out"
                )
            check_settings(config, found, finished, self._folder, set(self._given))
        check_proxies(
            config,
            finished,
            {name: self._proxy_folder(name) for name in config.proxies()},
            wanted={row.data for row in wanted if row.name not in finished},
            given=set(self._given),
        )
        made = {"command": command_line(), "versions": versions()}
        record = {**made, **before, "config": settings, "data_sha256": sha256}
        write_json(self._folder / STUDY_FILE, record)

    def report(self) -> dict[str, Any]:
        """Write the pages of all rows that there are, and return what they show."""
        summary = summarize(self._config, self.finished(), self.proxies())
        summary = {**self._record(), **summary}
        write_json(self._folder / STUDY_FILE, summary)
        write_bytes(self._folder / "study.md", render_markdown(summary).encode())
        write_bytes(self._folder / "study.html", render_html(summary, self._folder).encode())
        return summary

    def run(self, row: Row) -> None:
        """Run a row that has no result yet."""
        path = self._path(row)
        if path.exists():
            return
        proxy = self._open(row.data)
        clock = Stopwatch(self._dataset.train.labels.device)
        result = self._search(proxy, row) if row.kind == "search" else self._train(proxy, row)
        record = {
            "row": row.name,
            "command": command_line(),
            "versions": versions(),
            "seed": self._config.seed,
            "proxy_sha256": proxy.manifest.tensors_sha256,
            **result,
        }
        write_json(path, {**record, "wall_seconds": clock.seconds()})

    def finished(self) -> dict[str, dict[str, Any]]:
        """Read the results there are, by the name of the row."""
        return read_rows({row: self._path(row) for row in plan(self._config)})

    def proxies(self) -> dict[str, dict[str, Any]]:
        """Describe the proxies there are, those that an earlier call was given included."""
        known = self._record().get("proxies")
        known = known if isinstance(known, dict) else {}
        found = {name: known[name] for name in self._config.proxies() if name in known}
        for name in self._config.proxies():
            folder = self._proxy_folder(name)
            if (folder / MANIFEST_FILE).exists():
                manifest = load_manifest(folder)
                here = Path(os.path.relpath(folder, self._folder))
                pictures = ("start.png", "final.png")
                found[name] = {
                    "folder": here.as_posix(),
                    "seconds": manifest.seconds,
                    "sha256": manifest.tensors_sha256,
                    "made_on": manifest.versions.get("hardware", ""),
                    "torch": manifest.versions.get("torch", ""),
                    "pictures": [(here / p).as_posix() for p in pictures if (folder / p).exists()],
                }
        return found

    def _record(self) -> dict[str, Any]:
        """Read the study's record, empty where there is none."""
        path = self._folder / STUDY_FILE
        record = read_json(path) if path.exists() else {}
        if not isinstance(record, dict):
            raise ArtifactError(f"{path} does not describe a study: restore or delete it")
        return record

    def _path(self, row: Row) -> Path:
        return self._folder / row.file

    def _proxy_folder(self, name: str) -> Path:
        return self._given.get(name, self._folder / "proxies" / name)

    def _open(self, name: str) -> ProxyDataset:
        """Load a proxy, making it the first time."""
        folder, seed = self._proxy_folder(name), self._config.seed
        if name == FULL:
            return seal(make_baseline(self._dataset, FULL, None, seed))
        if name not in self._given:
            self._make(name, folder)
        proxy = load_proxy(folder, self._dataset.train.labels.device)
        proxy.check_fits(self._dataset)
        return proxy

    def _make(self, name: str, folder: Path) -> None:
        """Make a proxy, or find it made.

        Raises:
            ArtifactError: the one there was distilled with other settings.
        """
        config, dataset = self._config, self._dataset
        common: Work = {"workers": self._workers, "watch": self._watch}
        if (settings := config.distillation(name)) is not None:
            distill(dataset, settings, folder, **common)
        elif not (folder / MANIFEST_FILE).exists():
            kind, _, labels = name.partition("-")
            proxy = make_baseline(
                dataset,
                kind,
                config.ipc,
                config.seed,
                labels=labels or "hard",
                experts=self._folder / TEACHERS_FOLDER,
                **common,
            )
            save_proxy(proxy, folder)
            picture = draw_grid(proxy.images, proxy.labels, proxy.normalization)
            save_grid(picture, folder / "final.png")

    def _train(self, proxy: ProxyDataset, row: Row) -> dict[str, Any]:
        config = self._config
        architecture = named_architecture(row.model, row.width)
        result = evaluate_proxy(
            self._dataset,
            proxy,
            architecture,
            row.recipe,
            seeds=config.num_seeds(row),
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
