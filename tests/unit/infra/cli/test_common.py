"""Errors become messages and exit codes."""

from orograph.infra.cli.common import ending
from orograph.pipeline.errors import GridMissing


def test_an_interrupted_command_ends_with_130():
    def interrupted():
        raise KeyboardInterrupt

    assert ending(interrupted) == 130


def test_an_errors_exit_code_is_the_commands():
    def missing():
        raise GridMissing("no grid", remedy="fetch it")

    assert ending(missing) == GridMissing.exit_code == 4
