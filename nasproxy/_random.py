"""One root seed; every use of chance draws from a generator named after its purpose."""

from __future__ import annotations

import hashlib

import torch


def named_seed(seed: int, *names: str | int) -> int:
    """Return a 63-bit seed that depends on the root seed and on every name, in order."""
    text = "/".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def named_generator(seed: int, *names: str | int) -> torch.Generator:
    """Return a CPU generator for one purpose: same seed and names, same numbers everywhere."""
    return torch.Generator().manual_seed(named_seed(seed, *names))
