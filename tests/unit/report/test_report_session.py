from __future__ import annotations

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from nasproxy.errors import ArtifactError
from nasproxy.report.session import report

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
    assert len(re.findall(r"plotly\.js v\d", page)) == 1
    assert not re.search(r"""(?:src|href)\s*=\s*["']?\s*(?:https?:)?//""", text)
    assert not re.search(r"""<script[^>]*\bsrc\b""", page[: page.index("plotly.js v")])
    assert "http" not in text.replace("http-equiv", "")
    assert len(page.encode()) < 5_000_000
    assert re.findall(r'<img alt="([^"]+)" src="data:image/png', text) == [
        "The proxy before distillation, one row a class: cat, dog",
        "The proxy, one row a class: cat, dog",
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
        ("candidates", {"proxy_accuracy": float("nan")}, "proxy_accuracy .*nan"),
        ("candidates", {"num_params": 1.5}, "num_params must be a whole number .*1.5"),
        ("candidates", {"num_flops": True}, "num_flops must be a whole number .*True"),
        ("candidates", {"seconds": -1}, "seconds must be a number >= 0, got -1"),
        ("candidates", {"status": "done"}, "status must be complete, .*'done'"),
        ("candidates", {"trial": 1}, "trial 1 is listed twice"),
        ("candidates", {"architecture": "mlp"}, "architecture must be an object"),
        ("candidates", {"architecture": {"width": float("inf")}}, "another arch|not JSON"),
        ("verification", {"full_accuracy": [0.9, None]}, r"full_accuracy\[1\] must be .*None"),
        ("verification", {"full_accuracy": 0.9}, "full_accuracy must be a list, got 0.9"),
        ("verification", {"seconds": float("inf")}, "seconds must be .*inf"),
        ("verification", {"seconds": 10**400}, "seconds must be"),
        ("verification", {"trial": 99}, "trial 99 is no scored candidate"),
        ("verification", {"selected_by": ["luck"]}, "selected_by must be top or uniform"),
        ("verification", {"selected_by": []}, "selected_by must be top or uniform"),
        ("timings", {"search_seconds": "20"}, "search_seconds must be a number .*'20'"),
        ("run", {"verify_workers": 0}, "verify_workers must be a whole number >= 1, got 0"),
        ("run", {"proxy": None}, "proxy must be an object"),
        ("run", {"proxy": {"seconds": None}}, "proxy: seconds must be a number"),
        ("run", {"command": "\ud800"}, "not JSON"),
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
