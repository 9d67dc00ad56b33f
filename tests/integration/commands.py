"""Commands run in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from nasproxy.cli.app import app


def invoke(*arguments: str | Path) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def invoke_json(*arguments: str | Path) -> dict[str, Any]:
    """Run a command with --json and return its object; stdout holds nothing else."""
    result = invoke(*arguments, "--json", "--quiet")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found
