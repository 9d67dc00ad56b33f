"""A report from a run folder: `report.json`, `report.md` and `report.html`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nasproxy._files import write_bytes, write_json
from nasproxy.report.markdown import render_markdown
from nasproxy.report.page import render_html
from nasproxy.report.picture import load_pictures
from nasproxy.report.record import load_records
from nasproxy.report.summary import summarize
from nasproxy.run_folder import PROXY_FOLDER, REPORT_FILE

MARKDOWN_FILE = "report.md"
HTML_FILE = "report.html"


def report(folder: Path | str) -> dict[str, Any]:
    """Judge a run and write the report into its folder; verification may still be missing.

    Returns:
        The summary, as in `report.json`.

    Raises:
        ArtifactError: a file of the run is missing or malformed, or the folder not writable.
    """
    folder = Path(folder)
    records = load_records(folder)
    summary = summarize(records)
    pictures = load_pictures(folder / PROXY_FOLDER)
    write_json(folder / REPORT_FILE, summary)
    write_bytes(folder / MARKDOWN_FILE, render_markdown(summary, records).encode())
    write_bytes(folder / HTML_FILE, render_html(summary, records, pictures).encode())
    return summary
