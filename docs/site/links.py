"""mkdocs hook: pages may link to files of the repository outside docs/, as on a code host.

A file that is linked to becomes part of the site, under `repository/`; a folder becomes its name.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File, Files

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
PLACE = "repository/"
ALWAYS = ("CONTRIBUTING.md",)
"""Named in the navigation, whether a page links to it or not."""
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
_CODE = re.compile(r"(```.*?```)", re.DOTALL)


def on_files(files: Files, config: Any) -> Files:
    """Add what pages link to outside docs/, and what those files link to."""
    waiting = [*ALWAYS]
    for page in files.documentation_pages():
        waiting += _outside(page.content_string, PurePosixPath("docs", page.src_uri))
    seen: set[str] = set()
    while waiting:
        path = waiting.pop()
        if path in seen or not (ROOT / path).is_file():
            continue
        seen.add(path)
        added = File.generated(config, _place(path), abs_src_path=str(ROOT / path))
        files.append(added)
        if path.endswith(".md"):
            waiting += _outside(added.content_string, PurePosixPath(path))
    return files


def on_page_markdown(markdown: str, page: Any, files: Files, **_: Any) -> str:
    """Let links that lead out of docs/ lead to the copies; a folder's is its name alone."""
    here = PurePosixPath(page.file.src_uri)
    within = str(here).startswith(PLACE)
    home = PurePosixPath(str(here).removeprefix(PLACE)) if within else PurePosixPath("docs") / here

    def replace(match: re.Match[str]) -> str:
        mark, text, target, anchor = match[1], match[2], match[3], match[4] or ""
        path = _resolve(target, home)
        if path is None:
            return match[0]
        inside = path.removeprefix("docs/") if path.startswith("docs/") else _place(path)
        if files.get_file_from_path(inside) is None:
            return match[0] if (ROOT / path).is_file() or not (ROOT / path).exists() else text
        return f"{mark}[{text}]({os.path.relpath(inside, here.parent)}{anchor})"

    parts = _CODE.split(markdown)
    return "".join(part if i % 2 else _LINK.sub(replace, part) for i, part in enumerate(parts))


def _place(path: str) -> str:
    """Say where a file goes; `report.html` would be taken for the page made of `report.md`."""
    return PLACE + re.sub(r"\.html$", "-page.html", path)


def _outside(markdown: str, home: PurePosixPath) -> list[str]:
    """List the files of the repository outside docs/ that a page links to."""
    found = [_resolve(match[3], home) for match in _LINK.finditer(_CODE.sub("", markdown))]
    return [path for path in found if path is not None and not path.startswith("docs/")]


def _resolve(target: str, home: PurePosixPath) -> str | None:
    """Return a link's path from the root of the repository; None: it leads elsewhere."""
    if re.match(r"[a-z]+:|/", target):
        return None
    path = os.path.normpath(home.parent / target)
    return None if path.startswith("..") else path
