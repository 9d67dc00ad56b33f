"""Data sets known by name: one reader per data set, raw arrays of one part at a time.

A new data set is one reader and one line in `NAMED`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from nasproxy._files import sha256_of
from nasproxy.config import DIGITS, OBJECTS, Augmentation
from nasproxy.data.idx import read_idx
from nasproxy.data.source import Part, RawPart
from nasproxy.errors import DataError

_PREFIX = {"train": "train", "test": "t10k"}
_FASHION = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


@dataclass(frozen=True)
class Named:
    """A data set known by name."""

    read: Callable[[Path, Part], RawPart]
    class_names: tuple[str, ...]
    augmentation: Augmentation
    torchvision_class: str | None = None
    """Class in `torchvision.datasets` that can download it; None: embedded."""


@dataclass(frozen=True)
class NamedSource:
    """A named data set in a folder of data sets; it comes as train and test."""

    named: Named
    data_dir: Path
    parts: tuple[Part, ...] = ("train", "test")

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.named.class_names

    @property
    def augmentation(self) -> Augmentation:
        """Changes that keep the class."""
        return self.named.augmentation

    def read(self, part: Part) -> RawPart:
        """Read one part."""
        return self._train if part == "train" else self.named.read(self.data_dir, part)

    def fingerprint(self) -> str:
        """Return the sha256 of shapes, pixels and labels of the training part."""
        return fingerprint(self._train)

    @cached_property
    def _train(self) -> RawPart:
        return self.named.read(self.data_dir, "train")


def fingerprint(raw: RawPart) -> str:
    """Return the sha256 of shapes, pixels and labels."""
    shape = str((raw.images.shape, raw.labels.shape)).encode()
    return sha256_of(
        [shape, np.ascontiguousarray(raw.images).data, np.ascontiguousarray(raw.labels).data]
    )


def fetch(name: str, data_dir: Path) -> Path:
    """Make sure that a data set's files are there, downloading them if need be.

    Returns:
        The folder that holds the files; for embedded data, `data_dir` itself.

    Raises:
        DataError: the download failed; the message says which files to put where.
    """
    source = NAMED[name]
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
    if NAMED[name].torchvision_class is None:
        return True
    return all(_find(data_dir, name, file) for part in _PREFIX for file in _file_names(part))


def _file_names(part: str) -> tuple[str, str]:
    prefix = _PREFIX[part]
    return f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"


def _find(data_dir: Path, name: str, file_name: str) -> Path | None:
    """Find a file in our layout (NAME/) or torchvision's (Class/raw/), gzipped or not."""
    folders = [data_dir / name]
    if torchvision_class := NAMED[name].torchvision_class:
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
        if labels.max() >= len(NAMED[name].class_names):
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
NAMED: dict[str, Named] = {
    "digits": Named(_read_digits, _DIGIT_NAMES, DIGITS),
    "mnist": Named(_idx_reader("mnist"), _DIGIT_NAMES, DIGITS, "MNIST"),
    "fashion-mnist": Named(_idx_reader("fashion-mnist"), _FASHION, OBJECTS, "FashionMNIST"),
}
