"""`orograph derive`: products of published tiles."""

from __future__ import annotations

import json
from pathlib import Path

from orograph.pipeline.core.grid import Tile
from tests.support.commands import invoke

TILE = Tile.parse("E4300N2650")


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
