"""What the user sees: progress on stderr, results on stdout, errors in one line."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ParamSpec, TextIO

from nasproxy.cli.interruption import interruptible
from nasproxy.errors import DataWarning, NasproxyError
from nasproxy.progress import Progress, Watch, unwatched

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import ProgressColumn, TaskID

P = ParamSpec("P")
PLAIN_SECONDS = 10.0
"""Between two lines of progress where stderr is no terminal."""


class Terminal:
    """One command's way of speaking."""

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self._as_json = as_json
        self._quiet = quiet

    def say(self, content: Any) -> None:
        """Show text or a Rich renderable on stdout, unless JSON is wanted.

        Colours and widths follow the terminal: none in a file or under NO_COLOR, 80 columns where
        there is no terminal.
        """
        if self._as_json:
            return
        from rich.console import Console

        if isinstance(content, str):
            Console(highlight=False, soft_wrap=True).print(printable(content), markup=False)
        else:
            Console(highlight=False).print(_in_house_style(content))

    def finish(self, result: dict[str, Any]) -> None:
        """Print the result, where JSON is wanted."""
        if self._as_json:
            # names come from the user's files, and may hold what steers a terminal
            print(json.dumps(result, allow_nan=False).replace("\x7f", "\\u007f"))

    @contextlib.contextmanager
    def watching(self) -> Iterator[Watch]:
        """Show the progress of stages while the block runs."""
        if self._quiet:
            yield unwatched
        elif not sys.stderr.isatty() or os.environ.get("TERM") in ("dumb", "unknown"):
            yield _plain_watch()
        else:
            with _bars() as watch:
                yield watch


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """Turn what a command raises into an exit code and a line on stderr."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            with interruptible(), _warnings_in_a_line():
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
            print(f"Warning: {printable(' '.join(str(message).split()))}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("always", DataWarning)
        warnings.showwarning = show
        yield


def leave(message: str, code: int) -> None:
    """Print a line to stderr and exit."""
    if message:
        print(printable(" ".join(message.split())), file=sys.stderr)
    raise SystemExit(code)


def printable(text: str) -> str:
    """Replace what a terminal would take for a command: names come from the user's files."""
    return "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)


def _in_house_style(content: Any) -> Any:
    """Give every table one look: a bold title, a line under the header, no frame."""
    from rich import box
    from rich.table import Table

    if isinstance(content, Table):
        content.box = box.SIMPLE_HEAD if content.show_header else None
        content.pad_edge = False
        content.title_style, content.title_justify = "bold", "left"
        content.header_style, content.border_style = "bold", "dim"
        content.caption_style, content.caption_justify = "dim", "left"
    return content


def rate_text(rate: float | None) -> str:
    """Word steps per second so that the number is neither tiny nor huge; unknown: nothing."""
    if not rate:
        return ""
    if rate >= 1:
        return f"{rate:,.1f}/s"
    return f"{60 * rate:.1f}/min" if rate >= 1 / 60 else f"{3600 * rate:.1f}/h"


def left_text(progress: Progress, rate: float | None) -> str:
    """Word how long the rest takes at that rate: `1:05 left`, or nothing."""
    if not rate or progress.done >= progress.total:
        return ""
    seconds = round((progress.total - progress.done) / rate)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
    return f"{clock} left"


def _plain_watch(clock: Callable[[], float] = time.monotonic) -> Watch:
    """Write a line at the first step, at the last one, and every few seconds between."""
    last: dict[str, float] = {}
    first: dict[str, tuple[float, int]] = {}

    def watch(progress: Progress) -> None:
        now, stage = clock(), progress.stage
        start, before = first.setdefault(stage, (now, progress.done))
        is_due = stage not in last or now - last[stage] >= PLAIN_SECONDS
        if progress.done < progress.total and not is_due:
            return
        last[stage] = now
        # steps of an earlier call that were merely read say nothing of the pace
        rate = (progress.done - before) / (now - start) if now - start >= 1 else None
        pace = ", ".join(filter(None, (rate_text(rate), left_text(progress, rate))))
        parts = (stage, f"{progress.done}/{progress.total}", pace and f"({pace})", progress.message)
        print(printable(" ".join(filter(None, parts))), file=sys.stderr, flush=True)

    return watch


@contextlib.contextmanager
def _bars(console: Console | None = None) -> Iterator[Watch]:
    from rich.console import Console
    from rich.progress import Progress as Bars

    # a slow stage steps once in minutes: its pace is that of a whole hour
    bars = Bars(
        *_columns(),
        console=console or Console(stderr=True),
        speed_estimate_period=3600,
        expand=True,
    )
    tasks: dict[str, TaskID] = {}
    starting = bars.add_task("starting", total=None, message="reading data, starting workers")

    def watch(progress: Progress) -> None:
        bars.update(starting, visible=progress.done >= progress.total)
        if progress.stage not in tasks:
            tasks[progress.stage] = bars.add_task(progress.stage, message="")
        bars.update(
            tasks[progress.stage],
            completed=progress.done,
            total=progress.total,
            message=printable(progress.message),
        )

    with bars:
        yield watch


def _columns() -> list[ProgressColumn]:
    """Return stage, bar, count, rate, time left and message: one line in 80 columns."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.table import Column
    from rich.text import Text

    class RateColumn(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(rate_text(task.finished_speed or task.speed), style="progress.data.speed")

    message = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    return [
        TextColumn("{task.description:<8}", table_column=Column(no_wrap=True)),
        BarColumn(bar_width=16),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        RateColumn(table_column=Column(no_wrap=True)),
        TimeRemainingColumn(elapsed_when_finished=True, table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[message]}", markup=False, table_column=message),
    ]
