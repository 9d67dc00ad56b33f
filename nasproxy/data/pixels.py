"""From uint8 pixels to normalised images: in memory where they fit, else taken as they are wanted.

`NASPROXY_IN_MEMORY=0` or `1` decides it by hand.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, cast

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from nasproxy.errors import DataError

Pixels = npt.NDArray[np.uint8]
_CHUNK_BYTES = 8 * 2**20
_SHARE_OF_MEMORY = 0.3
"""Images take at most this share of the machine's memory: copies and networks need some, too."""


@dataclass(frozen=True)
class Normalization:
    """Mean and standard deviation per channel of the training set's pixels in [0, 1]."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def apply(self, pixels: Tensor) -> Tensor:
        """Normalise (N, C, H, W) pixels in [0, 1]."""
        mean, std = self._as_columns(pixels)
        return (pixels - mean) / std

    def undo(self, images: Tensor) -> Tensor:
        """Return (N, C, H, W) pixels in [0, 1], clipped."""
        mean, std = self._as_columns(images)
        return (images * std + mean).clamp(0, 1)

    def _as_columns(self, like: Tensor) -> tuple[Tensor, Tensor]:
        shape = (1, -1, 1, 1)
        return like.new_tensor(self.mean).view(shape), like.new_tensor(self.std).view(shape)


class StoredImages:
    """Images (N, C, H, W) on disk, in the places of a tensor where images are only taken.

    Taking rows reads and normalises them; everything else that a tensor can is refused in words.

    Args:
        file: of uint8 pixels (M, C, H, W) in C order.
        shape: (M, C, H, W).
        rows: (N,) int64, which of them.
        normalization: of the pixels.
        device: that taken images are put on.
    """

    def __init__(
        self,
        file: Path,
        shape: tuple[int, int, int, int],
        rows: Tensor,
        normalization: Normalization,
        device: torch.device,
    ) -> None:
        self._file, self._whole, self._rows = file, shape, rows
        self._normalization = normalization
        self._mapped: Pixels | None = None
        self.device = device
        self.shape = torch.Size((len(rows), *shape[1:]))
        self.ndim = 4
        self.dtype = torch.float32

    def __len__(self) -> int:
        """Return N."""
        return len(self._rows)

    def __getitem__(self, chosen: Any) -> Tensor:
        """Read the rows that an index tensor or a slice chooses, (B, C, H, W) float32.

        A number chooses one image, (C, H, W).
        """
        if isinstance(chosen, int):
            return self[torch.tensor([chosen])][0]
        if self._mapped is None:
            self._mapped = np.memmap(self._file, np.uint8, "r", shape=self._whole)
        rows = self._rows[chosen.cpu() if isinstance(chosen, Tensor) else chosen].numpy()
        pixels = torch.from_numpy(np.ascontiguousarray(self._mapped[rows])).to(self.device)
        return self._normalization.apply(pixels.float().div_(255))

    def split(self, size: int) -> Iterator[Tensor]:
        """Yield batches of `size` rows."""
        return (self[start : start + size] for start in range(0, len(self), size))

    def select(self, chosen: Tensor) -> StoredImages:
        """Return some of the images without reading them."""
        return StoredImages(
            self._file, self._whole, self._rows[chosen.cpu()], self._normalization, self.device
        )

    def to(self, device: torch.device) -> StoredImages:
        """Return images that are put on another device when taken."""
        return StoredImages(self._file, self._whole, self._rows, self._normalization, device)

    def contiguous(self, **_: Any) -> StoredImages:
        """Return the same: the layout is the file's."""
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Leave the memory map behind: another process opens its own."""
        return {**self.__dict__, "_mapped": None}

    def __getattr__(self, name: str) -> Any:
        """Refuse what would need all images at once."""
        if name.startswith("__"):
            raise AttributeError(name)
        self._refuse()

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> NoReturn:
        """Refuse the functions of torch that are not methods."""
        for value in (*args, *(kwargs or {}).values()):
            for item in value if isinstance(value, list | tuple) else [value]:
                if isinstance(item, cls):
                    item._refuse()
        raise TypeError(f"{function} takes no {cls.__name__}")

    def _refuse(self, *_: object) -> NoReturn:
        raise DataError(
            f"{len(self):,} images of {tuple(self.shape[1:])} do not fit into memory, and this "
            "step needs them all at once: choose a smaller --image-size, or a random proxy"
        )

    __add__ = __sub__ = __mul__ = __truediv__ = __gt__ = __lt__ = __setitem__ = _refuse


def to_images(
    pixels: Pixels, rows: Tensor | None, normalization: Normalization, image_size: int | None
) -> Tensor:
    """Normalise pixels, in memory if they fit.

    Args:
        pixels: uint8 (M, C, H, W).
        rows: (N,) int64, which of them; None: all.
        normalization: of the training set.
        image_size: side in pixels to resize to, with antialiasing; None: as they are.

    Returns:
        (N, C, H, W) float32, or `StoredImages` that can be taken from in its place.
    """
    rows = torch.arange(len(pixels)) if rows is None else rows
    if isinstance(pixels, np.memmap) and not fits_memory(pixels.size * 4):
        file, shape = Path(str(pixels.filename)), pixels.shape
        stored = StoredImages(file, cast(Any, shape), rows, normalization, torch.device("cpu"))
        return cast(Tensor, stored)  # the few things that are done to it are done alike
    chunks = [normalization.apply(chunk) for chunk in _chunks(pixels, rows, image_size)]
    return torch.cat(chunks) if len(chunks) > 1 else chunks[0]


def measure(pixels: Pixels, image_size: int | None) -> Normalization:
    """Return the mean and standard deviation of each channel, summed in float64."""
    total = torch.zeros(pixels.shape[1], dtype=torch.float64)
    squares = torch.zeros_like(total)
    count = 0
    for chunk in _chunks(pixels, torch.arange(len(pixels)), image_size):
        # float32 sums over the 47 million pixels of MNIST are off in the fourth digit
        values = chunk.double()
        total += values.sum(dim=(0, 2, 3))
        squares += values.square().sum(dim=(0, 2, 3))
        count += values.numel() // values.shape[1]
    mean = total / count
    std = (squares / count - mean.square()).clamp_min(0).sqrt().clamp_min(1e-6)
    return Normalization(tuple(mean.tolist()), tuple(std.tolist()))


def fits_memory(num_bytes: int) -> bool:
    """Say whether images of so many bytes may be held in memory."""
    if chosen := os.environ.get("NASPROXY_IN_MEMORY"):
        return chosen != "0"
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return num_bytes <= _SHARE_OF_MEMORY * memory


def _chunks(pixels: Pixels, rows: Tensor, image_size: int | None) -> Iterator[Tensor]:
    """Yield float32 (B, C, H, W) pixels in [0, 1], resized where asked."""
    size = None if image_size is None else (image_size, image_size)
    side = math.prod(pixels.shape[2:] if size is None else size)
    for few in rows.split(max(1, _CHUNK_BYTES // (side * pixels.shape[1]))):
        chunk = torch.from_numpy(pixels[few.numpy()].astype(np.float32)).div_(255)
        if size is not None and tuple(chunk.shape[2:]) != size:
            chunk = F.interpolate(
                chunk, size=size, mode="bilinear", antialias=True, align_corners=False
            )
        yield chunk
