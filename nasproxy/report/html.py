"""Any page of ours as one HTML file that fetches nothing: scripts, pictures, styles are inside."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from string import Template
from typing import Any

from nasproxy.report.figures.base import Figure
from nasproxy.report.figures.numbers import tabulate_figure
from nasproxy.report.picture import Picture
from nasproxy.report.script import packed_plotly
from nasproxy.report.table import Table

MAX_CLASSES_NAMED = 20
LONG_CELL = 40
"""Characters from which a cell is broken into lines."""
VERDICT_CLASSES = {True: "yes", False: "no", None: "unknown"}


@dataclass(frozen=True)
class Page:
    """What a page says, as plain text; what is empty has no section."""

    heading: str
    subtitle: str
    verdict: str
    command: str
    """One or more lines that make the page again."""
    made_with: str
    worth_it: bool | None = None
    """Colours the verdict; None: nothing is judged, or it cannot be told."""
    tiles: Sequence[tuple[str, str, str]] = ()
    """(name, value, remark) of what to look at first."""
    figures: Sequence[Figure] = ()
    pictures: Sequence[Picture] = ()
    class_names: tuple[str, ...] = ()
    """Of the rows of the pictures."""
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()


def render_page(page: Page) -> str:
    """Render a page; all text is escaped here."""
    template = Template(
        resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    )
    sections = {
        "Figures": _figures(page.figures),
        "Pictures": _pictures(page.pictures, page.class_names),
        "Tables": "\n".join(_titled(table) for table in page.tables if table.rows),
        "Notes": _notes(page.notes),
        "Reproduce": _command(page.command),
    }
    filled = {name: content for name, content in sections.items() if content}
    return template.substitute(
        title=_text(f"nasproxy: {page.heading}"),
        heading=_text(page.heading),
        subtitle=_text(page.subtitle),
        verdict_class=VERDICT_CLASSES[page.worth_it],
        verdict=_text(page.verdict),
        tiles=_tiles(page.tiles),
        links="\n".join(f'<li><a href="#{name.lower()}">{name}</a></li>' for name in filled),
        sections="\n".join(_section(name, content) for name, content in filled.items()),
        made_with=_text(page.made_with),
        plotly=packed_plotly() if page.figures else "",
    )


def _text(value: Any) -> str:
    return html.escape(str(value))


def _section(name: str, content: str) -> str:
    key = name.lower()
    return (
        f'<section id="{key}" aria-labelledby="{key}-title">\n'
        f'<h2 id="{key}-title">{name}</h2>\n{content}\n</section>'
    )


def _tiles(tiles: Sequence[tuple[str, str, str]]) -> str:
    shown = "\n".join(
        f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd>"
        f'<dd class="remark">{_text(remark)}</dd></div>'
        for name, value, remark in tiles
    )
    return f'<dl class="tiles">\n{shown}\n</dl>' if shown else ""


def _figures(figures: Sequence[Figure]) -> str:
    if not figures:
        return ""
    without = "<noscript><p>Figures need JavaScript; their numbers are below each.</p></noscript>"
    shown = "\n".join(_figure(figure) for figure in figures)
    return f'{without}\n<div class="figures">\n{shown}\n</div>'


def _figure(figure: Figure) -> str:
    # within a script element only "<" could end it: JSON may spell it as an escape
    content = json.dumps(figure.drawing, allow_nan=False).replace("<", "\\u003c")
    title, caption = _text(figure.title), _text(figure.caption)
    return (
        f"<figure>\n<h3>{title}</h3>\n"
        f'<div id="{figure.key}" class="drawing" role="img" aria-label="{title} {caption}" '
        f'style="min-height: {figure.drawing["layout"]["height"]}px"></div>\n'
        f"<figcaption>{caption}</figcaption>\n"
        f"<details><summary>The numbers</summary>\n{_table(tabulate_figure(figure))}\n</details>\n"
        f'<script type="application/json" data-figure="{figure.key}">{content}</script>\n</figure>'
    )


def _pictures(pictures: Sequence[Picture], class_names: tuple[str, ...]) -> str:
    named = ", ".join(class_names[:MAX_CLASSES_NAMED])
    if len(class_names) > MAX_CLASSES_NAMED:
        named += ", ..."
    rows = _text(f"one row a class: {named}" if named else "one row a class")
    shown = "\n".join(
        f'<figure><img width="{picture.size[0]}" height="{picture.size[1]}" '
        f'alt="{_text(picture.caption)}, {rows}" '
        f'src="data:image/png;base64,{base64.b64encode(picture.png).decode()}">'
        f"<figcaption>{_text(picture.caption)}</figcaption></figure>"
        for picture in pictures
    )
    words = f"<p>Images that candidates trained on; {rows}.</p>"
    return f'{words}\n<div class="pictures">\n{shown}\n</div>' if shown else ""


def _notes(notes: Sequence[str]) -> str:
    items = "\n".join(f"<li>{_text(note)}</li>" for note in notes)
    return f"<ul>\n{items}\n</ul>" if notes else ""


def _command(command: str) -> str:
    return f'<pre tabindex="0" aria-label="commands">{_text(command)}</pre>' if command else ""


def _titled(table: Table) -> str:
    return f"<h3>{_text(table.title)}</h3>\n{_table(table)}"


def _table(table: Table) -> str:
    """Render a table that scrolls within itself, by the keyboard, too."""
    columns = list(zip(*table.rows, strict=True))
    kinds = ["number" if _is_numeric(column) else "" for column in columns]
    header = "".join(
        f'<th{_attribute("class", kind)} scope="col">{_text(name)}</th>'
        for name, kind in zip(table.header, kinds, strict=True)
    )
    rows = "\n".join(_row(row, kinds) for row in table.rows)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{_text(table.title)}">'
        f"<table><thead><tr>{header}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>"
    )


def _row(row: Sequence[str], kinds: Sequence[str]) -> str:
    cells = []
    for place, (cell, kind) in enumerate(zip(row, kinds, strict=True)):
        tag, scope = ("th", ' scope="row"') if place == 0 else ("td", "")
        shown = "long" if len(cell) > LONG_CELL else kind
        cells.append(f"<{tag}{_attribute('class', shown)}{scope}>{_text(cell)}</{tag}>")
    return f"<tr>{''.join(cells)}</tr>"


def _attribute(name: str, value: str) -> str:
    return f' {name}="{value}"' if value else ""


def _is_numeric(column: Sequence[str]) -> bool:
    """Say whether a column reads best with its ends below each other."""
    filled = [cell for cell in column if cell not in ("", "-", "unknown")]
    return bool(filled) and all(re.match(r"[-+<]?\d[\d,.]*[%xkMG]?( ±.*)?$", c) for c in filled)
