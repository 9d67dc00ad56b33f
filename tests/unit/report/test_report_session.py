from __future__ import annotations

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from nasproxy.cli.report import key_figures
from nasproxy.errors import ArtifactError
from nasproxy.report.script import packed_plotly
from nasproxy.report.session import report
from nasproxy.training.metric import METRIC_NAMES

EVIL = "<script>alert('x')</script>"


def page_without_scripts(folder):
    page = (folder / "report.html").read_text(encoding="utf-8")
    return page, re.sub(r"<script(?: [^>]*)?>.*?</script>", "", page, flags=re.DOTALL)


def png(side):
    pixels = np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def test_the_three_files(run_folder):
    folder = run_folder.write()
    summary = report(folder)
    assert json.loads((folder / "report.json").read_text()) == summary
    markdown = (folder / "report.md").read_text()
    assert markdown.index("Cannot tell") < markdown.index("## ")
    assert "    nasproxy search --dataset tiny" in markdown
    assert max(len(line) for line in markdown.splitlines()) <= 80
    assert "91.00 ±1.41" in markdown
    _, text = page_without_scripts(folder)
    assert summary["verdict"].split(":")[0] in text
    assert 'name="viewport"' in text
    assert "prefers-color-scheme" in text


def test_a_second_report_is_the_same(run_folder):
    folder = run_folder.write()
    report(folder)
    before = {path.name: path.read_bytes() for path in folder.glob("report.*")}
    report(folder)
    assert {path.name: path.read_bytes() for path in folder.glob("report.*")} == before
    assert not list(folder.glob(".report*"))


def test_the_page_stands_alone(run_folder):
    folder = run_folder.write()
    (folder / "proxy").mkdir()
    (folder / "proxy" / "final.png").write_bytes(png(400))
    (folder / "proxy" / "start.png").write_bytes(png(20))
    report(folder)
    page, text = page_without_scripts(folder)
    assert page.count(packed_plotly()) == 1
    assert not re.search(r"""(?:src|href)\s*=\s*["']?\s*(?:https?:)?//""", text)
    assert not re.search(r"""<script[^>]*\bsrc\b""", page)
    assert "http" not in text.replace("http-equiv", "")
    assert len(page.encode()) < 5_000_000
    assert re.findall(r"""<img[^>]* alt="([^"]+)" """, text) == [
        "The proxy before distillation, one row a class: cat, dog",
        "Images that candidates trained on, one row a class: cat, dog",
    ]
    for content in re.findall(r"base64,([^\"]+)", text):
        Image.open(io.BytesIO(base64.b64decode(content))).verify()


def test_a_damaged_picture_is_left_out(run_folder):
    folder = run_folder.write()
    (folder / "proxy").mkdir()
    (folder / "proxy" / "final.png").write_bytes(b"no picture")
    report(folder)
    assert "<img" not in page_without_scripts(folder)[1]


def test_text_of_files_is_escaped(run_folder):
    run_folder.run["command"] = f"nasproxy {EVIL}"
    run_folder.run["config"]["data"]["dataset"] = EVIL
    run_folder.run["proxy"]["class_names"] = [EVIL, '"><b>']
    run_folder.candidates[0]["architecture"]["norm"] = EVIL
    run_folder.verification[0]["architecture"]["norm"] = EVIL
    folder = run_folder.write()
    (folder / "proxy").mkdir()
    (folder / "proxy" / "final.png").write_bytes(png(20))
    report(folder)
    page, _ = page_without_scripts(folder)
    assert EVIL not in page
    assert "&lt;script&gt;alert" in page
    assert '"><b>' not in page
    markdown = (folder / "report.md").read_text()
    assert "<script" not in markdown.split("## Reproduce")[0]


def test_figures_are_readable_json(run_folder):
    folder = run_folder.write()
    report(folder)
    page = (folder / "report.html").read_text(encoding="utf-8")
    found = re.findall(r'<script type="application/json" data-figure="(\w+)">(.*?)</script>', page)
    assert len(found) == 6
    for key, content in found:
        assert f'<div id="{key}"' in page
        assert json.loads(content).keys() == {"data", "layout"}


def tables_of(folder):
    markdown = (folder / "report.md").read_text()
    assert max(len(line) for line in markdown.splitlines()) <= 80
    _, page = page_without_scripts(folder)
    return markdown, page


@pytest.mark.parametrize("metric", ["accuracy", "auc"])
def test_accuracy_is_never_alone_where_classes_are_unbalanced(run_folder, judge_by, metric):
    judge_by(run_folder, metric)
    folder = run_folder.write()
    summary = report(folder)
    by = "" if metric == "accuracy" else " by AUC"
    for text in tables_of(folder):
        assert f"Best on the full data{by} (majority class 90.0%)" in text
        assert "best, test balanced accuracy" in text
        assert "best, test AUC" in text
    markdown = (folder / "report.md").read_text()
    trial = r"\| 1     \| 2/none \s*\| 200    \| "
    rows = [
        r"accuracy \| 60\.00   \| 91\.00 ±1\.41 \| 81\.00",
        r"balanced \| 40\.00   \| 9\.00 ±1\.41  \| 19\.00",
        r"AUC      \| 60\.00   \| 44\.50 ±0\.71 \| 49\.50",
    ]
    assert re.search(r" +\|\n".join(trial + row for row in rows), markdown)
    shown = dict(key_figures(summary))
    assert shown["majority class, validation"] == "90.00%"
    assert {f"best network, test {name}" for name in METRIC_NAMES.values()} <= set(shown)
    assert any("90.0% of the validation images" in note for note in summary["notes"])


