"""Where named data sets come from: one reader per data set, raw arrays of one part at a time.

A new data set is one reader and one line in `SOURCES`. Part `test` is asked for by
`nasproxy.data.holdout` alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from nasproxy.config import DIGITS, OBJECTS, Augmentation
from nasproxy.data.idx import read_idx
from nasproxy.errors import DataError, unknown_name

Part = Literal["train", "test"]
_PREFIX = {"train": "train", "test": "t10k"}
_FASHION = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


@dataclass(frozen=True)
class RawPart:
    """Undecided pixels: images uint8 (N, C, H, W) in 0..255, labels int64 (N,)."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Source:
    """A data set known by name."""

    read: Callable[[Path, Part], RawPart]
    class_names: tuple[str, ...]
    augmentation: Augmentation
    torchvision_class: str | None = None
    """Class in `torchvision.datasets` that can download it; None: embedded."""


def default_data_dir() -> Path:
    """Return `NASPROXY_DATA`, or the user's cache folder."""
    if chosen := os.environ.get("NASPROXY_DATA"):
        return Path(chosen)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "nasproxy"


def get_source(name: str) -> Source:
    """Look a data set up by name.

    Raises:
        DataError: the name is unknown.
    """
    if name not in SOURCES:
        raise DataError(unknown_name("data set", name, SOURCES))
    return SOURCES[name]


def fetch(name: str, data_dir: Path) -> Path:
    """Make sure that a data set's files are there, downloading them if need be.

    Returns:
        The folder that holds the files; for embedded data, `data_dir` itself.

    Raises:
        DataError: the download failed; the message says which files to put where.
    """
    source = get_source(name)
    if is_here(name, data_dir):
        return data_dir / name if source.torchvision_class else data_dir
    from torchvision import datasets

    try:
        getattr(datasets, str(source.torchvision_class))(str(data_dir), train=True, download=True)
    except (OSError, RuntimeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(": ")
        names = ", ".join(n + ".gz" for part in _PREFIX for n in _file_names(part))
        raise DataError(
            f"{name} is not in {data_dir} and could not be downloaded "
            f"({reason}); put {names} in {data_dir / name}, "
            "or point NASPROXY_DATA or --data-dir at the folder above it"
        ) from error
    return data_dir / str(source.torchvision_class) / "raw"


def is_here(name: str, data_dir: Path) -> bool:
    """Say whether a data set can be read without a download."""
    if get_source(name).torchvision_class is None:
        return True
    return all(_find(data_dir, name, file) for part in _PREFIX for file in _file_names(part))


def _file_names(part: str) -> tuple[str, str]:
    prefix = _PREFIX[part]
    return f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"


def _find(data_dir: Path, name: str, file_name: str) -> Path | None:
    """Find a file in our layout (NAME/) or torchvision's (Class/raw/), gzipped or not."""
    folders = [data_dir / name]
    if torchvision_class := SOURCES[name].torchvision_class:
        folders.append(data_dir / torchvision_class / "raw")
    candidates = (folder / (file_name + end) for folder in folders for end in ("", ".gz"))
    return next((path for path in candidates if path.is_file()), None)


def _idx_reader(name: str) -> Callable[[Path, Part], RawPart]:
    def read(data_dir: Path, part: Part) -> RawPart:
        fetch(name, data_dir)
        arrays = []
        for file_name in _file_names(part):
            path = _find(data_dir, name, file_name)
            if path is None:
                raise DataError(f"{file_name}.gz is missing: put it in {data_dir / name}")
            arrays.append(read_idx(path))
        images, labels = arrays
        if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels) or not len(labels):
            raise DataError(
                f"{name} {part}: images {images.shape} and labels {labels.shape} do not belong "
                "together; fetch the files again"
            )
        if labels.max() >= len(SOURCES[name].class_names):
            raise DataError(f"{name} {part}: label {labels.max()} is not a class of this data set")
        return RawPart(images[:, None], labels.astype(np.int64))

    return read


def _read_digits(data_dir: Path, part: Part) -> RawPart:
    """Read scikit-learn's 1,797 8x8 digits; a fifth of each class, fixed for ever, is the test."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch = load_digits()
    images = np.round(bunch.images * (255 / 16)).astype(np.uint8)[:, None]
    labels = bunch.target.astype(np.int64)
    train, test = train_test_split(
        np.arange(len(labels)), test_size=0.2, random_state=0, stratify=labels
    )
    chosen = np.sort(train if part == "train" else test)
    return RawPart(images[chosen], labels[chosen])


_DIGIT_NAMES = tuple("0123456789")
SOURCES: dict[str, Source] = {
    "digits": Source(_read_digits, _DIGIT_NAMES, DIGITS),
    "mnist": Source(_idx_reader("mnist"), _DIGIT_NAMES, DIGITS, "MNIST"),
    "fashion-mnist": Source(_idx_reader("fashion-mnist"), _FASHION, OBJECTS, "FashionMNIST"),
}
