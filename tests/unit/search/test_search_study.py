from __future__ import annotations

import random

import optuna
import pytest
import sqlalchemy

from nasproxy.config import SearchConfig
from nasproxy.errors import ArtifactError
from nasproxy.search.objective import CandidateResult
from nasproxy.search.space import SearchSpace, load_space, point_key
from nasproxy.search.study import ArchitectureStudy
from nasproxy.training.metric import Score

MEMORY = "sqlite:///:memory:"
SPACE = SearchSpace(
    family="convnet",
    parameters={"depth": (1, 2, 3), "width": (4, 8, 16, 32), "norm": ("none", "batch", "layer")},
)


SMALL = SearchSpace(
    family="convnet", parameters={"depth": (1, 2), "width": (4, 8, 16), "norm": ("none", "batch")}
)


def worth(point) -> float:
    norms = {"none": 0.0, "batch": 0.2, "layer": 0.1}
    return point["depth"] / 10 + point["width"] / 100 + norms[point["norm"]]


def scored(*accuracies: float, seconds: float = 0.1) -> CandidateResult:
    """A result whose other scores rank the other way round."""
    return CandidateResult(tuple(Score(a, 1 - a, 0.5) for a in accuracies), seconds)


def open_study(storage=MEMORY, *, space=SPACE, name="s", **config) -> ArchitectureStudy:
    config = SearchConfig(**{"trials": 18, "uniform_trials": 9, **config})
    return ArchitectureStudy(space, list(space.points()), config, storage=storage, name=name)


def tell(study: ArchitectureStudy, number: int, failing=()) -> None:
    if number in failing:
        study.fail(number, "because")
    else:
        study.complete(number, scored(worth(study.point(number))))


def drive(study, *, workers=1, seed=0, failing=(), until=10**9) -> list[dict]:
    """Run a study as an executor with so many workers would, ending in random order."""
    chance = random.Random(seed)
    running, told = study.unfinished(), 0
    while told < until:
        while len(running) < workers and study.may_propose():
            running.append(study.propose())
        if not running:
            break
        tell(study, running.pop(chance.randrange(len(running))), failing)
        told += 1
    return [study.point(number) for number in sorted(study.trials)]


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid"])
def test_no_architecture_twice_and_an_end_when_all_are_tried(sampler):
    study = open_study(space=SMALL, sampler=sampler, trials=99, uniform_trials=4)
    points = drive(study)
    assert len(points) == 12 == study.num_trials
    assert {point_key(p) for p in points} == {point_key(p) for p in SMALL.points()}
    assert not study.may_propose()
    assert [trial.number for trial in study.finished()] == list(range(12))
    if sampler == "grid":
        assert points == list(SMALL.points())


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_proposals_do_not_depend_on_timing_or_workers(sampler):
    alone = drive(open_study(sampler=sampler))
    for workers, seed in [(3, 1), (50, 2)]:
        assert drive(open_study(sampler=sampler), workers=workers, seed=seed) == alone
    assert drive(open_study(sampler=sampler, seed=1), until=10) != alone[:10]


def test_tpe_learns_and_says_which_were_uniform():
    study = open_study()
    points = drive(study)
    origins = [trial.user_attrs["origin"] for trial in study.finished()]
    assert origins[:9] == ["uniform"] * 9
    assert set(origins[9:]) == {"tpe"}
    assert origins.count("tpe") > 5
    learnt = [worth(p) for p, origin in zip(points, origins, strict=True) if origin == "tpe"]
    uniform = [worth(p) for p in points[:9]]
    assert sum(learnt) / len(learnt) > sum(uniform) / 9
    assert drive(open_study(sampler="random"), until=9) == points[:9]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"uniform_trials": None, "trials": 12}, 10),
        ({"uniform_trials": None, "trials": 36}, 12),
        ({"uniform_trials": 0, "trials": 6}, 0),
    ],
)
def test_how_many_are_uniform(config, expected):
    study = open_study(**config)
    drive(study, until=14)
    origins = [trial.user_attrs["origin"] for trial in study.finished()]
    assert origins.count("uniform") == expected


@pytest.mark.parametrize(("config", "ahead"), [({}, 8), ({"lag": 5}, 5)])
def test_no_more_than_the_lag_runs_ahead_of_what_is_learnt_from(config, ahead):
    study = open_study(uniform_trials=2, **config)
    while study.may_propose():
        study.propose()
    assert len(study.trials) == ahead
    tell(study, 3)
    assert not study.may_propose()  # the next needs trial 0
    tell(study, 0)
    assert study.may_propose()


