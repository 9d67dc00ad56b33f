"""The four pages as a person sees them: in a browser, on a phone, at night, without a network."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import CHROMIUM, MISSING
from PIL import Image

from nasproxy.bench.page import render_html as render_bench
from nasproxy.compare.judgement import judge
from nasproxy.compare.page import render_html as render_comparison
from nasproxy.compare.record import Comparison, Contestant, Replicate, TrueScore
from nasproxy.report.session import report
from nasproxy.study.page import render_html as render_study

pytestmark = pytest.mark.browser
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

PHONE = {"width": 375, "height": 800}
EVIL = '</script><script>window.evil=1</script>"\'><img src=x onerror="window.evil=1">'
LIGHT, DARK = "rgb(255, 255, 255)", "rgb(20, 23, 26)"


def report_page(folder: Path, request: pytest.FixtureRequest) -> str:
    """The report of the tiny run: a class has an evil name, a trial failed for an evil reason."""
    finished_run = request.getfixturevalue("finished_run")
    run = Path(shutil.copytree(finished_run, folder / "run"))
    record = json.loads((run / "run.json").read_text())
    record["proxy"]["class_names"][0] = EVIL
    record["command"] += f" {EVIL}"
    (run / "run.json").write_text(json.dumps(record))
    verified = {one["trial"] for one in json.loads((run / "verification.json").read_text())}
    candidates = json.loads((run / "candidates.json").read_text())
    failed = next(one for one in candidates if one["trial"] not in verified)
    scores = dict.fromkeys((name for name in failed if name.startswith("proxy_")), None)
    failed.update({**scores, "status": "failed", "reason": EVIL})
    (run / "candidates.json").write_text(json.dumps(candidates))
    report(run)
    return (run / "report.html").read_text()


def comparison_page(folder: Path, request: pytest.FixtureRequest) -> str:
    """Fourteen architectures, three contestants."""
    norms = (EVIL, "batch")
    truth = tuple(
        TrueScore(
            architecture={"family": "convnet", "width": width, "norm": norm},
            factors={"width": width, "norm": norm},
            num_params=100 * width,
            num_flops=1000 * width,
            full=(0.9 + width / 1000, 0.901 + width / 990),
            seconds=(60.0, 61.0),
        )
        for norm in norms
        for width in range(4, 32, 4)
    )
    contestants = tuple(
        Contestant(
            name=name,
            kind=kind,
            measure="accuracy",
            replicates=(
                Replicate(
                    name="draw 0, seed 0",
                    measures={"accuracy": tuple(0.5 + (k * step % 14) / 40 for k in range(14))},
                    seconds=(seconds,) * 14,
                    setup_seconds=setup,
                ),
            ),
        )
        for name, kind, step, seconds, setup in (
            (f"datadam {EVIL}", "proxy", 1, 4.0, 200.0),
            ("random", "proxy", 3, 4.0, 0.0),
            ("params", "score", 5, 0.001, 0.0),
        )
    )
    comparison = Comparison(
        dataset="digits",
        data={"sha256": "0" * 64},
        space="convnet",
        space_size=140,
        metric="accuracy",
        truth_recipe={"epochs": 3},
        truth=truth,
        contestants=contestants,
        versions={"python": "3.11"},
        commands=("nasproxy compare --dataset digits",),
    )
    return render_comparison(judge(comparison, num_resamples=50), comparison)


def study_page(folder: Path, request: pytest.FixtureRequest) -> str:
    """Nine kinds of data, more than there are colours, and a picture."""
    Image.new("RGB", (900, 40), "teal").save(folder / "final.png")
    names = [EVIL, "full", *(f"proxy-{number}" for number in range(7))]
    common = {"versions": {"python": "3.11"}, "command": "nasproxy study", "reported": "97.8"}
    networks = [
        {
            **common, "data": name, "kind": "study", "model": "convnet-3", "width": 64, "epochs": 3,
            "num_seeds": 2, "accuracy_mean": 0.9, "accuracy_std": 0.01, "seconds_mean": 12.0,
            "curves": [[0.5, 0.7, 0.9], [0.6, 0.8, 0.9]],
        }
        for name in names
    ]  # fmt: skip
    searches = [
        {**common, "data": name, "seconds_per_seed": 40.0, "distill_seconds": 100.0}
        for name in names
    ]
    facts = {"seconds": 100.0, "made_on": "2 cores", "pictures": ["final.png"]}
    summary = {
        "dataset": "digits", "ipc": 10, "networks": networks, "searches": searches,
        "proxies": {EVIL: facts}, "missing": ["pad/search"],
    }  # fmt: skip
    return render_study(summary, folder)


def bench_page(folder: Path, request: pytest.FixtureRequest) -> str:
    """One section: how cost grows."""
    seconds = {"4": {"median": 0.1}, "8": {"median": 0.3}, "16": {"median": 1.1}}
    axes = ("width", "depth", "ipc", "candidates")
    made = {"command": "nasproxy bench " * 9, "date": "2026-11-22", "seconds": 3.0,
            "versions": {"python": "3.11"}, "load_average": 0.5}  # fmt: skip
    record = {
        "hardware": EVIL, "device": "cpu", "quick": False, "sections": {"growth": made},
        "data": {"dataset": EVIL, "note": "", "image_shape": [1, 8, 8], "num_train": 1437},
        "growth": {axis: {"seconds": seconds, "exponent": 1.2} for axis in axes},
    }  # fmt: skip
    return render_bench(record)


PAGES: dict[str, tuple[Callable[[Path, Any], str], set[str]]] = {
    "report": (
        report_page,
        {"scatter", "correlations", "ranks", "times", "history", "importance"},
    ),
    "compare": (comparison_page, {"pareto", "bias"}),
    "study": (study_page, {"curves", "times"}),
    "bench": (bench_page, {"growth"}),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip(MISSING)
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield started
        started.close()


@pytest.fixture(scope="module", params=list(PAGES))
def opened(
    request: pytest.FixtureRequest,
    browser: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Any]:
    """A page, its name, its source, and what went wrong while it was opened and looked at."""
    render, _ = PAGES[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    path = folder / "page.html"
    path.write_text(render(folder, request))
    page = browser.new_page(viewport={"width": 1200, "height": 900}, color_scheme="light")
    page.set_default_timeout(120_000)
    faults: list[str] = []
    requests: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text))
    page.on("dialog", lambda dialog: faults.append(dialog.message))
    page.on("request", lambda asked: requests.append(asked.url))
    page.goto(path.as_uri())
    page.wait_for_function(
        "() => document.querySelectorAll('.drawing .main-svg').length >="
        " document.querySelectorAll('script[data-figure]').length"
    )
    yield page, request.param, path.read_text(), faults, requests
    page.close()


def marks(drawing: dict[str, Any]) -> int:
    """Points and bars that are visible: what plotly draws an element of."""
    return sum(
        sum(value is not None for value in trace["x"])
        for trace in drawing["data"]
        if trace.get("visible", True) is True and "markers" in trace.get("mode", "markers")
    )


def test_it_renders_every_point_and_fetches_nothing(opened: Any) -> None:
    page, name, source, faults, requests = opened
    figures = page.evaluate(
        "() => Object.fromEntries([...document.querySelectorAll('script[data-figure]')]"
        ".map(source => [source.dataset.figure, JSON.parse(source.textContent)]))"
    )
    assert set(figures) >= PAGES[name][1]
    for key, drawing in figures.items():
        assert page.locator(f"#{key} .point").count() == marks(drawing) > 0, key
        rows = page.locator(f"figure:has(#{key}) details tbody tr").count()
        assert rows >= marks(drawing), f"{key}: its numbers are beneath it"
    assert faults == []
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert len([url for url in requests if url.startswith("file:")]) == 1, "the page itself"
    assert len(source.encode()) < 5_000_000


def test_points_are_the_records(opened: Any, request: pytest.FixtureRequest) -> None:
    page, name, *_ = opened
    if name != "report":
        pytest.skip("counts are of the run")
    finished_run = request.getfixturevalue("finished_run")
    verified = json.loads((finished_run / "verification.json").read_text())
    candidates = json.loads((finished_run / "candidates.json").read_text())
    assert page.locator("#scatter .point").count() == len(verified)
    assert page.locator("#ranks .point").count() == 2 * len(verified)
    assert page.locator("#history .point").count() == len(candidates) - 1, "one has failed"


def test_text_of_files_stays_text(opened: Any) -> None:
    page, *_ = opened
    assert page.evaluate("() => window.evil") is None
    assert page.locator("img[src=x]").count() == 0
    assert EVIL in page.locator("body").inner_text() + "".join(
        image.get_attribute("alt") for image in page.locator("img").all()
    )


def test_it_is_told_to_those_who_do_not_see_it(opened: Any) -> None:
    page, *_ = opened
    assert page.locator("html").get_attribute("lang") == "en"
    for landmark in ("header", "main", "footer", "nav", "h1"):
        assert page.locator(landmark).count() == 1, landmark
    for picture in page.locator("img, [role=img]").all():
        label = picture.get_attribute("alt") or picture.get_attribute("aria-label")
        assert len(label) > 10
    assert page.locator("th:not([scope])").count() == 0
    keys = page.evaluate("() => [...document.querySelectorAll('[id]')].map(one => one.id)")
    own = [key for key in keys if not key.startswith(("clip", "legend", "g", "top"))]
    assert len(own) == len(set(own))
    page.keyboard.press("Tab")
    focused = page.locator(":focus")
    assert focused.inner_text() == "Skip to the findings"
    assert focused.evaluate("one => getComputedStyle(one).outlineStyle") == "solid"


def test_a_phone_shows_it_whole(opened: Any) -> None:
    page, *_ = opened
    page.set_viewport_size(PHONE)
    try:
        for closed in page.locator("details").all():
            closed.evaluate("one => { one.open = true; }")
        page.wait_for_function(
            "() => [...document.querySelectorAll('.drawing .main-svg')]"
            ".every(drawn => drawn.getBoundingClientRect().right <= 375)"
        )
        assert page.evaluate("() => document.documentElement.scrollWidth") <= PHONE["width"]
        wide = page.evaluate(
            "() => [...document.querySelectorAll('body *')].filter(one =>"
            " !one.closest('.wide, pre, svg, .skip, script') &&"
            " one.getBoundingClientRect().right > 375.5).map(one => one.outerHTML.slice(0, 80))"
        )
        assert wide == []
    finally:
        page.set_viewport_size({"width": 1200, "height": 900})


def test_it_is_dark_at_night_and_light_on_paper(opened: Any) -> None:
    page, *_ = opened
    background = "() => getComputedStyle(document.body).backgroundColor"
    text = "() => getComputedStyle(document.querySelector('.main-svg .xtick text')).fill"
    assert page.evaluate(background) == LIGHT
    by_day = page.evaluate(text)
    try:
        page.emulate_media(color_scheme="dark")
        assert page.evaluate(background) == DARK
        assert page.evaluate(text) != by_day
        page.emulate_media(color_scheme="dark", media="print")
        assert page.evaluate(background) == LIGHT
    finally:
        page.emulate_media(color_scheme="light", media="screen")


def test_an_old_browser_shows_the_numbers(browser: Any, tmp_path: Path) -> None:
    page = browser.new_page()
    path = tmp_path / "page.html"
    path.write_text(bench_page(tmp_path, None))
    page.add_init_script("delete window.DecompressionStream")
    page.goto(path.as_uri())
    page.get_by_text("This browser cannot draw the figure").wait_for()
    assert page.locator("figure td", has_text="1.1").first.is_visible()
    page.close()
