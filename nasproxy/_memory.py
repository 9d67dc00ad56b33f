"""What a process does with memory that it has freed."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc
_LARGEST = 2**31 - 1
_USUAL = 2**25
"""To which glibc itself raises the size of blocks that it keeps, at most (64 bits:
DEFAULT_MMAP_THRESHOLD_MAX); of free memory it then keeps twice that."""


def keep_freed_memory() -> bool:
    """Keep freed blocks for the next step instead of giving them back; say whether that is done.

    glibc maps blocks above 32 MiB anew each time, and the kernel clears them page by page. Training
    a ConvNet on batches of 256 images of 28x28 spends 30 to 45% of its time on that (one CPU
    thread, torch 2.15, 2026-11-22: docs/performance.md). The process stays as large as it once was.
    Other systems' allocators are left alone.
    """
    return _set_thresholds(_LARGEST, _LARGEST)


@contextlib.contextmanager
def usual_memory() -> Iterator[None]:
    """Within the block, keep what a process keeps that has not called `keep_freed_memory`.

    That is, at its best: glibc's own limits once they have risen as far as they do.
    """
    _set_thresholds(_USUAL, 2 * _USUAL)
    try:
        yield
    finally:
        keep_freed_memory()


def _set_thresholds(mmap_bytes: int, trim_bytes: int) -> bool:
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        wanted = {_M_MMAP_THRESHOLD: mmap_bytes, _M_TRIM_THRESHOLD: trim_bytes}
        return all(mallopt(what, size) for what, size in wanted.items())
    return False
