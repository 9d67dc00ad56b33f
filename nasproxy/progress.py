"""What a stage tells whoever watches it; the stage itself never prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far a stage has come."""

    stage: str
    done: int
    total: int
    message: str = ""


Watch = Callable[[Progress], None]


def unwatched(progress: Progress) -> None:
    """Ignore progress: the default for use from Python."""
