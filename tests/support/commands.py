"""The command line in this process."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner, Result

from orograph.infra.cli import app as cli
from orograph.infra.cli.common import ending


def run(*arguments: object) -> int:
    """Run a command; its exit code, as a shell would see it."""
    return ending(lambda: cli.app([str(argument) for argument in arguments], standalone_mode=True))


def invoke(*words: str | Path) -> Result:
    """Run a command; its output and the exception that ended it."""
    return CliRunner().invoke(cli.app, [str(word) for word in words])
