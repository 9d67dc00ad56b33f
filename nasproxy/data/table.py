"""CSV files that describe images."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nasproxy._files import check_file
from nasproxy.data.listing import Picture, leads_out
from nasproxy.data.source import Part
from nasproxy.errors import ArtifactError, DataError, shown, unknown_name

MAX_CSV_BYTES = 128 * 2**20
MAX_ROWS = 2_000_000
MAX_COLUMNS = 1_000
_NAME_COLUMNS = ("Image Name", "image", "file", "filename", "file_name", "name", "path")


def read_table(path: Path, needed: tuple[str, ...] = ()) -> dict[int, dict[str, str]]:
    """Read the rows of a CSV file with a header, by the lines that they end on.

    Raises:
        DataError: it is missing, malformed, empty, or lacks a needed column.
    """
    try:
        check_file(path, MAX_CSV_BYTES)
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = list(reader.fieldnames or ())
            if len(columns) > MAX_COLUMNS:
                raise DataError(f"{path} has {len(columns):,} columns: is it a CSV file?")
            if twice := [name for name in columns if columns.count(name) > 1]:
                raise DataError(f"{path} names column {shown(twice[0])} twice: rename one of them")
            for name in needed:
                if name not in columns:
                    only = ", ".join(columns[:9])[:200] or "none"
                    raise DataError(
                        f"{path} has no column {name!r}, only {only}: add it or mend its heading"
                    )
            rows = {}
            for row in reader:
                if None in row or None in row.values():
                    raise DataError(
                        f"{path} line {reader.line_num} has not {len(columns)} fields like the "
                        "heading: mend that line"
                    )
                rows[reader.line_num] = row
                if len(rows) > MAX_ROWS:
                    raise DataError(f"{path} has more than {MAX_ROWS:,} rows: not read")
    except ArtifactError as error:
        raise DataError(str(error)) from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; check the path") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a CSV file in UTF-8: {error}") from error
    if not rows:
        raise DataError(f"{path} holds no rows below its heading")
    return rows


def with_groups(
    root: Path,
    column: str,
    pictures: dict[Part, Sequence[Picture]],
    described_by: Path | None = None,
) -> dict[Part, tuple[Picture, ...]]:
    """Give each picture of all parts its group; the arguments are those of `read_groups`."""
    names = tuple(picture.name for listed in pictures.values() for picture in listed)
    group_of = dict(zip(names, read_groups(root, column, names, described_by), strict=True))
    return {
        part: tuple(replace(picture, group=group_of[picture.name]) for picture in listed)
        for part, listed in pictures.items()
    }


def read_groups(
    root: Path, column: str, names: tuple[str, ...], described_by: Path | None = None
) -> tuple[str, ...]:
    """Look up the group (patient, slide, ...) of each image.

    Args:
        root: folder of the data set.
        column: `COLUMN` of the file that describes the data, or `FILE.csv:COLUMN` of one in
            `root`; the images are named in its first column, or one headed `image` or the like.
        names: of the images; a row may give the whole name or its last part.
        described_by: the file that `COLUMN` alone means; None: there is none.

    Raises:
        DataError: the file or the column is not there, or an image has no group.
    """
    file_name, _, plain = column.rpartition(":")
    if not file_name and described_by is None:
        raise DataError(
            f"--group-column {shown(column)} names no file and this data has no CSV of its own: "
            f"give FILE.csv:{column}, a file in {root} with a row for each image"
        )
    path = root / file_name if file_name or described_by is None else described_by
    if "\0" in file_name or leads_out(path, os.path.realpath(root)):
        raise DataError(f"{path} lies outside {root}: move it into the data set's folder")
    rows = list(read_table(path).values())
    if plain not in rows[0]:
        raise DataError(f"{path}: " + unknown_name("column", plain, rows[0]) + " (--group-column)")
    named_by = next((name for name in _NAME_COLUMNS if name in rows[0]), next(iter(rows[0])))
    found: dict[str, str] = {}
    for row in rows:
        name, group = row[named_by], row[plain].strip()
        if found.setdefault(name, group) != group:
            raise DataError(
                f"{path} gives {shown(name)} two groups, {shown(found[name])} and {shown(group)}: "
                "keep one"
            )
    groups: list[str] = []
    meant: dict[str, str] = {}
    for name in names:
        key = name if found.get(name) else name.rpartition("/")[2]
        if found.get(key) and meant.setdefault(key, name) != name:
            raise DataError(
                f"{path}: {shown(key)} may mean {shown(meant[key])} and {shown(name)}: give their "
                "whole names"
            )
        groups.append(found.get(key, ""))
    missing = [name for name, group in zip(names, groups, strict=True) if not group]
    if missing:
        raise DataError(
            f"{path} gives no {shown(plain)} for {len(missing)} images, such as "
            f"{shown(missing[0])}: add rows, named in column {shown(named_by)}"
        )
    return tuple(groups)
