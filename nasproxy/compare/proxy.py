"""The proxies of contestants: loaded, or made once and kept in the folder of the comparison."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nasproxy.compare.contestant import SOFT, kind_of
from nasproxy.config import CompareConfig, ContestantConfig
from nasproxy.data.dataset import Dataset
from nasproxy.errors import ConfigError
from nasproxy.progress import Watch
from nasproxy.proxy.coreset import SELECTIONS, check_ipc, make_baseline
from nasproxy.proxy.dataset import ProxyDataset
from nasproxy.proxy.store import (
    MANIFEST_FILE,
    find_newest_synthetic,
    load_proxy,
    save_proxy,
    seal,
)
from nasproxy.proxy.teacher import TEMPERATURE, teach


class ProxyStock:
    """Opens proxies for one data set.

    Args:
        dataset: that they must fit, on the device to work on.
        config: images per class and root of chance.
        folder: for what is made here: `SELECTION-ipcN-SEED[-soft]`, and `teachers`.
        workers: processes that train teachers; None: what fits the device.
        watch: told of the teachers' training.
    """

    def __init__(
        self,
        dataset: Dataset,
        config: CompareConfig,
        folder: Path,
        *,
        workers: int | None,
        watch: Watch,
    ) -> None:
        self._dataset, self._config, self._folder = dataset, config, folder
        self._workers, self._watch = workers, watch

    def check(self, contestant: ContestantConfig) -> None:
        """Find out before anything is trained whether the proxies can be had.

        Raises:
            ArtifactError: the proxy is damaged or of other data.
            ConfigError: there are too few images a class, or no synthetic proxy is found.
        """
        if kind_of(contestant) == "score":
            return
        if contestant.source in (*SELECTIONS, SOFT, "early", "reduced"):
            check_ipc(self._dataset, contestant.ipc or self._config.ipc)
        elif contestant.source != "full":
            self._given(contestant)

    def open(self, contestant: ContestantConfig, draw: int) -> ProxyDataset:
        """Return a sealed proxy; the first draw is what `nasproxy proxy make` makes.

        Raises:
            ArtifactError: a proxy is damaged or of other data.
            EvaluationError: a teacher's training failed.
        """
        seed = self._config.seed + draw
        if contestant.source == "full":
            proxy, stem = seal(make_baseline(self._dataset, "full", None, seed)), "full"
        elif contestant.source in (*SELECTIONS, SOFT):
            kind, ipc = contestant.source.partition("-")[0], contestant.ipc or self._config.ipc
            stem = f"{kind}-ipc{ipc}-{seed}"
            proxy = self._made(stem) or self._keep(
                make_baseline(self._dataset, kind, ipc, seed), stem
            )
        else:
            proxy = self._given(contestant)
            stem = f"given-{proxy.manifest.tensors_sha256[:12]}"
        labels = contestant.labels or ("soft" if contestant.source == SOFT else None)
        if labels == "hard":
            return replace(proxy, soft_labels=None)
        if labels == "teacher" or (labels == "soft" and proxy.soft_labels is None):
            stem = f"{stem}-soft-t{TEMPERATURE:g}"
            return self._made(stem) or self._teach(proxy, stem)
        return proxy

    def _given(self, contestant: ContestantConfig) -> ProxyDataset:
        """Load the folder of a contestant; of `synthetic`, the newest that fits."""
        folder: Path | None = Path(contestant.source)
        if contestant.source == "synthetic":
            places = [self._folder.parent.parent, Path("runs")]
            folder = find_newest_synthetic(places, self._dataset, contestant.ipc)
        if folder is None:
            raise ConfigError(
                f"no synthetic proxy of {self._dataset.config.dataset} was found beside --out or "
                "under runs/: make one with `nasproxy distill`, or name its folder, as in "
                "datadam=DIR (--proxies)"
            )
        proxy = load_proxy(folder, self._dataset.train.labels.device)
        proxy.check_fits(self._dataset)
        if contestant.ipc not in (None, proxy.manifest.ipc):
            raise ConfigError(
                f"{folder} has {proxy.manifest.ipc} images per class, not {contestant.ipc}: leave "
                "ipc out, or name another folder (--proxies)"
            )
        return proxy

    def _made(self, stem: str) -> ProxyDataset | None:
        """Load what was made by an earlier call."""
        folder = self._folder / stem
        if not (folder / MANIFEST_FILE).exists():
            return None
        proxy = load_proxy(folder, self._dataset.train.labels.device)
        proxy.check_fits(self._dataset)
        return proxy

    def _keep(self, proxy: ProxyDataset, stem: str) -> ProxyDataset:
        return save_proxy(proxy, self._folder / stem)

    def _teach(self, proxy: ProxyDataset, stem: str) -> ProxyDataset:
        """Label a proxy by teachers, which all proxies here share; each counts their cost."""
        teaching = teach(
            self._dataset,
            proxy.images,
            experts=self._folder / "teachers",
            num_teachers=None,
            epochs=None,
            temperature=TEMPERATURE,
            seed=self._config.seed,
            workers=self._workers,
            watch=self._watch,
        )
        manifest = proxy.manifest.replace(
            seconds=proxy.manifest.seconds + teaching.seconds,
            config={**proxy.manifest.config, "labels": "soft", "teachers": teaching.record},
            tensors_sha256="",
        )
        taught = replace(proxy, manifest=manifest, soft_labels=teaching.soft_labels)
        return self._keep(taught, stem)
