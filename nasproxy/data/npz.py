"""`npz:FILE`: images and labels in one file, under MedMNIST's names; 2-D images only.

Source: Yang et al. 2023, "MedMNIST v2" (arXiv 2110.14795): `train_images`, `train_labels` and the
like for `val` and `test`; images uint8 (N, H, W) or (N, H, W, 3), labels (N, 1) or (N,).
"""

from __future__ import annotations

import hashlib
import lzma
import math
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from nasproxy._files import check_file
from nasproxy.config import GENERIC, Augmentation, DataConfig
from nasproxy.data.bomb import refuse_bomb
from nasproxy.data.decoded import Pixels, key_of, map_images, recall
from nasproxy.data.listing import check_counts, check_num_classes
from nasproxy.data.source import Part, RawPart
from nasproxy.errors import ArtifactError, DataError, shown
from nasproxy.progress import Progress, Watch

MAX_FILE_BYTES = 256 * 2**30
MAX_MEMBER_BYTES = 256 * 2**30
MAX_LABELS = 40_000_000
MAX_HEADER = 10_000
_BATCH_BYTES = 16 * 2**20


def open_npz(path: Path, config: DataConfig, watch: Watch) -> NpzSource:
    """Look at what a file holds.

    Raises:
        DataError: it is missing, malformed, or lacks the training images.
    """
    if config.group_column:
        raise DataError(f"{path} has no groups: leave --group-column out")
    source = NpzSource(path, config.image_size, watch)
    for part in ("train", "val", "test"):
        missing = {f"{part}_images", f"{part}_labels"} - set(source.members)
        if missing and (part != "val" or len(missing) == 1):
            held = shown(", ".join(source.members)) if source.members else "nothing"
            raise DataError(
                f"{path} has no {' and '.join(sorted(missing))}, only {held}: MedMNIST's names "
                "are wanted"
            )
    check_num_classes(path, source.num_classes)
    check_counts(path, source.labels("train"), source.class_names)
    return source


