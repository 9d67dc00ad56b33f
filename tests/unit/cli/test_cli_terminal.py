"""How the terminal looks: in a file, in a narrow window, without colour."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from nasproxy.cli.app import app
from nasproxy.cli.terminal import Terminal, _bars, _plain_watch, left_text, rate_text
from nasproxy.progress import Progress

COMMON = {"--json", "--quiet", "--seed", "--device"}


def walk(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command of the application that does something."""
    for name, child in getattr(command, "commands", {}).items():
        yield from walk(child, (*path, name))
    if not hasattr(command, "commands"):
        yield " ".join(path), command


def application() -> Any:
    from typer.main import get_command

    return get_command(app)


@pytest.mark.parametrize(("name", "command"), list(walk(application())))
def test_every_command_takes_the_common_options(name, command):
    options = {option for parameter in command.params for option in parameter.opts}
    assert options >= COMMON, name
    assert command.help, name
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{name} {parameter.name} says what it is"


def test_completion_is_offered():
    options = {option for parameter in application().params for option in parameter.opts}
    assert {"--install-completion", "--show-completion"} <= options


@pytest.fixture
def table():
    found = Table(title="Best")
    for name in ("trial", "architecture", "proxy", "params", "seconds"):
        found.add_column(name)
    found.add_row("12", "depth 3 width 64 norm instance pooling max " * 3, "97.1%", "1,000", "9.1")
    return found


def test_in_a_file_there_are_no_colours_and_80_columns(table, capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    Terminal(as_json=False, quiet=False).say(table)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert max(len(line) for line in out.splitlines()) <= 80
    assert "97.1%" in out
    assert "│" not in out, "one look: no frames"


def test_no_color_is_respected(table, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    Terminal(as_json=False, quiet=False).say(table)
    assert not re.search(r"\x1b\[(?:\d+;)*[349]\d", capsys.readouterr().out), "bold, at most"


def test_text_is_taken_as_it_is_but_for_control_characters(capsys):
    Terminal(as_json=False, quiet=False).say("[bold]class[/bold] \x1b[31mred\x07 " + "long " * 40)
    out = capsys.readouterr().out
    assert out.startswith("[bold]class[/bold] ?[31mred?")
    assert out.count("\n") == 1, "long text is left to the terminal to break"


def test_with_json_stdout_holds_one_object(table, capsys):
    terminal = Terminal(as_json=True, quiet=True)
    terminal.say(table)
    terminal.say("words")
    terminal.finish({"name": "ä"})
    out = capsys.readouterr().out
    assert json.loads(out) == {"name": "ä"}
    assert out.count("\n") == 1


@pytest.mark.parametrize(
    ("rate", "text"),
    [(None, ""), (0.0, ""), (1234.5, "1,234.5/s"), (1.0, "1.0/s"), (0.5, "30.0/min"),
     (1 / 60, "1.0/min"), (0.01, "36.0/h")],
)  # fmt: skip
def test_rate(rate, text):
    assert rate_text(rate) == text


@pytest.mark.parametrize(
    ("done", "rate", "text"),
    [(0, None, ""), (10, 1.0, ""), (4, 0.1, "1:00 left"), (9, 1 / 3725, "1:02:05 left")],
)
def test_time_left(done, rate, text):
    assert left_text(Progress("search", done, 10), rate) == text


def test_lines_of_progress_tell_rate_and_time_left(capsys):
    times = iter([0.0, 4.0, 11.0, 12.0, 40.0])
    watch = _plain_watch(lambda: next(times))
    for done in (20, 22, 31, 32, 60):  # 20 were there before
        watch(Progress("search", done, 60, f"trial {done}\x1b"))
    assert capsys.readouterr().err.splitlines() == [
        "search 20/60 trial 20?",
        "search 31/60 (1.0/s, 0:29 left) trial 31?",
        "search 60/60 (1.0/s) trial 60?",
    ]


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_no_bars_where_the_terminal_cannot_draw(term, monkeypatch, capsys):
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with Terminal(as_json=False, quiet=False).watching() as watch:
        watch(Progress("search", 1, 1))
    assert capsys.readouterr().err == "search 1/1\n"


def test_quiet_is_quiet(capsys):
    with Terminal(as_json=False, quiet=True).watching() as watch:
        watch(Progress("search", 1, 1))
    assert capsys.readouterr().err == ""


def test_bars_stay_on_a_line_of_80_columns():
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=80, color_system=None)
    with _bars(console) as watch:
        watch(Progress("evaluation", 1200, 3600, "start"))
        watch(Progress("evaluation", 1300, 3600, "[red]a candidate[/red] " + "of many words " * 9))
    drawn = re.split(r"[\r\n]+", stream.getvalue())
    last = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in drawn]
    lines = [line for line in last if "evaluation" in line]
    assert lines
    assert all(len(line) <= 80 for line in lines)
    assert "1300/3600" in lines[-1]
    assert "/s" in lines[-1]
    assert "[red]" in lines[-1], "a message is no markup"


def test_json_holds_nothing_that_steers_a_terminal(capsys):
    result = {"name": "\x1b[2J\x7f\x9b31m\u202eé\n"}
    Terminal(as_json=True, quiet=True).finish(result)
    text = capsys.readouterr().out
    assert all(" " <= character <= "~" for character in text.rstrip("\n"))
    assert json.loads(text) == result
