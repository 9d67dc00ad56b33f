"""What a data set offers before anything is normalised or divided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from nasproxy.config import Augmentation

Part = Literal["train", "val", "test"]


@dataclass(frozen=True)
class RawPart:
    """Undecided pixels of one part.

    Attributes:
        images: uint8 (N, C, H, W) in 0..255; may be a read-only memory map.
        labels: int64 (N,).
        groups: the patient, slide or other group of each image, or None.
        names: the file of each image, or None.
        skipped: images that were left out, by name, each with the reason.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    groups: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None
    skipped: dict[str, str] | None = None


class Source(Protocol):
    """A data set that was found; part `test` is asked for by `nasproxy.data.holdout` alone."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the K classes, in the order of the labels."""
        ...

    @property
    def augmentation(self) -> Augmentation:
        """Changes that keep the class of these images, unless the user says otherwise."""
        ...

    @property
    def parts(self) -> tuple[Part, ...]:
        """Which parts there are; `val` only where the data set comes with one."""
        ...

    def read(self, part: Part) -> RawPart:
        """Read one part.

        Raises:
            DataError: it is missing or damaged.
        """
        ...

    def fingerprint(self) -> str:
        """Return the sha256 of what may be trained on: the parts but the test part."""
        ...
