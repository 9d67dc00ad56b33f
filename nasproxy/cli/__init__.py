"""The command line: thin functions that parse, over plain functions that work."""

from __future__ import annotations


def main() -> None:
    """Run `nasproxy` and exit with its code."""
    from nasproxy._memory import keep_freed_memory
    from nasproxy.cli.app import run_app
    from nasproxy.cli.interruption import exit_now

    keep_freed_memory()
    try:
        run_app()
    except SystemExit as left:
        if left.code:
            exit_now(left.code)
        raise
