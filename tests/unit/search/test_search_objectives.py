"""Studies with several objectives; those with one are in test_search_study.py."""

from __future__ import annotations

import random

import optuna
import pytest

from nasproxy.config import SearchConfig
from nasproxy.errors import ArtifactError, ConfigError
from nasproxy.search.objective import CandidateResult
from nasproxy.search.sampler import check_sampler
from nasproxy.search.space import SearchSpace, point_key
from nasproxy.search.study import ArchitectureStudy
from nasproxy.training.metric import Score

MEMORY = "sqlite:///:memory:"
SPACE = SearchSpace(
    family="convnet",
    parameters={"depth": (1, 2, 3), "width": (4, 8, 16, 32), "norm": ("none", "batch", "layer")},
)
COSTS = ("params", "flops")
LEARNING = ["tpe", "nsga2", pytest.param("gp", marks=pytest.mark.slow)]


def open_study(storage=MEMORY, *, costs=COSTS, **config) -> ArchitectureStudy:
    values = {"trials": 14, "uniform_trials": 6, "objectives": ("accuracy", *costs), **config}
    return ArchitectureStudy(
        SPACE, list(SPACE.points()), SearchConfig(**values), storage=storage, name="s"
    )


def score_of(point) -> float:
    """Better with width at first, worse again with the largest."""
    return point["depth"] / 10 + {4: 0.1, 8: 0.3, 16: 0.5, 32: 0.4}[point["width"]]


def costs_of(point) -> dict[str, int]:
    return {"num_params": 10 * point["width"], "num_flops": point["width"] * point["depth"]}


def tell(study: ArchitectureStudy, number: int) -> None:
    point = study.point(number)
    result = CandidateResult((Score(score_of(point), None, None),), 0.1)
    study.complete(number, result, costs_of(point))


def drive(study: ArchitectureStudy, *, workers=1, seed=0, until=10**9) -> list[dict]:
    chance = random.Random(seed)
    running, told = study.unfinished(), 0
    while told < until:
        while len(running) < workers and study.may_propose():
            running.append(study.propose())
        if not running:
            break
        tell(study, running.pop(chance.randrange(len(running))))
        told += 1
    return [study.point(number) for number in sorted(study.trials)]


@pytest.mark.parametrize("sampler", [*LEARNING, "random", "grid"])
def test_proposals_do_not_depend_on_timing_workers_or_interruptions(sampler, tmp_path):
    alone = drive(open_study(sampler=sampler))
    assert len({point_key(point) for point in alone}) == 14
    assert drive(open_study(sampler=sampler), workers=5, seed=1) == alone
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    drive(open_study(storage, sampler=sampler), workers=4, until=9)
    assert drive(open_study(storage, sampler=sampler), workers=2, seed=3) == alone


@pytest.mark.parametrize("sampler", LEARNING)
def test_a_learning_sampler_goes_by_all_objectives(sampler):
    """It proposes other architectures than for the score alone, from the first one learnt."""
    study = open_study(sampler=sampler)
    both = drive(study)
    for number in (6, 13):
        assert study.trials[number].user_attrs["origin"] == sampler
    alone = drive(open_study(sampler=sampler, costs=()))
    assert both[:6] == alone[:6]
    assert both[6:] != alone[6:]


@pytest.mark.parametrize("sampler", LEARNING)
def test_from_the_first_trial_on(sampler):
    assert len(drive(open_study(sampler=sampler, uniform_trials=0, trials=10))) == 10


def test_what_other_tools_see(tmp_path):
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    study = open_study(storage, sampler="grid")
    drive(study)
    seen = optuna.load_study(storage=storage, study_name="s")
    assert [d.name for d in seen.directions] == ["MAXIMIZE", "MINIMIZE", "MINIMIZE"]
    assert seen.metric_names == ["accuracy", *COSTS]
    for trial in seen.trials:
        assert trial.values == [score_of(trial.params), *costs_of(trial.params).values()]
    assert 0 < len(seen.best_trials) < 14


def test_other_objectives_or_limits_are_another_search(tmp_path):
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    drive(open_study(storage, costs=()), until=2)
    for changed in ({"costs": ("params",)}, {"costs": (), "max_params": 10**6}):
        with pytest.raises(ArtifactError, match="belongs to another search"):
            open_study(storage, **changed)


def test_a_study_from_before_there_were_objectives_goes_on(tmp_path):
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    undisturbed = drive(open_study(costs=(), metric="balanced_accuracy"), until=0)
    older = open_study(storage, costs=(), metric="balanced_accuracy")
    study = optuna.load_study(study_name="s", storage=storage)
    identity = study.user_attrs["identity"]
    for name in ("objectives", "max_params", "max_flops", "max_latency_ms"):
        del identity["search"][name]
    study.set_user_attr("identity", identity)
    again = open_study(storage, costs=(), metric="balanced_accuracy")
    assert undisturbed == [] == list(older.trials)
    again.propose()
    assert again.trials[0].params == open_study(costs=()).proposer.propose([], {})[0]


def test_a_gaussian_process_of_an_older_optuna(monkeypatch):
    config = SearchConfig(sampler="gp", objectives=("accuracy", "params"))
    check_sampler(config)
    monkeypatch.setattr(optuna, "__version__", "4.3.0")
    with pytest.raises(
        ConfigError, match=r"gp takes one objective in Optuna 4\.3\.0, got accuracy,pa"
    ):
        check_sampler(config)
    check_sampler(config.replace(sampler="tpe"))
    check_sampler(config.replace(objectives=["accuracy"]))


def test_a_single_objective_is_named_too(tmp_path):
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    open_study(storage, costs=())
    assert optuna.load_study(storage=storage, study_name="s").metric_names == ["accuracy"]
