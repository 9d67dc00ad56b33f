"""Ctrl-C and SIGTERM: a command that was told to stop stops."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

AGAIN_SECONDS = 1.0
"""After which an interrupt that got lost is raised again."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGINT and SIGTERM end the block with a KeyboardInterrupt, though the first may get lost.

    Python drops what is raised in a destructor or a weak reference's callback, and libraries turn
    it into errors of their own.

    Raises:
        KeyboardInterrupt: a signal came; the block may have ended nevertheless.
    """
    interruption = _Interruption()
    # what the caller had ignored, as nohup and shells do for jobs in the background, stays so
    heeded = [n for n in _SIGNALS if signal.getsignal(n) not in (signal.SIG_IGN, None)]
    before = {number: signal.signal(number, interruption) for number in heeded}
    hook, sys.unraisablehook = sys.unraisablehook, interruption.report
    try:
        yield
    except Exception as error:
        if interruption.came:
            raise KeyboardInterrupt from error
        raise
    finally:
        interruption.is_over = True  # from here on none is raised
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.unraisablehook = hook
    if interruption.came:
        raise KeyboardInterrupt


def exit_now(code: object) -> NoReturn:
    """Exit in the midst of work, with all that is registered for the exit.

    Python would end threads that still train in the middle of PyTorch's code: of 12 interrupted
    searches, 4 were ended by a signal of their own making (2026-11-28).
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    atexit._run_exitfuncs()
    os._exit(code if isinstance(code, int) else 1)


class _Interruption:
    """A handler of signals that raises, and goes on raising while nothing comes of it."""

    def __init__(self) -> None:
        self.came = self.is_over = False
        self._report = sys.unraisablehook

    def __call__(self, number: int, frame: object) -> None:
        if number != signal.SIGALRM:
            self.came = True
            signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS, AGAIN_SECONDS)
        elif _is_heeded(sys.exception()):
            return  # what has to be put away is being put away
        if self.came and not self.is_over:
            raise KeyboardInterrupt

    def report(self, dropped: Any) -> None:
        """Report what Python drops, but for interrupts: they are raised again."""
        if not issubclass(dropped.exc_type, KeyboardInterrupt):
            self._report(dropped)


def _is_heeded(error: BaseException | None) -> bool:
    """Say whether an interrupt is among what is being handled."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None
