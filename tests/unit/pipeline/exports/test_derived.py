"""Products of one tile see the neighbours: no seam in slopes, contours that meet on the edge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely

from orograph.pipeline.core.grid import Tile
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.exports.derived import tile_contours, write_shading, write_tile_contours
from orograph.pipeline.exports.mosaic import Mosaic
from orograph.pipeline.formats import cog
from tests.support.formats_world import hills, plane, write_tiles

HERE, EAST = Tile.parse("E4300N2650"), Tile.parse("E4350N2650")


def test_slope_of_a_plane_has_no_seam(tmp_path: Path) -> None:
    with Mosaic(write_tiles(tmp_path, [HERE, EAST], 50, plane)) as mosaic:
        info = write_shading(mosaic, HERE, tmp_path / "slope.tif", "slope")
        write_shading(mosaic, HERE, tmp_path / "shade.tif", "hillshade")
    truth = np.degrees(np.arctan(np.hypot(2e-3, 3e-3)))
    with rasterio.open(tmp_path / "slope.tif") as dataset:
        slope = dataset.read(1)
        assert (dataset.units, dataset.descriptions) == (("degree",), ("slope",))
    np.testing.assert_allclose(slope[1:-1, 1:], truth, atol=2e-3)
    assert info.statistics[0].mean == pytest.approx(truth, abs=2e-3)
    with rasterio.open(tmp_path / "shade.tif") as dataset:
        assert dataset.read(1).min() > 0
    cog.validate(tmp_path / "shade.tif")


def test_contours_meet_on_the_edge_between_tiles(tmp_path: Path) -> None:
    with Mosaic(write_tiles(tmp_path, [HERE, EAST], 100, hills)) as mosaic:
        here, east = (tile_contours(mosaic, tile, spacing_m=100, interval_m=25) for tile in (HERE, EAST))

    def ends(found, col: float) -> set[tuple[float, float]]:
        pairs = zip(found.levels_m, found.lines, strict=True)
        return {(float(z), float(line[end, 1])) for z, line in pairs for end in (0, -1) if line[end, 0] == col}

    assert len(ends(here, 500.0)) > 50
    assert ends(here, 500.0) == ends(east, 0.0)


def test_contour_file_of_a_tile(tmp_path: Path) -> None:
    with Mosaic(write_tiles(tmp_path, [HERE], 100, hills)) as mosaic:
        count = write_tile_contours(mosaic, HERE, tmp_path / "c.gpkg", spacing_m=250, interval_m=100)
        with pytest.raises(ConfigError, match="lattice"):
            tile_contours(mosaic, HERE, spacing_m=30)
    meta, _, wkb, fields = pyogrio.raw.read(tmp_path / "c.gpkg")
    assert meta["crs"] == "EPSG:3035"
    assert len(wkb) == count > 20
    for line, level in zip(shapely.from_wkb(wkb)[:20], fields[0][:20], strict=True):
        east, north = np.array(line.coords).T
        assert np.abs(hills(east, north) - level).max() < 40
