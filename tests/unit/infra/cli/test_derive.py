"""`orograph derive`: products of published tiles."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from orograph.infra.cli.app import app
from orograph.infra.stores.local import LocalStore
from orograph.pipeline.core.grid import Tile
from tests.support.formats_world import hills
from tests.support.published_world import World

TILE = Tile.parse("E4300N2650")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("world")
    (folder / "made").mkdir()
    world = World(LocalStore(folder / "store"), folder / "made", hills, 250.0)
    world.publish([TILE])
    return world.store.url


def invoke(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_derive(store: str, tmp_path: Path) -> None:
    lines = invoke("derive", "contours", TILE.id, tmp_path / "c.fgb", "--spacing", "250", "--store", store, "--json")
    assert json.loads(lines.stdout)["lines"] > 100
    slope = invoke("derive", "slope", TILE.id, tmp_path / "s.tif", "--store", store, "--json")
    assert 0 < json.loads(slope.stdout)["mean"] < 45
    shade = invoke("derive", "shade", TILE.id, tmp_path / "h.tif", "--store", store, "--json")
    assert 45 < json.loads(shade.stdout)["mean"] <= 255
    assert invoke("derive", "shade", TILE.id, tmp_path / "h.png", "--store", store).exit_code == 0
    assert (tmp_path / "h.png").read_bytes().startswith(b"\x89PNG")
    for wrong in (("slope", "s.png"), ("shade", "s.jpg")):
        result = invoke("derive", wrong[0], TILE.id, tmp_path / wrong[1], "--store", store)
        assert getattr(result.exception, "exit_code", None) == 2
        assert not (tmp_path / wrong[1]).exists()
    web = invoke("derive", "terrain", tmp_path / "t.pmtiles", "--max-zoom", "8", "--store", store, "--json")
    assert json.loads(web.stdout)["max_zoom"] == 8
    assert (tmp_path / "t_void.geojson").exists()
    assert "E4350N2650" in str(invoke("derive", "shade", "E4350N2650", tmp_path / "x.tif", "--store", store).exception)
