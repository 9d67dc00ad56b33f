"""A table of a report in the terminal: as many of its columns as fit without breaking a number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nasproxy.cli.terminal import printable

if TYPE_CHECKING:
    from rich.console import JustifyMethod
    from rich.table import Table as RichTable

    from nasproxy.report.table import Table

UNBROKEN = 16
"""Characters up to which a cell stays on one line; what is longer breaks, between words at best."""
GAP = 3
"""Characters between two columns in the house style of `Terminal.say`, which has two at the edges.
"""


def fitted_table(table: Table, *, spare: Sequence[str] = (), width: int | None = None) -> RichTable:
    """Lay a table of text out for the terminal.

    Columns without any content are left out. Where the others do not fit, those that can be spared
    are, the last of them first to stay, and after them the rightmost; the caption names them.

    Args:
        table: text cells.
        spare: names of columns that may be left out, the most dispensable first.
        width: characters of a line; None: the terminal's, 80 where there is none.
    """
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    width = Console().width if width is None else width
    rows = [[printable(cell) for cell in row] for row in table.rows]  # names come from users
    columns = [
        (name, cells)
        for name, *cells in zip(table.header, *rows, strict=True)
        if any(cells) or not rows
    ]
    kept = _choose([_least(name, cells) for name, cells in columns], _ranks(columns, spare), width)
    left_out = ", ".join(name for i, (name, _) in enumerate(columns) if i not in kept)
    shown = RichTable(title=table.title, caption=f"no room for: {left_out}" if left_out else None)
    for (name, cells), size in zip(
        (columns[i] for i in kept), _widths([columns[i] for i in kept], width), strict=True
    ):
        justify: JustifyMethod = "right" if all(map(_is_number, cells)) else "left"
        shown.add_column(name, width=size, overflow="fold", justify=justify)
    for row in zip(*(columns[i][1] for i in kept), strict=True):
        shown.add_row(*(Text(cell) for cell in row))
    return shown


def _is_number(cell: str) -> bool:
    """Say whether a cell is a number, perhaps with a sign before it and a unit behind."""
    return len(cell) <= UNBROKEN and (cell in ("", "-") or cell.lstrip("+-~±")[:1].isdecimal())


def _choose(least: Sequence[int], ranks: Sequence[int], width: int) -> list[int]:
    """Return the columns that fit, in their order; those of higher rank are served first."""
    kept: list[int] = []
    for index in sorted(range(len(least)), key=lambda i: -ranks[i]):
        if not kept or _total([least[i] for i in (*kept, index)]) <= width:
            kept.append(index)
    return sorted(kept)


def _ranks(columns: Sequence[tuple[str, Sequence[str]]], spare: Sequence[str]) -> list[int]:
    """Say how much each column is needed: any that cannot be spared more than any that can."""
    places = {name: place for place, name in enumerate(spare)}
    return [places.get(name, len(spare) + len(columns) - i) for i, (name, _) in enumerate(columns)]


def _widths(columns: Sequence[tuple[str, Sequence[str]]], width: int) -> list[int]:
    """Give every column what it needs and the leftmost ones what is left, up to what they hold."""
    from rich.cells import cell_len

    sizes = [_least(name, cells) for name, cells in columns]
    room = max(0, width - _total(sizes))
    for index, (name, cells) in enumerate(columns):
        more = min(room, max(map(cell_len, (name, *cells))) - sizes[index])
        sizes[index] += more
        room -= more
    return sizes


def _least(name: str, cells: Sequence[str]) -> int:
    """Return the characters that a column takes at least; its header may break between words."""
    from rich.cells import cell_len

    return max(min(UNBROKEN, cell_len(text)) for text in (*name.split(), *cells, "-"))


def _total(sizes: Sequence[int]) -> int:
    return sum(sizes) + GAP * (len(sizes) - 1) + 2
