"""Where tasks run, and what one candidate may use."""

from __future__ import annotations

import sys
from typing import Self

from pydantic import model_validator

from nasproxy.config.base import Config
from nasproxy.errors import nearest

ENGINES = ("serial", "processes", "ray")


class EngineConfig(Config):
    """How tasks are spread; no part of what is computed, so that any may go on with any run.

    Attributes:
        name: one of ENGINES; None: what fits the device and the number of workers.
        timeout_seconds: wall time that one task may take; None: any.
        memory_bytes: main memory that one task may allocate (Linux); None: any.
        ray_address: of a running Ray cluster, `auto` or HOST:PORT; None: RAY_ADDRESS, else a
            cluster of this machine's own, for the time of the run.
        gpus_per_candidate: share of a GPU, or whole ones, that Ray gives a task; None: one on
            CUDA, none on a CPU.
    """

    name: str | None = None
    timeout_seconds: float | None = None
    memory_bytes: int | None = None
    ray_address: str | None = None
    gpus_per_candidate: float | None = None

    @property
    def has_limits(self) -> bool:
        """Whether a task can be ended from outside; a thread of this process cannot."""
        return self.timeout_seconds is not None or self.memory_bytes is not None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.name is not None and self.name not in ENGINES:
            raise ValueError(
                f"engine must be serial, processes or ray, got {self.name!r} (--engine)"
                + nearest(self.name, ENGINES)
            )
        for value, words, flag in (
            (self.timeout_seconds, "seconds of a candidate", "--candidate-timeout"),
            (self.memory_bytes, "bytes of a candidate", "--candidate-memory"),
            (self.gpus_per_candidate, "GPUs of a candidate", "--gpus-per-candidate"),
        ):
            if value is not None and value <= 0:
                raise ValueError(f"{words} must be > 0, got {value:g} ({flag})")
        gpus = self.gpus_per_candidate
        if gpus is not None and gpus > 1 and gpus != int(gpus):
            raise ValueError(
                f"a candidate takes a share of one GPU or whole ones, got {gpus:g} "
                "(--gpus-per-candidate)"
            )
        if self.name != "ray" and (self.ray_address is not None or gpus is not None):
            flag = "--gpus-per-candidate" if self.ray_address is None else "--ray-address"
            raise ValueError(f"{flag} is for the ray engine: add --engine ray")
        if self.name == "serial" and self.has_limits:
            raise ValueError(
                "the serial engine cannot end a candidate: with --candidate-timeout or "
                "--candidate-memory use --engine processes"
            )
        if self.memory_bytes is not None and sys.platform != "linux":
            raise ValueError(
                f"memory can be limited on Linux alone, this is {sys.platform}: "
                "leave out --candidate-memory"
            )
        return self


Engine = EngineConfig | str | None
"""What a caller may say of it: all, its name, or None for what fits."""