@pytest.mark.parametrize("config", [{"sampler": "random"}, {"sampler": "grid"}, {}])
def test_any_number_runs_ahead_where_no_result_decides(config):
    study = open_study(**config)
    while study.may_propose():
        study.propose()
    assert len(study.trials) == (18 if config else 9)  # the uniform ones of TPE


def test_a_lag_is_part_of_the_search(tmp_path):
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    alone = drive(open_study(storage, lag=3), workers=9)
    assert alone == drive(open_study(lag=3)) != drive(open_study())
    with pytest.raises(ArtifactError, match=r"search\.lag 3 instead of 8"):
        open_study(storage)


def test_a_later_trial_asks_the_database_no_more_than_an_early_one(tmp_path):
    """Else a driver's time grows with the square of the trials."""
    study = open_study(f"sqlite:///{tmp_path / 'study.db'}", uniform_trials=18)
    statements: list[str] = []
    sqlalchemy.event.listen(
        study._storage._backend.engine,
        "before_cursor_execute",
        lambda *arguments: statements.append(arguments[2]),
    )
    asked = []
    for _ in range(18):
        tell(study, study.propose())
        asked.append(len(statements))
        statements.clear()
    assert len(set(asked[1:])) == 1, asked


@pytest.mark.parametrize(("sampler", "stop"), [("random", 3), ("tpe", 3), ("tpe", 12)])
def test_resumed_is_as_undisturbed(tmp_path, sampler, stop):
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    undisturbed = drive(open_study(sampler=sampler))
    drive(open_study(storage, sampler=sampler), workers=4, until=stop)
    again = open_study(storage, sampler=sampler)
    left = again.unfinished()
    assert 0 < len(left) <= 4
    assert [again.trials[n].state.name for n in left] == ["RUNNING"] * len(left)
    assert drive(again, workers=3, seed=9) == undisturbed
    assert [t.state.name for t in again.finished()] == ["COMPLETE"] * 18
    more = open_study(storage, sampler=sampler, trials=20)
    assert drive(more)[:18] == undisturbed
    assert len(more.trials) == 20


def test_list_settings_keep_their_order_in_the_storage(tmp_path):
    space = SearchSpace(
        family="mlp",
        parameters={f"hidden.{i}": (i + 1, i + 101) for i in range(12)},
    )
    points = list(space.points())[:5]
    config = SearchConfig(trials=3, sampler="grid")
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    study = ArchitectureStudy(space, points, config, storage=storage, name="s")
    for _ in range(3):
        study.propose()
    again = ArchitectureStudy(space, points, config, storage=storage, name="s")
    for number in range(3):
        expected = space.architecture(points[number])
        assert space.architecture(study.point(number)) == expected
        assert space.architecture(again.point(number)) == expected


def test_conditional_spaces():
    space = load_space("mlp20")
    study = ArchitectureStudy(
        space,
        list(space.points()),
        SearchConfig(trials=20, uniform_trials=4),
        storage=MEMORY,
        name="s",
    )
    while study.may_propose():
        number = study.propose()
        study.complete(number, scored(sum(study.point(number).values()) / 300))
    assert len({point_key(t.params) for t in study.finished()}) == 20


def test_failing_trials_are_recorded_and_not_learnt_from():
    failing = (0, 4, 11, 12)
    study = open_study()
    points = drive(study, failing=failing)
    assert len(points) == 18
    failed = [t for t in study.finished() if t.state.name == "FAIL"]
    assert [t.number for t in failed] == list(failing)
    assert {t.user_attrs["reason"] for t in failed} == {"because"}
    assert points == drive(open_study(), workers=6, seed=5, failing=failing)
    every = open_study(space=SMALL, uniform_trials=2)
    assert len(drive(every, failing=range(12))) == 12


def test_results_notes_and_pruning_reach_the_storage(tmp_path):
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    study = open_study(storage, pruner="median")
    first, second = study.propose(), study.propose()
    study.note(first, num_params=7)
    assert study.should_prune(first, 1, 0.25) is False
    assert study.should_prune(first, 1, 0.5) is False  # again, after an interruption
    study.complete(first, scored(0.25, 0.75, seconds=1.23456))
    study.should_prune(second, 1, 0.125)
    study.prune(second)
    one, two = optuna.load_study(storage=storage, study_name="s").trials
    assert one.value == 0.5
    assert one.user_attrs == {
        "origin": "uniform", "num_params": 7,
        "architecture": SPACE.architecture(one.params),
        "proxy_scores": {
            "accuracy": [0.25, 0.75], "balanced_accuracy": [0.75, 0.25], "auc": [0.5, 0.5],
        }, "seconds": 1.2346,
    }  # fmt: skip
    assert two.state.name == "PRUNED"
    assert two.intermediate_values == {1: 0.125}
    assert one.params in list(SPACE.points())


