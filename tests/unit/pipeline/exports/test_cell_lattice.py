"""Sample lattices of cells: shared points are identical, and every tile with heights of a cell is found."""

import numpy as np
import pytest

from orograph.pipeline.core.grid import Cell
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.exports.cell_lattice import (
    cell_geobox,
    cells_of_tiles,
    pixel_lattice,
    point_lattice,
    tiles_of_cell,
)

CELL = Cell(47, 10)


def test_neighbours_share_their_degree_lines_bit_for_bit():
    here, east, south = (point_lattice(cell, 1201) for cell in (CELL, Cell(47, 11), Cell(46, 10)))
    assert here.longitudes_deg[-1] == east.longitudes_deg[0] == 11.0
    assert here.latitudes_deg[-1] == south.latitudes_deg[0] == 47.0
    np.testing.assert_array_equal(here.latitudes_deg, east.latitudes_deg)


def test_pixels_fill_the_cell():
    lattice = pixel_lattice(CELL, 4)
    np.testing.assert_allclose(lattice.latitudes_deg, [47.875, 47.625, 47.375, 47.125])
    np.testing.assert_allclose(lattice.longitudes_deg, [10.125, 10.375, 10.625, 10.875])
    assert cell_geobox(CELL, 4).boundingbox.bbox == (10.0, 47.0, 11.0, 48.0)
    with pytest.raises(ConfigError):
        point_lattice(CELL, 1)


def test_cells_and_tiles_name_each_other():
    tiles = tiles_of_cell(CELL)
    assert 4 <= len(tiles) <= 9
    assert all(CELL in cells_of_tiles([tile]) for tile in tiles)
    assert tiles_of_cell(CELL, margin_m=0.0) <= tiles