@dataclass(frozen=True)
class NpzSource:
    """A file of arrays.

    Attributes:
        path: of the file.
        size: side in pixels to squeeze images to; None: as they are.
        watch: told of the decoding.
    """

    path: Path
    size: int | None
    watch: Watch

    @property
    def augmentation(self) -> Augmentation:
        """What is safe when nothing is known of the images."""
        return GENERIC

    @cached_property
    def members(self) -> tuple[str, ...]:
        """Names of the arrays."""
        with self._opened() as archive:
            names = [info.filename for info in archive.infolist()]
        return tuple(name.removesuffix(".npy") for name in names if name.endswith(".npy"))

    @property
    def parts(self) -> tuple[Part, ...]:
        """Which parts there are."""
        known: tuple[Part, ...] = ("train", "val", "test")
        wanted = [(p, {f"{p}_images", f"{p}_labels"}) for p in known]
        return tuple(part for part, names in wanted if names <= set(self.members))

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """The labels that occur in training, as text: the file names no class."""
        return tuple(str(label) for label in range(self.num_classes))

    @property
    def num_classes(self) -> int:
        """The largest training label and one."""
        return int(self.labels("train").max()) + 1

    def read(self, part: Part) -> RawPart:
        """Map the images of a part, unpacking them the first time."""
        labels = self.labels(part)
        if labels.max() >= len(self.class_names):
            raise DataError(
                f"{self.path}: {part}_labels holds {labels.max()}, a class without training images"
            )
        count, height, width, channels = self._layout(part)
        if count != len(labels):
            raise DataError(
                f"{self.path}: {count} {part}_images and {len(labels)} {part}_labels do not "
                "belong together"
            )
        square = (height, width) if self.size is None else (self.size, self.size)
        shape = (channels, *square)

        def unpack(facts: dict[str, Any]) -> Iterator[Pixels]:
            done = 0
            for batch in self._rows(f"{part}_images", count, (height, width, channels)):
                yield np.stack([_squeeze(image, square) for image in batch])
                done += len(batch)
                self.watch(Progress(f"unpack {part}", done, count))

        images, _ = map_images(key_of(self.fingerprint(), part, shape), shape, unpack)
        return RawPart(images, labels)

    def fingerprint(self) -> str:
        """Return the sha256 of the file, its test part included: a part has no file of its own."""
        try:
            facts = self.path.stat()
        except OSError as error:
            raise DataError(f"cannot read {self.path}: {error.strerror}") from error
        key = key_of("file", str(self.path.resolve()), facts.st_size, facts.st_mtime_ns)
        return str(recall(key, lambda: {"sha256": _hash_file(self.path)})["sha256"])

    def labels(self, part: str) -> npt.NDArray[np.int64]:
        """Read the labels of a part, int64 (N,)."""
        name = f"{part}_labels"
        with self._opened() as archive, _member(archive, self.path, name) as file:
            shape, dtype = self._header(file, name)
            if dtype.kind not in "iu":
                raise DataError(f"{self.path}: {name} must be whole numbers, got {dtype} {shape}")
            if math.prod(shape) > MAX_LABELS:
                raise DataError(f"{self.path}: {name} claims to hold {shape}: not read")
            if len(shape) == 2 and shape[1] > 1:
                raise DataError(
                    f"{self.path}: {name} gives {shape[1]} labels an image; one each is wanted "
                    "(multi-label data is not handled)"
                )
            if len(shape) not in (1, 2) or min(shape) < 1:
                raise DataError(f"{self.path}: {name} must be (N,) or (N, 1), got {shape}")
            content = _read_exactly(file, shape[0] * dtype.itemsize, self.path, name)
        labels = np.frombuffer(content, dtype).astype(np.int64)
        if labels.min() < 0:
            raise DataError(f"{self.path}: {name} holds {labels.min()}: labels begin at 0")
        return labels

    def _layout(self, part: str) -> tuple[int, int, int, int]:
        """Return (N, H, W, C) of a part's images."""
        name = f"{part}_images"
        with self._opened() as archive, _member(archive, self.path, name) as file:
            shape, dtype = self._header(file, name)
            held = archive.getinfo(f"{name}.npy").file_size
        if math.prod(shape) > held:
            raise DataError(
                f"{self.path}: {name} ends too early: {held:,} bytes for {shape}; fetch the file "
                "again"
            )
        if dtype != np.uint8:
            raise DataError(f"{self.path}: {name} must be uint8 in 0..255, got {dtype}")
        if len(shape) == 3:
            shape = (*shape, 1)
        if len(shape) != 4 or shape[3] not in (1, 3):
            raise DataError(
                f"{self.path}: {name} must be (N, H, W) or (N, H, W, 3), got {shape}; "
                "3-D volumes are not handled: cut them into slices"
            )
        if min(shape) < 1:
            raise DataError(f"{self.path}: {name} is empty: {shape}")
        count, height, width, channels = shape
        limit = Image.MAX_IMAGE_PIXELS
        if limit and height * width > limit:
            raise DataError(
                f"{self.path}: {name}: images of {height} x {width} are more than {limit:,} pixels"
            )
        return count, height, width, channels

    def _rows(self, name: str, count: int, shape: tuple[int, int, int]) -> Iterator[Pixels]:
        """Yield batches (B, H, W, C) without ever holding all images."""
        row = math.prod(shape)
        batch = max(1, _BATCH_BYTES // row)
        with self._opened() as archive, _member(archive, self.path, name) as file:
            self._header(file, name)
            for start in range(0, count, batch):
                size = min(batch, count - start)
                content = _read_exactly(file, size * row, self.path, name)
                yield np.frombuffer(content, np.uint8).reshape(size, *shape)

    def _header(self, file: IO[bytes], name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        try:
            version = np.lib.format.read_magic(file)
            read = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, fortran, dtype = read(file, max_header_size=MAX_HEADER)
            if any(size < 0 for size in shape):
                raise ValueError(f"shape {shape}")
        except Exception as error:  # numpy evaluates and tokenizes what it finds there
            raise DataError(f"{self.path}: {name} is no array: {_reason(error)}") from error
        if dtype.hasobject:
            raise DataError(f"{self.path}: {name} holds pickled objects, which are never loaded")
        if fortran and len(shape) > 1:
            raise DataError(f"{self.path}: {name} is in Fortran order: save it in C order")
        return shape, dtype

    def _opened(self) -> zipfile.ZipFile:
        try:
            check_file(self.path, MAX_FILE_BYTES)
            return zipfile.ZipFile(self.path)
        except ArtifactError as error:
            raise DataError(str(error)) from error
        except OSError as error:
            raise DataError(
                f"cannot read {self.path}: {error.strerror or error}; check the path after npz:"
            ) from error
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise DataError(f"{self.path} is not an npz file: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """Return what an error says in a line of readable length: it may quote the file."""
    return " ".join(str(error).split())[:200]


def _member(archive: zipfile.ZipFile, path: Path, name: str) -> IO[bytes]:
    try:
        info = archive.getinfo(f"{name}.npy")
        if info.file_size > MAX_MEMBER_BYTES:
            raise DataError(f"{path}: {name} claims {info.file_size:,} bytes: not read")
        refuse_bomb(f"{path}: {name}", info.compress_size, info.file_size)
        return archive.open(info)
    except KeyError as error:
        raise DataError(f"{path} has no {name}") from error
    except (zipfile.BadZipFile, ValueError, RuntimeError, OSError) as error:
        # a ValueError: the name before the data is no UTF-8
        raise DataError(f"{path}: {name} cannot be unpacked: {_reason(error)}") from error


def _read_exactly(file: IO[bytes], size: int, path: Path, name: str) -> bytes:
    try:
        content = file.read(size)
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: {name} is damaged: {error}") from error
    if len(content) != size:
        raise DataError(f"{path}: {name} ends too early: fetch the file again")
    return content


def _squeeze(image: Pixels, square: tuple[int, int]) -> Pixels:
    """Turn (H, W, C) into (C, h, w)."""
    if image.shape[:2] != square:
        picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
        image = np.asarray(picture.resize((square[1], square[0]), Image.Resampling.BILINEAR))
        image = image.reshape(*square, -1)
    return image.transpose(2, 0, 1)


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
