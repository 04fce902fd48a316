"""Quadkeys, and tiles cut with their surroundings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orograph.pipeline.errors import (
    BadIdentifier,
    ConfigError,
)
from orograph.pipeline.implicit.tiling import Quadkey, TileCutter, quadkeys_in
from tests.support.implicit_world import box, ground, write


def test_quadkeys_are_those_of_the_tile_system() -> None:
    tile = Quadkey.parse("1202213002")
    assert (tile.zoom, tile.x, tile.y) == (10, 536, 361)
    assert tile.id == "1202213002"
    west, south, east, north = tile.bounds_m
    assert (west, north) == pytest.approx((939_258.2, 5_909_499.5), abs=0.2)
    neighbour = Quadkey(10, 537, 361)
    assert neighbour.bounds_m[0] == east
    assert tile in quadkeys_in(west + 1, south + 1, east - 1, north - 1, 10)
    assert len(quadkeys_in(west - 1, south - 1, east + 1, north + 1, 10)) == 9
    for bad in ("", "4", "12a", "0" * 24):
        with pytest.raises(BadIdentifier):
            Quadkey.parse(bad)


def test_tiles_and_their_surroundings_are_cut_alike(tmp_path: Path) -> None:
    path = write(tmp_path / "h.tif", ground(400, 400), box(400, 400))
    cutter = TileCutter(path, 14, 64)
    units = cutter.units()
    assert len(units) >= 4
    tile = units[0]
    assert isinstance(tile, Quadkey)
    east = Quadkey(tile.zoom, tile.x + 1, tile.y)
    a, b = cutter.heights(tile, 20), cutter.heights(east, 20)
    assert np.array_equal(a[:, 64:], b[:, :40], equal_nan=True)
    assert np.isfinite(a).any()
    assert np.isnan(a).any()
    with pytest.raises(ConfigError, match="halo"):
        cutter.heights(tile, 65)
    large = TileCutter(path, None, 50)
    assert [unit.id for unit in large.units()] == ["E4700N2650"]
    assert np.isfinite(large.heights(large.units()[0])).sum() > 5
