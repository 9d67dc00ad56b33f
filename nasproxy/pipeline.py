"""The stages in a row: distill, check the proxy, search, verify, report."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch

from nasproxy._files import write_json
from nasproxy.config import (
    DistillConfig,
    RecipeChange,
    RunConfig,
    SearchConfig,
    TrustConfig,
    VerifyConfig,
)
from nasproxy.data.dataset import Dataset, load_dataset
from nasproxy.distill.session import distill
from nasproxy.errors import ConfigError, DataWarning, EvaluationError, nearest, shown
from nasproxy.executors.engine import Engine
from nasproxy.progress import Progress, Watch, unwatched
from nasproxy.proxy.coreset import SELECTIONS, make_baseline
from nasproxy.proxy.dataset import ProxyDataset
from nasproxy.proxy.store import MANIFEST_FILE, find_newest_synthetic, load_proxy
from nasproxy.report.agreement import TrustJudgement, judge_trust
from nasproxy.report.calibration import Calibration, load_calibration, parse_calibration
from nasproxy.report.session import report
from nasproxy.report.trust import load_trust, parse_trust
from nasproxy.run_folder import CALIBRATION_FILE, PROXY_FOLDER, RUN_FILE, TRUST_FILE, locked
from nasproxy.search.calibration import calibrate
from nasproxy.search.limit import check_goal
from nasproxy.search.objective import check_metric
from nasproxy.search.session import search
from nasproxy.search.space import load_space
from nasproxy.search.trust import train_for_trust
from nasproxy.verify.session import verify

SOFT = "random-soft"
PROXY_CHOICES = ("synthetic", *SELECTIONS, SOFT, "full", "early")
TEACHERS_FOLDER = "teachers"


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
    `runs/`, else one is distilled into the run's folder. A path is that proxy. `early` is the full
    data, for a recipe that stops early. Any other name is a baseline of real images, `random-soft`
    one with the labels of teachers, which are trained into the run's folder first.

    Args:
        choice: a name from `PROXY_CHOICES`, or the folder of a proxy.
        dataset: that the proxy has to fit.
        folder: of the run.
        config: of the distillation, should there be one; its seed is the baselines', too.
        ipc: images per class; None: any for `synthetic`, the configuration's for the others.
        workers: processes that train experts or teachers; None: what fits the device.
        watch: told of the progress of a distillation or of teachers.

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
    if choice == SOFT:
        teachers = folder / TEACHERS_FOLDER
        with locked(teachers):
            return make_baseline(
                dataset, "random", ipc or config.ipc, config.seed,
                labels="soft", experts=teachers, workers=workers, watch=watch,
            )  # fmt: skip
    if choice in PROXY_CHOICES:
        kind = "full" if choice == "early" else choice
        return make_baseline(dataset, kind, ipc or config.ipc, config.seed)
    if Path(choice).is_dir():
        return _load(Path(choice), dataset, device)
    known = ", ".join(PROXY_CHOICES)
    raise ConfigError(
        f"unknown proxy {shown(choice)}: choose from {known}, or the folder of a proxy"
        f"{nearest(choice, PROXY_CHOICES)}"
    )


def choose_recipe(
    dataset: Dataset,
    proxy: ProxyDataset,
    searching: SearchConfig,
    trust: TrustConfig,
    folder: Path,
    *,
    workers: int | None = None,
    engine: Engine = None,
    watch: Watch = unwatched,
) -> tuple[SearchConfig, Calibration | None]:
    """Choose the recipe of a search by how well it ranks the architectures of the trust check.

    To be done before the trust check; of a search that has begun, the choice made then is read.

    Args:
        dataset: that is searched on.
        proxy: to be searched on.
        searching: the settings of the search to come; its recipe is kept unless clearly beaten.
        trust: whether a recipe is chosen at all, and among which.
        folder: of the run; the choice is kept in its `calibration.json`.
        workers: processes; None: one a core on a CPU, this one on a GPU.
        engine: as for `search`.
        watch: told of every training, and what was found.

    Returns:
        The settings of the search with the recipe that was chosen, and what was found; None where
        nothing was: it is turned off, or candidates train on the full data.

    Raises:
        ConfigError: the search began without a choice.
    """
    if not trust.calibrate or proxy.manifest.kind == "full":
        return searching, None
    if (folder / RUN_FILE).exists():
        found = load_calibration(folder)
        if found is None:
            raise ConfigError(
                f"the search in {folder} began without choosing a recipe: leave out --calibrate, "
                "or choose another --out"
            )
    else:
        record = calibrate(
            dataset, proxy, searching, trust, folder, workers=workers, engine=engine, watch=watch
        )
        found = parse_calibration(record, str(folder / CALIBRATION_FILE))
    watch(Progress("calibration", found.num_trainings, found.num_trainings, found.sentence))
    return RecipeChange.parse(found.change).applied(searching), found


def check_trust(
    dataset: Dataset,
    proxy: ProxyDataset,
    searching: SearchConfig,
    trust: TrustConfig,
    folder: Path,
    *,
    workers: int | None = None,
    engine: Engine = None,
    watch: Watch = unwatched,
) -> TrustJudgement | None:
    """Compare how a proxy and short training on all data rank a few architectures.

    To be done before a search; of one that has begun, what was found then is judged again.
    A ranking that cannot be told from chance is warned of.

    Args:
        dataset: that is searched on.
        proxy: to be checked.
        searching: the settings of the search to come.
        trust: how the check is made.
        folder: of the run; the check is kept in its `trust.json`.
        workers: processes; None: one a core on a CPU, this one on a GPU.
        engine: as for `search`.
        watch: told of every training, and what was found.

    Returns:
        What was found; None where nothing was checked: candidates train on the full data without
        stopping early, or the check is turned off, or the search began without one.

    Raises:
        EvaluationError: the ranking cannot be told from chance and the settings require it.
    """
    is_whole = proxy.manifest.kind == "full" and searching.recipe.steps is None
    if trust.architectures == 0 or is_whole:
        return None
    if (folder / RUN_FILE).exists():
        check = load_trust(folder)
        if check is None:
            return None
        judgement = judge_trust(check)
    else:
        record = train_for_trust(
            dataset, proxy, searching, trust, folder, workers=workers, engine=engine, watch=watch
        )
        judgement = judge_trust(parse_trust(record, str(folder / TRUST_FILE)))
        write_json(folder / TRUST_FILE, {**record, **judgement.to_dict()})
    trainings = 2 * judgement.num_architectures
    watch(Progress("trust", trainings, trainings, judgement.sentence))
    if not judgement.told_from_chance:
        if trust.required:
            raise EvaluationError(
                f"{judgement.sentence}: choose another --proxy or a longer training on it "
                "(--epochs, --steps), or leave out --require-trust"
            )
        warnings.warn(judgement.sentence, DataWarning, stacklevel=2)
    return judgement


def run(
    config: RunConfig,
    folder: Path | str,
    *,
    device: torch.device | None = None,
    workers: int | None = None,
    watch: Watch = unwatched,
) -> dict[str, Any]:
    """Distill, check the proxy, search, verify and report; the same call goes on where it stopped.

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
        EvaluationError: the settings require a proxy to be trusted, and it cannot be.
    """
    folder = Path(folder)
    verifying = _verifying(config)
    dataset = load_dataset(config.data, watch=watch).to(device or torch.device("cpu"))
    searching = config.searching(len(dataset.train))
    # what is verified as a uniform sample is drawn as one
    if verifying.uniform > searching.num_uniform():
        searching = searching.replace(uniform_trials=verifying.uniform)
    check_metric(config.search.metric, dataset)
    check_goal(load_space(searching.space), dataset, searching, watch=watch)
    if config.proxy == "synthetic":  # its own, by its own settings, never one found elsewhere
        proxy = distill(
            dataset, config.distill, folder / PROXY_FOLDER, workers=workers, watch=watch
        )
    else:
        proxy = open_proxy(
            config.proxy, dataset, folder, config.distill, workers=workers, watch=watch
        )
    searching, _ = choose_recipe(
        dataset, proxy, searching, config.trust, folder, workers=workers, watch=watch
    )
    check_trust(dataset, proxy, searching, config.trust, folder, workers=workers, watch=watch)
    search(dataset, proxy, searching, folder, workers=workers, watch=watch)
    verify(dataset, folder, verifying, workers=workers, at_most=True, watch=watch)
    return report(folder)


def _verifying(config: RunConfig) -> VerifyConfig:
    """Return how candidates are verified: by default no more uniform ones than there are trials.

    Raises:
        ConfigError: more are asked for.
    """
    verifying, trials = config.verify, config.search.trials
    if verifying.uniform <= trials:
        return verifying
    if "uniform" in verifying.model_fields_set:
        raise ConfigError(
            f"uniform must be <= trials, got {verifying.uniform} of {trials}: lower --uniform, or "
            "raise --trials"
        )
    return verifying.replace(uniform=trials)


def _load(folder: Path, dataset: Dataset, device: torch.device) -> ProxyDataset:
    proxy = load_proxy(folder, device)
    proxy.check_fits(dataset)
    return proxy
