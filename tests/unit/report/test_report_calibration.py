from __future__ import annotations

import json
import re

import pytest

from nasproxy.errors import ArtifactError
from nasproxy.report.calibration import load_calibration, parse_calibration
from nasproxy.report.session import report

RECIPE = {"epochs": 60}


def record(rhos=(0.4, 0.9, 0.6, None), chosen=1):
    changes = [{}, {"epochs": 100, "lr": 0.1}, {"lr": 0.02}, {"labels": "hard"}]
    return {
        "settings": {},
        "architectures": [{"architecture": {"width": width}} for width in range(8)],
        "options": [
            {
                "changes": change,
                "first_rho": -0.2,
                "rho": rho,
                "rank_distance": 1.0,
                "p_value": None if rho is None else 0.0123,
            }
            for change, rho in zip(changes, rhos, strict=True)
        ],
        "chosen": chosen,
        "num_first": 4,
        "num_trainings": 40,
        "margin": 0.15,
        "recipe": RECIPE,
        "labels": "kept",
    }


def write(run_folder, content):
    folder = run_folder.write()
    (folder / "calibration.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(
    ("rhos", "chosen", "sentence"),
    [
        (
            (0.4, 0.9, 0.6, None), 1,
            "of 4 recipes on 8 architectures, epochs 100, lr 0.1 ranks best: rho 0.90, the "
            "search's own recipe 0.40",
        ),
        (
            (0.8, 0.9, 0.6, None), 0,
            "of 4 recipes on 8 architectures, the search's own recipe stays: rho 0.80, and no "
            "other is clearly better (at best epochs 100, lr 0.1: 0.90)",
        ),
        (
            (0.8, None, None, None), 0,
            "of 4 recipes on 8 architectures, the search's own recipe stays: rho 0.80",
        ),
    ],
)  # fmt: skip
def test_what_is_said(rhos, chosen, sentence):
    assert parse_calibration(record(rhos, chosen), "x").sentence == sentence


def test_the_choice_in_all_reports(run_folder):
    run_folder.timings["calibration_seconds"] = 15.0
    folder = write(run_folder, record())
    summary = report(folder)
    assert summary["calibration"]["chosen"] == 1
    assert summary["calibration"]["options"][1]["rho"] == 0.9
    assert "ranks best" in summary["calibration"]["sentence"]
    markdown = (folder / "report.md").read_text()
    assert max(len(line) for line in markdown.splitlines()) <= 80
    page = (folder / "report.html").read_text()
    for text in (markdown, re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)):
        assert "Recipes before the search" in text
        assert "+ choice of recipe" in text
        joined = re.sub(r"\s+", " ", text)
        assert "flatters, and the trust check is over the same architectures" in joined
    assert re.search(r"\| epochs 100, lr 0\.1 +\| -0\.20 +\| 0\.90 +\| 0\.012", markdown)


def test_its_time_is_part_of_the_search(run_folder):
    before = report(run_folder.write())
    assert (before["calibration"], before["calibration_seconds"]) == (None, None)
    run_folder.timings["calibration_seconds"] = 10.0
    run_folder.timings["trust_seconds"] = 5.0
    after = report(run_folder.write())
    # 75 s of full search; 20 s of search, 30 s of distilling, 65 s of verifying the top
    assert after["speedup_end_to_end"] == pytest.approx(75 / 130)
    assert after["break_even_end_to_end_candidates"] == 10  # 110 / 11


def test_a_choice_for_another_search_is_not_this_ones(run_folder):
    folder = write(run_folder, {**record(), "recipe": {"epochs": 100}})
    assert report(folder)["calibration"] is None
    assert "ecipes before" not in (folder / "report.md").read_text()


def test_a_choice_that_was_not_made_to_the_end(run_folder):
    content = record()
    content.pop("chosen")
    assert load_calibration(write(run_folder, content)) is None


def option(**changes):
    return {"options": [{"changes": {}, "first_rho": 0.1, "rho": 0.1, **changes}], "chosen": 0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"options": 3}, "options must be a list, got 3"),
        ({"options": [3]}, "option 0 must be an object, got 3"),
        (option(rho=1.5), r"option 0: rho must be a number in \[-1, 1\], got 1.5"),
        (option(rho=10**400), r"option 0: rho must be a number in \[-1, 1\], got 1000"),
        (option(first_rho=None), "option 0: first_rho must be a number"),
        (option(p_value=2), "option 0: p_value must be a number"),
        (option(changes=[]), "option 0: changes must be an object"),
        ({"chosen": 4}, "chosen must be one of 4 options .* got 4"),
        ({"chosen": 3}, "chosen must be one of 4 options that were tried to the end, got 3"),
        ({"chosen": -1}, "chosen must be a whole number >= 0, got -1"),
        ({"margin": "x"}, "margin must be a number"),
        ({"recipe": None}, "recipe must be an object"),
    ],
)
def test_damaged_files_are_one_clear_line(run_folder, change, message):
    folder = write(run_folder, {**record(), **change})
    with pytest.raises(ArtifactError, match=rf"calibration\.json.*{message}"):
        report(folder)
    (folder / "calibration.json").write_text("[]")
    with pytest.raises(ArtifactError, match=r"calibration\.json must hold an object, got list"):
        report(folder)
