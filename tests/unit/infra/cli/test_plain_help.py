"""Help pages without types of flags and without swallowed brackets."""

import re

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from orograph.infra.cli.app import app


def commands(command, words=()):
    yield words
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*words, name))


def help_of(*words):
    result = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("words", list(commands(get_command(app))), ids=" ".join)
def test_flags_have_no_type_and_values_have_one(words):
    page = help_of(*words)
    assert "<bool>" not in page
    assert "list[" not in page
    assert "range>" not in page


def test_brackets_survive():
    assert "orograph[video]" in help_of("implicit", "fit")
    assert "[#sha256=...]" in re.sub(r"\s+", "", help_of("superres"))
