"""The application: every command, registered once."""

from __future__ import annotations

import sys

import typer

from nasproxy.cli import (
    bench,
    compare,
    dashboard,
    data,
    demo,
    distill,
    doctor,
    export,
    proxy,
    report,
    run,
    search,
    study,
    verify,
)
from nasproxy.cli.terminal import leave

# typer carries a click of its own from 0.2x on: take the classes from typer itself
UsageError: type[Exception] = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name="nasproxy",
    help="Search small networks by a short cut - distilled images, a few real ones, stopping early "
    "- and learn whether it was worth it. Begin with `nasproxy demo`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # in "rich" mode, `[default: 3]` is markup and vanishes
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo_command)
app.command("run")(run.run_command)
app.add_typer(data.app, name="data")
app.command("distill")(distill.distill_command)
app.add_typer(proxy.app, name="proxy")
app.command("search")(search.search_command)
app.command("verify")(verify.verify_command)
app.command("report")(report.report_command)
app.command("compare")(compare.compare_command)
app.command("study")(study.study_command)
app.command("bench")(bench.bench_command)
app.command("export")(export.export_command)
app.command("dashboard")(dashboard.dashboard_command)
app.command("doctor")(doctor.doctor_command)


@app.callback(invoke_without_command=True)
def version_option(
    version: bool = typer.Option(False, "--version", help="Show the version."),
) -> None:
    """Search small networks by a short cut, and learn whether it was worth it."""
    if version:
        from importlib import metadata

        print(metadata.version("nasproxy"))
        raise typer.Exit


def run_app() -> None:
    """Parse the command line and exit; a mistake in it is one line on stderr and code 2."""
    try:
        code = app(standalone_mode=False)
    except UsageError as error:
        message = getattr(error, "format_message")()  # noqa: B009
        leave(f"Error: {message}" if message else "", 2)
    except (typer.Abort, KeyboardInterrupt):
        leave("Interrupted.", 130)
    sys.exit(code if isinstance(code, int) else 0)
