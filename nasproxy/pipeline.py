"""The stages in a row: distill, search, verify, report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from nasproxy.config import DistillConfig, RunConfig
from nasproxy.data.dataset import Dataset, load_dataset
from nasproxy.distill.session import distill
from nasproxy.errors import ConfigError, unknown_name
from nasproxy.progress import Watch, unwatched
from nasproxy.proxy.coreset import SELECTIONS, make_baseline
from nasproxy.proxy.dataset import ProxyDataset
from nasproxy.proxy.store import MANIFEST_FILE, find_newest_synthetic, load_proxy
from nasproxy.report.session import report
from nasproxy.run_folder import PROXY_FOLDER
from nasproxy.search.objective import check_metric
from nasproxy.search.session import search
from nasproxy.verify.session import verify

PROXY_CHOICES = ("synthetic", *SELECTIONS, "full")


def open_proxy(
    choice: str,
    dataset: Dataset,
    folder: Path,
    config: DistillConfig,
    *,
    ipc: int | None = None,
    workers: int | None = None,
    watch: Watch = unwatched,
) -> ProxyDataset:
    """Turn the user's `--proxy` into a proxy.

    `synthetic` is the run's own, else the newest that fits the data set beside the run or under
    `runs/`, else one is distilled into the run's folder. A path is that proxy. Any other name is
    a baseline of real images.

    Args:
        choice: a name from `PROXY_CHOICES`, or the folder of a proxy.
        dataset: that the proxy has to fit.
        folder: of the run.
        config: of the distillation, should there be one; its seed is the baselines', too.
        ipc: images per class; None: any for `synthetic`, the configuration's for the others.
        workers: processes of a distillation that trains networks; None: what fits the device.
        watch: told of the distillation's progress.

    Raises:
        ConfigError: the choice is neither a name nor a proxy.
        ArtifactError: the proxy is damaged or of other data.
    """
    device = dataset.train.labels.device
    if choice == "synthetic":
        own = folder / PROXY_FOLDER
        if not (own / MANIFEST_FILE).exists():
            found = find_newest_synthetic([folder.parent, Path("runs")], dataset, ipc)
            if found is None:
                wanted = config if ipc is None else config.replace(ipc=ipc)
                return distill(dataset, wanted, own, workers=workers, watch=watch)
            own = found
        return _load(own, dataset, device)
    if choice in PROXY_CHOICES:
        return make_baseline(dataset, choice, ipc or config.ipc, config.seed)
    if Path(choice).is_dir():
        return _load(Path(choice), dataset, device)
    raise ConfigError(unknown_name("proxy", choice, PROXY_CHOICES) + ", or the folder of a proxy")


def run(
    config: RunConfig,
    folder: Path | str,
    *,
    device: torch.device | None = None,
    workers: int | None = None,
    watch: Watch = unwatched,
) -> dict[str, Any]:
    """Distill, search, verify and report; the same call goes on where it stopped.

    Args:
        config: of all stages.
        folder: of the run.
        device: to train on; None: the CPU.
        workers: processes; None: one a core on a CPU.
        watch: told of every stage's progress.

    Returns:
        The content of `report.json`.

    Raises:
        ConfigError: more uniformly drawn candidates are to be verified than there will be trials.
    """
    folder = Path(folder)
    wanted = config.verify.uniform
    if wanted > config.search.trials:
        raise ConfigError(
            f"uniform must be <= trials, got {wanted} of {config.search.trials} (--uniform)"
        )
    searching = config.search
    if wanted > searching.num_uniform():  # what is verified as a uniform sample is drawn as one
        searching = searching.replace(uniform_trials=wanted)
    dataset = load_dataset(config.data, watch=watch).to(device or torch.device("cpu"))
    check_metric(config.search.metric, dataset)
    if config.proxy == "synthetic":  # its own, by its own settings, never one found elsewhere
        proxy = distill(
            dataset, config.distill, folder / PROXY_FOLDER, workers=workers, watch=watch
        )
    else:
        proxy = open_proxy(
            config.proxy, dataset, folder, config.distill, workers=workers, watch=watch
        )
    search(dataset, proxy, searching, folder, workers=workers, watch=watch)
    verify(dataset, folder, config.verify, workers=workers, at_most=True, watch=watch)
    return report(folder)


def _load(folder: Path, dataset: Dataset, device: torch.device) -> ProxyDataset:
    proxy = load_proxy(folder, device)
    proxy.check_fits(dataset)
    return proxy
