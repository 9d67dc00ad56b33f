"""Every table of every command, with records as they are, on a screen of 80 columns."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from nasproxy.bench import table as bench_table
from nasproxy.cli import bench, compare, data, doctor, report, search, study
from nasproxy.cli.table import UNBROKEN, fitted_table
from nasproxy.cli.terminal import _in_house_style
from nasproxy.compare.judgement import Judgement, judge
from nasproxy.compare.record import Comparison, Contestant, Replicate, TrueScore
from nasproxy.compare.table import all_tables, ranking_table
from nasproxy.report.table import Table
from nasproxy.study.table import network_table, search_table


def render(table: Any, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False)
    console.print(_in_house_style(table))
    return console.file.getvalue()  # type: ignore[attr-defined]


def check(table: Any, width: int = 80) -> str:
    """No line is too long, and no short cell is broken."""
    text = render(table, width)
    assert max(map(len, text.splitlines())) <= width, text
    for column in table.columns:
        for cell in map(str, column.cells):
            assert len(cell) > UNBROKEN or cell in text, f"{cell!r} is broken:\n{text}"
    return text


def comparison() -> Comparison:
    """Ten architectures; contestants of one draw and of three, with names that are long."""
    architectures = [
        {"family": "convnet", "depth": depth, "width": width}
        for depth in (1, 2)
        for width in (8, 16, 32, 48, 64)
    ]
    chance = np.random.default_rng(0)
    truth = tuple(
        TrueScore(
            architecture=architecture,
            factors={name: architecture[name] for name in ("depth", "width")},
            num_params=100 * place,
            num_flops=1000 * place,
            full=(0.9 + place / 200, 0.901 + place / 200),
            seconds=(61.0, 60.0),
        )
        for place, architecture in enumerate(architectures, 1)
    )

    def contestant(name: str, draws: int, setup: float, measure: str = "accuracy") -> Contestant:
        return Contestant(
            name=name,
            kind="proxy",
            measure=measure,
            replicates=tuple(
                Replicate(
                    name=f"draw {draw}, seed 0",
                    measures={measure: tuple(float(v) for v in chance.random(10))},
                    seconds=(10.2,) * 10,
                    setup_seconds=setup,
                )
                for draw in range(draws)
            ),
        )

    return Comparison(
        dataset="mnist",
        data={"sha256": "0" * 64},
        space="convnet",
        space_size=140,
        metric="accuracy",
        truth_recipe={"epochs": 3},
        truth=truth,
        contestants=(
            contestant("random, labels=soft, early stopping at half time", 3, 153.0),
            contestant("datadam-real-of-long-name", 1, 1578.0),
            contestant("balanced", 1, 0.0, "balanced_accuracy"),
        ),
    )


@pytest.fixture(scope="module")
def judgement() -> Judgement:
    return judge(comparison(), num_resamples=10)


def test_the_ranking_of_a_comparison(judgement: Judgement) -> None:
    table = ranking_table(judgement)
    shown = fitted_table(table, spare=compare.SPARE, width=80)
    text = check(shown)
    assert [str(column.header) for column in shown.columns] == [
        "contestant", "rho, one draw", "95% interval", "a candidate", "setup",
    ]  # fmt: skip
    assert "no room for: by, rho, averaged, tau-b" in " ".join(text.split())
    wide = fitted_table(table, spare=compare.SPARE, width=200)
    assert len(wide.columns) == len(table.header)
    assert "no room" not in check(wide, 200)


def test_every_other_table_of_a_comparison_would_fit(judgement: Judgement) -> None:
    for table in all_tables(judgement):
        check(fitted_table(table, width=80))
        check(fitted_table(table, width=60), 60)


def study_summary(*, unbalanced: bool) -> dict[str, Any]:
    more = (
        {"balanced_accuracy_mean": 0.915, "balanced_accuracy_std": 0.004, "auc_mean": 0.962,
         "auc_std": 0.002}
        if unbalanced
        else {}
    )  # fmt: skip
    names = ("full", "datadam-real", "datadam-noise", "random-soft")
    return {
        "networks": [
            {
                **more, "data": name, "model": "convnet-7", "width": 128, "epochs": 1000,
                "num_seeds": 5, "accuracy_mean": 0.905, "accuracy_std": 0.0123,
                "seconds_mean": 1161.0, "reported": "~75% (of MHIST), 466 s on an RTX 4090",
            }
            for name in names
        ],
        "searches": [
            {
                "data": name, "seconds_per_seed": 1607.3, "distill_seconds": 1578.0,
                "speedup": 574.2, "spearman_rho": 0.77, "spearman_rho_ci": [-0.28, 0.99],
                "own_images_spearman_rho": 0.5, "same_best_by_own_images": True,
                "regret": 0.0123, "reported": "2.8 s, same best",
            }
            for name in names
        ],
    }  # fmt: skip


@pytest.mark.parametrize("unbalanced", [False, True])
def test_the_tables_of_a_study(unbalanced: bool) -> None:
    summary = study_summary(unbalanced=unbalanced)
    shown = fitted_table(network_table(summary), spare=study.SPARE, width=80)
    check(shown)
    headers = {str(column.header) for column in shown.columns}
    assert headers >= {"trained on", "network", "test"} | ({"balanced"} if unbalanced else set())
    shown = fitted_table(search_table(summary), spare=study.SPARE, width=80)
    check(shown)
    assert {str(c.header) for c in shown.columns} >= {"search on", "speed-up", "95% interval"}
    known = {*network_table(summary).header, *search_table(summary).header}
    assert known >= set(study.SPARE), "a column was renamed"


def test_the_columns_that_can_be_spared_are_columns(judgement: Judgement) -> None:
    assert set(compare.SPARE) <= {*ranking_table(judgement).header}


def bench_record() -> dict[str, Any]:
    def found(median: float) -> dict[str, Any]:
        return {"median": median, "min": 0.9 * median, "max": 1.1 * median, "n": 5}

    sides = ("one_worker", "all_workers", "plain", "study")
    network = {
        "architecture": {"family": "convnet", "depth": 3, "width": 32, "norm": "instance"},
        "epoch_seconds": {side: found(123.4) for side in sides},
        **{f"{a}to_{b}": found(1.83) for a in ("", "one_worker_") for b in ("plain", "study")},
    }
    speeds = {"gflops": found(98.7), "share": found(0.61)}
    return {
        "sections": {},
        "gemm": {"one_thread": found(87.6), "all_threads": found(171.0), "threads": 2},
        "full_training": {"networks": [network], "study": network},
        "throughput": {
            "networks": [
                {"width": 128, "norm": "instance", "train": speeds, "train_compiled": speeds,
                 "evaluate": speeds}
            ]
        },
        "growth": {
            "width": {
                "seconds": {str(2**k): found(1.11 * 2**k) for k in range(3, 11)},
                "exponent": 1.52,
            }
        },
        "scaling": {"candidates_per_minute": {"1": 12.3, "2": 23.4}, "speedup": {"2": found(1.9)}},
    }  # fmt: skip


def test_the_tables_of_a_bench() -> None:
    tables = bench_table.all_tables(bench_record())
    assert len(tables) >= 4
    for table in tables:
        shown = fitted_table(table, width=80)
        check(shown)
        assert shown.caption is None, "all columns fit"


SPACES: dict[str, dict[str, Any]] = {
    "convnet": {"family": "convnet", "depth": 3, "width": 64, "norm": "instance"},
    "convnet720": {
        "family": "convnet", "depth": 4, "width": 256, "norm": "instance",
        "activation": "leakyrelu", "pooling": "none",
    },
    "mlp20": {"family": "mlp", "hidden": [64, 64, 64, 64]},
}  # fmt: skip


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("class_counts", [(100, 100), (500, 100)], ids=["even", "unbalanced"])
@pytest.mark.parametrize("costs", [(), ("params", "flops", "latency")], ids=["score", "front"])
def test_the_best_candidates(
    space: str, class_counts: tuple[int, ...], costs: tuple[str, ...]
) -> None:
    candidates = [
        {
            "trial": 1000 + number, "architecture": {**SPACES[space], "other": number},
            "proxy_score": 0.986, "proxy_accuracy": 0.986, "proxy_balanced_accuracy": 0.971,
            "proxy_auc": 0.9961, "num_params": 1_123_290, "num_flops": 1_234_567_890,
            "seconds": 1234.5, "status": "complete", "pareto": True, "latency_ms": 1.23456,
        }
        for number in range(3)
    ]  # fmt: skip
    shown = search.candidate_table(
        candidates, metric="accuracy", class_counts=class_counts, costs=costs
    )
    text = check(shown)
    assert "1,123,290" in text


def test_the_classes_of_a_data_set() -> None:
    counts = [
        {"class": "a class of a name that is long, " * 4, "train": 54_001, "val": 5999,
         "test": 10_000},
        {"class": "\x1b[31mb\n", "train": 1, "val": 0, "test": 1},
    ]  # fmt: skip
    text = check(data.count_table(counts))
    assert "\x1b" not in text


def test_the_findings_of_the_doctor() -> None:
    findings = [
        doctor.Finding("packages", "optuna-dashboard", "0.21.0"),
        doctor.Finding(
            "data", "cache of images", f"{'/a/long/path' * 9} cannot be written", "wrong"
        ),
    ]
    check(doctor.finding_table(findings))


def test_a_report(finished_summary: dict[str, Any], capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    from nasproxy.cli.terminal import Terminal

    report.show(Terminal(as_json=False, quiet=True), finished_summary, Path("runs/demo"))
    lines = capsys.readouterr().out.splitlines()
    table = lines[: lines.index(finished_summary["verdict"])]
    assert max(map(len, table)) <= 80
    assert all(value in "\n".join(table) for _, value in report.key_figures(finished_summary))


@pytest.fixture
def finished_summary() -> dict[str, Any]:
    names = ("distill", "calibration", "trust", "search", "verify", "full_search")
    speedups = ("search_only", "with_distillation", "end_to_end")
    rhos = ("spearman_rho", "spearman_rho_params", "spearman_rho_flops", "noise_ceiling")
    return {
        "num_candidates": 1000, "num_verified": 123, "full_search_is": "estimated",
        "metric": "balanced_accuracy", "class_counts": [500, 100], "majority_class_rate": 0.8333,
        "trust": {"spearman_rho": 0.61, "spearman_rho_ci": [-0.28, 1.0]},
        "best": {f"test_{m}": 0.98765 for m in ("accuracy", "balanced_accuracy", "auc")},
        "verdict": "Not worth it.",
        **{f"{name}_seconds": 123_456.7 for name in names},
        **{f"speedup_{name}": 1234.5 for name in speedups},
        **dict.fromkeys(rhos, -0.12),
        **{f"{name}_ci": [-0.38, 0.58] for name in rhos},
    }  # fmt: skip


def test_empty_columns_are_left_out() -> None:
    table = Table("T", ("name", "nothing", "value"), [("a", "", "1"), ("b", "", "")])
    shown = fitted_table(table, width=80)
    assert [str(column.header) for column in shown.columns] == ["name", "value"]
    assert shown.caption is None


@pytest.mark.parametrize("width", [14, 30, 50])
def test_what_does_not_fit_is_named(width: int) -> None:
    header = ("name", "first", "second", "third")
    table = Table("T", header, [("of two words", "0.83 to 0.94", "1 min 30 s", "12,345,678")])
    shown = fitted_table(table, spare=("first",), width=width)
    kept = [str(column.header) for column in shown.columns]
    assert kept == {14: ["name"], 30: ["name", "second"], 50: ["name", "second", "third"]}[width]
    check(shown, width)
    lost = [name for name in header if name not in kept]
    assert shown.caption == f"no room for: {', '.join(lost)}"


def test_names_of_users_are_harmless() -> None:
    shown = fitted_table(Table("T", ("a",), [("[red]x[/red]\x1b[2J",)]), width=80)
    assert "[red]x[/red]?[2J" in render(shown)


def test_the_commands_use_them() -> None:
    """A table that is laid out in another way would not be looked at here."""
    for module in (bench, compare, study):
        assert module.fitted_table is fitted_table