def test_the_median_pruner_stops_the_worse_half():
    study = open_study(pruner="median", sampler="grid")
    for number in range(10):
        study.propose()
        study.should_prune(number, 1, 0.5)
        tell(study, number)
    assert study.should_prune(study.propose(), 1, 0.1)
    tell(study, 10)
    assert not study.should_prune(study.propose(), 1, 0.9)


@pytest.mark.parametrize(
    ("metric", "best"), [("accuracy", 1), ("balanced_accuracy", 0), ("auc", 0)]
)
def test_a_trials_value_is_the_metric(metric, best):
    study = open_study(metric=metric)
    results = [Score(0.5, 0.9, 0.8), Score(0.75, 0.5, 0.25)]
    for number, result in enumerate(results):
        assert study.propose() == number
        study.complete(number, CandidateResult((result,), 0.1))
    values = [trial.value for trial in study.finished()]
    assert values == [getattr(result, metric) for result in results]
    assert values.index(max(values)) == best


def test_a_study_from_before_there_was_a_metric_goes_on(tmp_path):
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    drive(open_study(storage), until=3)
    older = optuna.load_study(study_name="s", storage=storage)
    identity = older.user_attrs["identity"]
    del identity["search"]["metric"]
    older.set_user_attr("identity", identity)
    assert len(open_study(storage).trials) >= 3
    with pytest.raises(ArtifactError, match="belongs to another search"):
        open_study(storage, metric="balanced_accuracy")


@pytest.mark.parametrize("identity", ["mine", {"search": 3}, {"search": {"seed": 9}}])
def test_a_study_of_another_program_is_refused(tmp_path, identity):
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    optuna.create_study(study_name="s", storage=storage).set_user_attr("identity", identity)
    with pytest.raises(ArtifactError, match="belongs to another search"):
        open_study(storage)


def test_a_study_of_another_space_is_refused(tmp_path):
    """Two run folders of one name may meet in one storage."""
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    drive(open_study(storage), until=3)
    other = SearchSpace(family="mlp", parameters={"hidden.0": (4, 8, 16)})
    with pytest.raises(ArtifactError):
        open_study(storage, space=other)


@pytest.mark.parametrize("storage", ["sqlite:////proc/none/study.db", "nosuch://x", "rubbish"])
def test_an_unusable_storage(storage):
    with pytest.raises(ArtifactError, match="cannot open the study in") as caught:
        open_study(storage)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "study.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(ArtifactError, match="cannot open the study"):
        open_study(f"sqlite:///{tmp_path / 'study.db'}")


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_is_a_failure(score):
    study = open_study()
    number = study.propose()
    study.complete(number, scored(0.5, score))
    (trial,) = study.finished()
    assert trial.state.name == "FAIL"
    assert f"no numbers: {{'accuracy': [0.5, {score}]" in trial.user_attrs["reason"]
    assert "proxy_scores" not in trial.user_attrs


@pytest.mark.parametrize("pruner", ["none", "median"])
def test_what_is_kept_is_what_the_storage_holds(tmp_path, pruner):
    """Nothing is read back, so both have to say the same of every trial."""
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    study = open_study(storage, pruner=pruner)
    for number in (study.propose() for _ in range(4)):
        study.note(number, num_params=number)
        study.should_prune(number, 1, 0.25)
        study.should_prune(number, 2, 0.5)
    study.complete(0, CandidateResult((Score(0.9, 0.8, None),), 1.5))
    study.fail(1, "it would not learn")
    study.prune(2)
    held = optuna.load_study(study_name="s", storage=storage).trials
    assert [trial.state.name for trial in held] == ["COMPLETE", "FAIL", "PRUNED", "RUNNING"]
    assert held[2].value == 0.5
    for trial in held:
        kept = study.trials[trial.number]
        for name in ("state", "values", "params", "user_attrs", "intermediate_values"):
            assert getattr(kept, name) == getattr(trial, name), (trial.number, name)
