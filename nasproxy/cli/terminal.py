"""What the user sees: progress on stderr, results on stdout, errors in one line."""

from __future__ import annotations

import contextlib
import functools
import json
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TextIO

from nasproxy.errors import DataWarning, NasproxyError
from nasproxy.progress import Progress, Watch, unwatched

P = ParamSpec("P")
PLAIN_SECONDS = 10.0
"""Between two lines of progress where stderr is no terminal."""


class Terminal:
    """One command's way of speaking."""

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self._as_json = as_json
        self._quiet = quiet

    def say(self, content: Any) -> None:
        """Show text or a Rich renderable on stdout, unless JSON is wanted."""
        if not self._as_json:
            from rich.console import Console

            Console(highlight=False, soft_wrap=isinstance(content, str)).print(
                content, markup=not isinstance(content, str)
            )

    def finish(self, result: dict[str, Any]) -> None:
        """Print the result, where JSON is wanted."""
        if self._as_json:
            print(json.dumps(result, ensure_ascii=False, allow_nan=False))

    @contextlib.contextmanager
    def watching(self) -> Iterator[Watch]:
        """Show the progress of stages while the block runs."""
        if self._quiet:
            yield unwatched
        elif not sys.stderr.isatty():
            yield _plain_watch()
        else:
            with _bars() as watch:
                yield watch


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """Turn what a command raises into an exit code and a line on stderr."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        signal.signal(signal.SIGTERM, _interrupt)
        try:
            with _warnings_in_a_line():
                command(*args, **kwargs)
        except NasproxyError as error:
            leave(f"Error: {error}", 2)
        except KeyboardInterrupt:
            leave("Interrupted: the same command goes on where it stopped.", 130)
        except OSError as error:
            where = f" {error.filename}" if error.filename else ""
            leave(f"Error: {error.strerror or error}{where}: check space and permissions", 2)
        except Exception:
            traceback.print_exc()
            leave("This is a bug in nasproxy: please report it with the lines above.", 1)

    return run


@contextlib.contextmanager
def _warnings_in_a_line() -> Iterator[None]:
    """Show a warning about the user's data as one line on stderr, each text once."""
    shown: set[str] = set()
    before = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if not issubclass(category, DataWarning):
            before(message, category, filename, lineno, file, line)
        elif str(message) not in shown:
            shown.add(str(message))
            print(f"Warning: {' '.join(str(message).split())}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("always", DataWarning)
        warnings.showwarning = show
        yield


def leave(message: str, code: int) -> None:
    """Print a line to stderr and exit."""
    if message:
        print(" ".join(message.split()), file=sys.stderr)
    raise SystemExit(code)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _plain_watch() -> Watch:
    last: dict[str, float] = {}

    def watch(progress: Progress) -> None:
        now = time.monotonic()
        if progress.done < progress.total and now - last.get(progress.stage, 0) < PLAIN_SECONDS:
            return
        last[progress.stage] = now
        line = f"{progress.stage} {progress.done}/{progress.total} {progress.message}"
        print(line, file=sys.stderr, flush=True)

    return watch


@contextlib.contextmanager
def _bars() -> Iterator[Watch]:
    from rich import progress as rich_progress
    from rich.console import Console

    bars = rich_progress.Progress(
        rich_progress.TextColumn("{task.description:<8}"),
        rich_progress.BarColumn(bar_width=20),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TimeRemainingColumn(compact=True),
        rich_progress.TextColumn("{task.fields[message]}", markup=False),
        console=Console(stderr=True),
    )
    tasks: dict[str, rich_progress.TaskID] = {}
    starting = bars.add_task("starting", total=None, message="reading data, starting workers")

    def watch(progress: Progress) -> None:
        bars.update(starting, visible=progress.done >= progress.total)
        if progress.stage not in tasks:
            tasks[progress.stage] = bars.add_task(progress.stage, message="")
        bars.update(
            tasks[progress.stage],
            completed=progress.done,
            total=progress.total,
            message=progress.message,
        )

    with bars:
        yield watch
