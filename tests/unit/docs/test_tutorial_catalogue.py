"""The commands of the catalogue tutorial work as they are written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.infra.stores.local import LocalStore
from orograph.stac.publishing.publish import publish_item, rebuild
from tests.support.catalogue_world import make_manifest

TUTORIAL = Path(__file__).parents[3] / "docs/tutorials/catalogue.md"
BLOCKS = re.findall(r"^```\w*\n(.*?)^```", TUTORIAL.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
COMMANDS = [line for block in BLOCKS for line in block.splitlines() if line.startswith("orograph catalog")]


def test_the_tutorial_has_commands():
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize("line", [line for line in COMMANDS if " browse " not in line])
def test_command(line, tmp_path, monkeypatch, shared):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("orograph.stac.documents.schema_cache.DEFAULT_FOLDER", shared("stac-schemas"))
    monkeypatch.setattr(
        "orograph.stac.documents.schema_cache.cached_library.__defaults__", (shared("stac-schemas"), None)
    )
    store = LocalStore(Path("runs/store"))
    publish_item(store, make_manifest(store))
    rebuild(store)
    words = shlex.split(line.split(" > ")[0])[1:]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, (result.output, result.exception)