def test_nothing_of_it_is_shown_where_classes_are_balanced(run_folder, judge_by):
    before = report(run_folder.write())
    old = tables_of(run_folder.path)
    judge_by(run_folder, "accuracy", (50, 50))
    after = report(run_folder.write())
    assert tables_of(run_folder.path) == old
    assert key_figures(after) == key_figures(before)


def test_before_verification_the_proxys_scores_are_shown(run_folder, judge_by):
    judge_by(run_folder, "balanced_accuracy", (80, 10, 10))
    run_folder.verification = None
    report(run_folder.write())
    markdown, _ = tables_of(run_folder.path)
    assert "Best on the proxy by balanced accuracy (majority class 80.0%)" in markdown
    assert "AUC" not in markdown
    assert re.search(r"\| accuracy \| 10.00 +\|\n.*\| balanced \| 90.00", markdown)


def test_report_without_verification(run_folder):
    run_folder.verification = None
    folder = run_folder.write()
    assert report(folder)["spearman_rho"] is None
    assert "Best on the proxy" in (folder / "report.md").read_text()


def test_report_of_an_empty_search(run_folder):
    run_folder.verification, run_folder.candidates, run_folder.timings = None, [], None
    assert report(run_folder.write())["worth_it"] is None


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("candidates", {"proxy_accuracy": "0.9"}, "proxy_accuracy must be a number .*'0.9'"),
        ("candidates", {"proxy_accuracy": 1.5}, "proxy_accuracy must be .* <= 1, got 1.5"),
        ("candidates", {"proxy_accuracy": None}, "entry 0: proxy_accuracy .*None"),
        ("candidates", {"proxy_accuracy": float("nan")}, "NaN is no JSON value"),
        ("candidates", {"num_params": 1.5}, "num_params must be a whole number .*1.5"),
        ("candidates", {"num_flops": True}, "num_flops must be a whole number .*True"),
        ("candidates", {"seconds": -1}, "seconds must be a number >= 0, got -1"),
        ("candidates", {"status": "done"}, "status must be complete, .*'done'"),
        ("candidates", {"trial": 1}, "trial 1 is listed twice"),
        ("candidates", {"architecture": "mlp"}, "architecture must be an object"),
        ("candidates", {"architecture": {"width": float("inf")}}, "Infinity is no JSON value"),
        ("verification", {"full_accuracy": [0.9, None]}, r"full_accuracy\[1\] must be .*None"),
        ("verification", {"full_accuracy": 0.9}, "full_accuracy must be a list, got 0.9"),
        ("verification", {"seconds": float("inf")}, "Infinity is no JSON value"),
        ("verification", {"seconds": 10**400}, "seconds must be"),
        ("verification", {"trial": 99}, "trial 99 is no scored candidate"),
        ("verification", {"selected_by": ["luck"]}, "selected_by must be top or uniform"),
        ("verification", {"selected_by": []}, "selected_by must be top or uniform"),
        ("verification", {"full_balanced_accuracy": [0.5]}, "a value for each of full_accuracy"),
        ("verification", {"test_auc": [0.5, 1.5]}, r"test_auc\[1\] must be .* got 1.5"),
        ("candidates", {"proxy_auc": 2}, "proxy_auc must be .* <= 1, got 2"),
        ("run", {"data": {"validation_class_counts": [1, -1]}}, r"class_counts\[1\] .*-1"),
        ("timings", {"search_seconds": "20"}, "search_seconds must be a number .*'20'"),
        ("run", {"verify_workers": 0}, "verify_workers must be a whole number >= 1, got 0"),
        ("run", {"proxy": None}, "proxy must be an object"),
        ("run", {"proxy": {"seconds": None}}, "proxy: seconds must be a number"),
        ("run", {"command": "\ud800"}, "not valid JSON"),
    ],
)
def test_malformed_files_are_one_clear_line(run_folder, name, change, message):
    content = getattr(run_folder, name)
    (content[0] if isinstance(content, list) else content).update(change)
    folder = run_folder.write()
    with pytest.raises(ArtifactError, match=message) as caught:
        report(folder)
    assert f"{name}.json" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (folder / "report.json").exists()


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("run", {"metric": "f1"}, "config.search.metric must be accuracy, .* 'f1'"),
        ("candidates", {"proxy_auc": None}, "proxy_auc must be a number .*None"),
        ("verification", {"full_auc": [0.5, None]}, r"full_auc\[1\] must be .*None"),
        ("verification", {"full_auc": []}, "full_auc must have a value for each"),
    ],
)
def test_what_the_metric_needs(run_folder, judge_by, name, change, message):
    judge_by(run_folder, "auc")
    content = run_folder.run["config"]["search"] if name == "run" else getattr(run_folder, name)[0]
    content.update(change)
    with pytest.raises(ArtifactError, match=message) as caught:
        report(run_folder.write())
    assert f"{name}.json" in str(caught.value)


@pytest.mark.parametrize("content", ["[1, 2]", "{", '"text"', "[[]]"])
@pytest.mark.parametrize("name", ["run", "candidates", "verification", "timings"])
def test_foreign_files(run_folder, name, content):
    folder = run_folder.write()
    (folder / f"{name}.json").write_text(content)
    with pytest.raises(ArtifactError, match=f"{name}.json"):
        report(folder)


def test_no_run(tmp_path):
    with pytest.raises(ArtifactError, match="is not a run"):
        report(tmp_path)
