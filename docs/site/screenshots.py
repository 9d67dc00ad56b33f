"""Draw the pictures of docs/pictures from a run: `python docs/site/screenshots.py [RUN]`.

Takes the extras `browser` and `dashboard`, and a Chromium. A copy of the run is rendered.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from nasproxy.cli.dashboard import HOST, only_local, open_server
from nasproxy.export.dashboard import decorate_study
from nasproxy.report.session import report
from nasproxy.search.inspection import ARTIFACTS_FOLDER, build_app

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "pictures"
EXAMPLE = ROOT / "results" / "mnist-convnet-random"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SCREEN, PHONE = (1200, 900), (375, 800)
MAX_BYTES = 150_000
DRAWN = (
    "() => document.querySelectorAll('.drawing .main-svg').length >="
    " document.querySelectorAll('script[data-figure]').length"
)


def main(run: Path) -> None:
    """Render a copy of a run and look at it."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        raise SystemExit("no Chromium is installed: apt-get install chromium")
    PICTURES.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as temporary,
        dashboard_of(shutil.copytree(run, Path(temporary) / run.name)) as (folder, address),
        sync_playwright() as driver,
    ):
        browser = driver.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu"]
        )

        def shoot(name: str, url: str, prepare: Callable[[Page], None], **look: Any) -> None:
            size = dict(zip(("width", "height"), look.pop("size", SCREEN), strict=True))
            page = browser.new_page(viewport=size, **look)  # type: ignore[arg-type]
            page.set_default_timeout(300_000)
            page.goto(url)
            prepare(page)
            save(page.screenshot(), PICTURES / f"{name}.png")
            page.close()

        page = (folder / "report.html").as_uri()
        shoot("report", page, wait_for_figures, color_scheme="light")
        shoot("report-dark", page, show_figures, color_scheme="dark")
        shoot("report-phone", page, wait_for_figures, size=PHONE, device_scale_factor=1.5)
        shoot("dashboard", address, wait_for_plots, size=(1200, 1060))
        shoot("dashboard-note", f"{address}/note", wait_for_note)
        browser.close()


@contextmanager
def dashboard_of(folder: Path) -> Iterator[tuple[Path, str]]:
    """Report on a run and serve its study while the block runs; give folder and address."""
    report(folder)
    found = decorate_study(folder)
    app = build_app(found["storage"], folder / ARTIFACTS_FOLDER)
    with open_server(only_local(app), None) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://{HOST}:{server.server_port}/dashboard/studies/{found['study_id']}"
        server.shutdown()


def wait_for_figures(page: Page) -> None:
    """Wait until the report has drawn all figures."""
    page.wait_for_function(DRAWN)


def show_figures(page: Page) -> None:
    """Scroll to the first figures of the report."""
    wait_for_figures(page)
    page.locator(".figures").first.evaluate("one => one.scrollIntoView()")


def wait_for_plots(page: Page) -> None:
    """Wait until optuna-dashboard shows our own plots, and scroll to the uppermost."""
    ours = page.locator(".js-plotly-plot", has_text="?")  # their titles ask
    page.get_by_text("Does the proxy rank as full training does?").first.wait_for()
    page.wait_for_timeout(2000)  # until the plots have moved to their places
    ours.first.evaluate("one => { one.scrollIntoView(); scrollBy(0, -80); }")
    page.wait_for_timeout(500)


def wait_for_note(page: Page) -> None:
    """Wait until optuna-dashboard shows the note with its picture."""
    page.get_by_text("Trust check before the search").first.wait_for()
    page.wait_for_function(
        "() => [...document.querySelectorAll('img')].some(image => image.naturalWidth > 0)"
    )


def save(content: bytes, path: Path) -> None:
    """Write a picture in as many colours as `MAX_BYTES` leave room for."""
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    for colours in (256, 128, 64, 32, 16):
        buffer = io.BytesIO()
        few = picture.quantize(colours, dither=Image.Dither.NONE)
        few.save(buffer, "png", optimize=True)
        if buffer.tell() <= MAX_BYTES:
            break
    path.write_bytes(buffer.getvalue())
    print(f"{path.name}: {buffer.tell():,} bytes, {colours} colours")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else EXAMPLE)
