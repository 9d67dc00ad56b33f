"""The command line: thin functions that parse, over plain functions that work."""

from __future__ import annotations


def main() -> None:
    """Run `nasproxy` and exit with its code."""
    from nasproxy.cli.app import run_app

    run_app()
