"""`mhist` and `mhist:PATH`: images described by `annotations.csv`, as MHIST's owner gives them.

Source: Wei et al. 2021, "A Petri Dish for Histopathology Image Analysis" (arXiv 2101.12355).
MHIST itself is given to those who agree to its terms of use; nothing here downloads it.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from nasproxy.config import TISSUE, DataConfig
from nasproxy.data.listing import FileSource, Picture, leads_out
from nasproxy.data.source import Part
from nasproxy.data.table import read_table, with_groups
from nasproxy.errors import DataError, shown
from nasproxy.progress import Watch

TABLE = "annotations.csv"
NAME, LABEL, PARTITION = "Image Name", "Majority Vote Label", "Partition"
VOTES = "Number of Annotators who Selected SSA (Out of 7)"
CLASSES = ("HP", "SSA")
"""Hyperplastic polyp and sessile serrated adenoma."""
_PARTS: dict[str, Part] = {"train": "train", "test": "test"}


def how_to_get(folder: Path) -> str:
    """Say where MHIST is asked for and what goes where."""
    return (
        "MHIST is given to those who agree to its terms of use: ask for it at "
        "https://bmirds.github.io/MHIST/, then unpack images.zip and annotations.csv so that "
        f"{folder / 'images'} holds the PNG files and {folder / TABLE} describes them"
    )


def open_mhist(root: Path, config: DataConfig, watch: Watch) -> FileSource:
    """List the images that `annotations.csv` names.

    Raises:
        DataError: the folder or its table is missing or malformed.
    """
    if not root.is_dir():
        raise DataError(f"there is no {root}. {how_to_get(root)}")
    if not (root / "images").is_dir():
        raise DataError(f"{root} has no folder images/: unpack images.zip there")
    rows = read_table(root / TABLE, (NAME, LABEL, PARTITION, VOTES))
    pictures: dict[Part, list[Picture]] = {"train": [], "test": []}
    seen, inside = set(), os.path.realpath(root)
    for line, row in rows.items():
        name, label, partition = row[NAME], row[LABEL], row[PARTITION]
        where = f"{root / TABLE} line {line}"
        if label not in CLASSES:
            raise DataError(f"{where}: {LABEL} must be {' or '.join(CLASSES)}, got {shown(label)}")
        if partition not in _PARTS:
            raise DataError(f"{where}: {PARTITION} must be train or test, got {shown(partition)}")
        if not name or name in seen:
            raise DataError(
                f"{where}: {shown(name)} is named twice or empty: keep one row an image"
            )
        seen.add(name)
        path = root / "images" / name
        if not _is_plain(name) or leads_out(path, inside):
            raise DataError(f"{where}: {shown(name)} leads out of {root}: name a file in images/")
        pictures[_PARTS[partition]].append(Picture(path, name, CLASSES.index(label)))
    for part, listed in pictures.items():
        if not listed:
            raise DataError(f"{root / TABLE} names no image of partition {part}: add its rows")
        listed.sort(key=lambda picture: picture.name)
    if config.group_column:
        parts = with_groups(root, config.group_column, {**pictures}, root / TABLE)
    else:
        parts = {part: tuple(listed) for part, listed in pictures.items()}
    return FileSource(
        root, CLASSES, TISSUE, parts, config.image_size, config.skip_unreadable, watch
    )


def _is_plain(name: str) -> bool:
    """Say whether a name is a path that goes down only, written in the one way there is."""
    path = PurePosixPath(name)
    goes_down = bool(path.parts) and ".." not in path.parts and not path.is_absolute()
    return goes_down and str(path) == name and "\0" not in name
