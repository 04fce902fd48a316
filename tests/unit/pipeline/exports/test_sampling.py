"""The lattice projection is PROJ's, and gives shared points the same bits."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest

from orograph.pipeline.core.grid import Cell, Tile
from orograph.pipeline.exports.cell_lattice import (
    cell_geobox,
    cells_of_tiles,
    pixel_lattice,
    point_lattice,
    tiles_of_cell,
)
from orograph.pipeline.exports.sampling import metres_per_degree


@pytest.mark.parametrize("cell", [Cell(47, 10), Cell(28, -18), Cell(35, 33), Cell(71, 28), Cell(65, -24)])
def test_agrees_with_proj(cell: Cell) -> None:
    lattice = point_lattice(cell, 31)
    east, north = lattice.project()
    transformer = pyproj.Transformer.from_crs("EPSG:4258", "EPSG:3035", always_xy=True, allow_ballpark=False)
    lon, lat = np.meshgrid(lattice.longitudes_deg, lattice.latitudes_deg)
    theirs = transformer.transform(lon, lat)
    np.testing.assert_allclose(east, theirs[0], atol=1e-6, rtol=0)
    np.testing.assert_allclose(north, theirs[1], atol=1e-6, rtol=0)


def test_shared_points_are_the_same_numbers() -> None:
    here, east_of, north_of = (
        point_lattice(cell, 1201).project() for cell in (Cell(47, 10), Cell(47, 11), Cell(48, 10))
    )
    for axis in range(2):
        assert (here[axis][:, -1] == east_of[axis][:, 0]).all()
        assert (here[axis][0] == north_of[axis][-1]).all()


def test_lattices_lie_where_they_should() -> None:
    points, pixels = point_lattice(Cell(47, -3), 3601), pixel_lattice(Cell(47, -3), 3600)
    assert (points.latitudes_deg[0], points.latitudes_deg[-1]) == (48.0, 47.0)
    assert (points.longitudes_deg[0], points.longitudes_deg[-1]) == (-3.0, -2.0)
    geobox = cell_geobox(Cell(47, -3), 3600)
    first = geobox.affine @ (0.5, 0.5) if hasattr(geobox.affine, "__matmul__") else geobox.affine * (0.5, 0.5)
    assert (pixels.longitudes_deg[0], pixels.latitudes_deg[0]) == pytest.approx(first, abs=1e-12)


def test_degree_lengths() -> None:
    geod = pyproj.Geod(ellps="GRS80")
    east, north = metres_per_degree(47.3)
    assert east == pytest.approx(geod.inv(10, 47.3, 10.01, 47.3)[2] * 100, rel=1e-6)
    assert north == pytest.approx(geod.inv(10, 47.25, 10, 47.35)[2] * 10, rel=1e-6)


def test_cells_and_tiles_name_each_other() -> None:
    tile = Tile.parse("E4300N2650")
    cells = cells_of_tiles([tile])
    assert [cell.id for cell in cells] == ["N46E009", "N46E010", "N47E009", "N47E010"]
    for cell in cells:
        assert tile in tiles_of_cell(cell)
    tiles = tiles_of_cell(Cell(47, 10))
    assert 4 <= len(tiles) <= 16
    for other in tiles:
        assert Cell(47, 10) in cells_of_tiles([other])
