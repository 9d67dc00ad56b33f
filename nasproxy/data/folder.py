"""`folder:PATH`: one folder a class, divided into train, val and test or not.

`PATH/CLASS/*` or `PATH/train|val|test/CLASS/*`; a class's folder may hold folders of its own.
Without a test folder, a fifth of the images, the same ones for ever, is kept for testing.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import NoReturn

import torch

from nasproxy.config import GENERIC, DataConfig
from nasproxy.data.listing import FileSource, Picture, check_counts, check_num_classes, leads_out
from nasproxy.data.picture import suffixes
from nasproxy.data.source import Part
from nasproxy.data.split import divide
from nasproxy.data.table import with_groups
from nasproxy.errors import DataError, DataWarning
from nasproxy.progress import Watch

TEST_FRACTION = 0.2
_PARTS: dict[str, Part] = {
    "train": "train", "training": "train", "test": "test", "testing": "test",
    "val": "val", "valid": "val", "validation": "val",
}  # fmt: skip
ORDER: tuple[Part, ...] = ("train", "val", "test")


def open_folder(root: Path, config: DataConfig, watch: Watch) -> FileSource:
    """List the images of a folder.

    Raises:
        DataError: it is missing, empty, or not laid out in classes.
    """
    if not root.is_dir():
        raise DataError(f"{root} is not a folder: check the path after folder:")
    divided = _find_parts(root)
    classes = [folder.name for folder in _class_folders(root, divided["train"])]
    check_num_classes(root, len(classes))
    left_out = [] if divided["train"] == root else _loose_images(root, root)
    pictures: dict[Part, Sequence[Picture]] = {
        part: _list_part(root, folder, classes, left_out) for part, folder in divided.items()
    }
    if left_out:
        few = ", ".join(left_out[:3])
        warnings.warn(
            f"{len(left_out)} files in {root} count for nothing (no image by its name, in no "
            f"class's folder, or a linked folder): {few}{', ...' if len(left_out) > 3 else ''}",
            DataWarning,
            stacklevel=2,
        )
    if config.group_column:
        pictures = {**with_groups(root, config.group_column, pictures)}
    if "test" not in pictures:
        pictures |= _hold_out(root, pictures["train"], tuple(classes))
    listed = {part: tuple(found) for part, found in pictures.items()}
    return FileSource(
        root, tuple(classes), GENERIC, listed, config.image_size, config.skip_unreadable, watch
    )


def _find_parts(root: Path) -> dict[Part, Path]:
    """Find the folders of the parts; where there are none, all is for training.

    Raises:
        DataError: there is something else beside them: classes called train and test would be a
            trap, a class called test beside others is none.
    """
    tops = _subfolders(root)
    parts = {top: _PARTS.get(top.name.lower()) for top in tops}
    train = next((top for top, part in parts.items() if part == "train"), None)
    if train is None or (None in parts.values() and not _subfolders(train)):
        return {"train": root}
    found: dict[Part, Path] = {}
    for top, part in parts.items():
        if part is None or part in found:
            what = "no part" if part is None else f"a second {part} part"
            raise DataError(
                f"{train} holds folders, so {root} seems to be divided, but {top.name} is {what}: "
                "move it elsewhere, or rename it (train, val and test are parts)"
            )
        _refuse_leaving(top, root)
        found[part] = top
    return {part: found[part] for part in ORDER if part in found}


def _subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
    except OSError as error:
        _cannot_list(error)


def _cannot_list(error: OSError) -> NoReturn:
    raise DataError(f"cannot list {error.filename}: {error.strerror}") from error


def _class_folders(root: Path, folder: Path) -> list[Path]:
    if found := _subfolders(folder):
        return found
    both = f" or in {root}/train/CLASS/" if folder == root else ""
    raise DataError(f"{folder} has no folder per class: put the images in {folder}/CLASS/{both}")


def _loose_images(root: Path, folder: Path) -> list[str]:
    """List the images that lie beside folders instead of in them."""
    return [
        path.relative_to(root).as_posix()
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in suffixes() and path.name[0] != "." and not path.is_dir()
    ]


def _list_part(
    root: Path, folder: Path, classes: list[str], left_out: list[str]
) -> Sequence[Picture]:
    """List a part's pictures, sorted by name."""
    labels = {name: label for label, name in enumerate(classes)}
    found: list[Picture] = []
    left_out += _loose_images(root, folder)
    for class_folder in _class_folders(root, folder):
        if class_folder.name not in labels:
            raise DataError(
                f"{class_folder}: the class {class_folder.name!r} is not among the training "
                f"classes ({', '.join(islice(classes, 5))}{', ...' if len(classes) > 5 else ''}): "
                "rename or remove it"
            )
        names = list(_image_names(root, class_folder, left_out))
        if not names:
            raise DataError(f"{class_folder} holds no image: add some, or remove the folder")
        label = labels[class_folder.name]
        found += [Picture(root / name, name, label) for name in names]
    return sorted(found, key=lambda picture: picture.name)


def _image_names(root: Path, folder: Path, left_out: list[str]) -> Iterable[str]:
    """Yield the images below a folder by their paths within the root."""
    _check_name(root, folder)
    for where, folders, files in os.walk(folder, onerror=_cannot_list):
        folders[:] = [name for name in folders if name[0] != "."]
        for name in (*folders, *files):
            path = Path(where, name)
            if name[0] == ".":
                continue
            _check_name(root, path)
            found = path.relative_to(root).as_posix()
            if name in folders:
                left_out += [found] if path.is_symlink() else []
            elif path.suffix.lower() in suffixes():
                yield found
            else:
                left_out.append(found)


def _check_name(root: Path, path: Path) -> None:
    """Refuse a link that leaves the folder, and a name that no text file could hold."""
    _refuse_leaving(path, root)
    try:
        str(path.relative_to(root)).encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(path).decode(errors="backslashreplace")
        raise DataError(f"{shown}: its name is not valid UTF-8, rename it") from error


def _refuse_leaving(path: Path, root: Path) -> None:
    if path.is_symlink() and leads_out(path, os.path.realpath(root)):
        raise DataError(
            f"{path} is a link that leaves {root}: copy what it points at, or remove it"
        )


def _hold_out(
    root: Path, pictures: Sequence[Picture], classes: tuple[str, ...]
) -> dict[Part, Sequence[Picture]]:
    """Keep a fifth of the images, or of the groups, for testing, whatever the seed."""
    labels = torch.tensor([picture.label for picture in pictures])
    check_counts(root, labels.numpy(), classes)
    groups = [picture.group for picture in pictures]
    train, test = divide(
        labels,
        None if groups[0] is None else [str(group) for group in groups],
        TEST_FRACTION,
        seed=0,
        purpose="hold-out",
    )
    return {
        "train": [pictures[index] for index in train.tolist()],
        "test": [pictures[index] for index in test.tolist()],
    }
