"""Commands of the tutorials run as they are written, and print what the pages show.

A `console` block is a session: lines with `$` are commands, the others their output, `...` any text. Other blocks need data,
clusters or hours that a test does not have. The map tutorial has a test of its own.
"""

from __future__ import annotations

import doctest
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.infra.reporting import console
from tests.support import tutorial_files

TUTORIALS = Path(__file__).resolve().parents[2] / "docs/tutorials"
MADE: dict[str, Callable[[Path], None]] = {
    "bare-earth": tutorial_files.bare_earth,
    "borders": tutorial_files.borders,
    "coregistration": tutorial_files.coregistration,
    "exports": tutorial_files.exports,
    "implicit-terrain": tutorial_files.implicit_terrain,
    "ordinal-regression": tutorial_files.ordinal_regression,
    "super-resolution": tutorial_files.super_resolution,
    "validation": tutorial_files.validation,
    "vertical-frames": tutorial_files.vertical_frames,
}
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
PROGRESS = re.compile(r"(, about \d+ s left|: started)$")
"""Seen only where work takes longer than two seconds."""


def sessions(page: str) -> Iterator[tuple[str, str]]:
    """Commands of a page and the output it shows for each."""
    for language, block in BLOCK.findall((TUTORIALS / f"{page}.md").read_text(encoding="utf-8")):
        if language == "console":
            for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                command, _, shown = part.partition("\n")
                yield command, shown


@pytest.mark.slow
@pytest.mark.parametrize("page", MADE)
def test_a_page_prints_what_it_shows(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: Callable[[str], Path]
) -> None:
    monkeypatch.setenv("OROGRAPH_GRIDS_DIR", str(shared("proj-grids")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(console.out, "width", 160)  # as in a pipe
    MADE[page](tmp_path)
    commands = list(sessions(page))
    assert commands
    compare = doctest.OutputChecker().check_output
    for command, shown in commands:
        found = CliRunner().invoke(app, shlex.split(command)[1:])
        assert found.exit_code == 0, (command, found.output, found.exception)
        lines = [line for line in found.output.splitlines() if line.strip() and not PROGRESS.search(line)]
        output = "".join(line + "\n" for line in lines)
        assert compare(shown, output, doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE), f"{command}\n{output}"
        named = re.findall(r"(?:^|\s)(?:-o|--render)\s+(\S+)", command)
        assert all((tmp_path / name).exists() for name in named), command


def test_every_page_with_a_session_is_run() -> None:
    pages = {path.stem for path in TUTORIALS.glob("*.md") if any(sessions(path.stem))}
    assert pages == set(MADE)


@pytest.mark.slow
def test_the_simulation_of_a_cluster_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The other commands of that page run on a head by the tests of submission."""
    text = (TUTORIALS / "on-a-cluster.md").read_text(encoding="utf-8")
    (code,) = (block for language, block in BLOCK.findall(text) if language == "python")
    exec(code, {})  # noqa: S102 - our own page
    rows = [[float(word) for word in line.split()[:2]] for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows] == [1, 4, 16]
    assert rows[0][1] > rows[1][1] > rows[2][1], "more nodes take less time"
