"""Sample lattices of 1 degree cells: points on the degree lines, or centres of pixels.

Coordinates are quotients of integers, so points shared by two cells have identical coordinates in both.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import numpy as np
from odc.geo.geobox import GeoBox

from orograph.pipeline.core.grid import TILE_SIZE_KM, TILE_SIZE_M, Cell, Tile
from orograph.pipeline.errors import BadIdentifier, ConfigError
from orograph.pipeline.exports.sampling import SampleGrid

GEOGRAPHIC_CRS: Final = "EPSG:4258"
_MARGIN_M: Final = 500.0


def point_lattice(cell: Cell, samples: int) -> SampleGrid:
    """The points of an HGT file: `samples` by `samples`, first row and column on the north and west degree lines."""
    steps = samples - 1
    if samples < 2:
        raise ConfigError(f"{samples} samples are too few for a lattice")
    latitudes = np.array([((cell.lat + 1) * steps - row) / steps for row in range(samples)])
    longitudes = np.array([(cell.lon * steps + col) / steps for col in range(samples)])
    return SampleGrid(latitudes, longitudes, 1 / steps, 1 / steps)


def pixel_lattice(cell: Cell, pixels: int) -> SampleGrid:
    """The centres of `pixels` by `pixels` areas that fill the cell."""
    latitudes = np.array([(2 * (cell.lat + 1) * pixels - 2 * row - 1) / (2 * pixels) for row in range(pixels)])
    longitudes = np.array([(2 * cell.lon * pixels + 2 * col + 1) / (2 * pixels) for col in range(pixels)])
    return SampleGrid(latitudes, longitudes, 1 / pixels, 1 / pixels)


def cell_geobox(cell: Cell, pixels: int) -> GeoBox:
    """The pixel grid of a cell's geographic tile."""
    return GeoBox.from_bbox(cell.bounds_deg, GEOGRAPHIC_CRS, shape=(pixels, pixels))


def tiles_of_cell(cell: Cell, *, margin_m: float = _MARGIN_M) -> frozenset[Tile]:
    """The 50 km tiles with heights of a cell, including those within the margin of its edge; Europe only."""
    east, north = _outline(cell)
    found = set()
    for de in (-margin_m, margin_m):
        for dn in (-margin_m, margin_m):
            columns = np.floor((east + de) / TILE_SIZE_M).astype(int)
            rows = np.floor((north + dn) / TILE_SIZE_M).astype(int)
            found |= set(zip(columns.tolist(), rows.tolist(), strict=True))
    # The outline's tiles enclose the rest: fill each row between its westernmost and easternmost tile.
    filled = set()
    for row in {row for _, row in found}:
        columns_here = [column for column, at in found if at == row]
        filled |= {(column, row) for column in range(min(columns_here), max(columns_here) + 1)}
    return frozenset(tile for column, row in filled if (tile := _tile(column, row)) is not None)


def cells_of_tiles(tiles: Iterable[Tile]) -> tuple[Cell, ...]:
    """The cells for which any of the tiles has heights, south to north, west to east."""
    found: set[Cell] = set()
    for tile in tiles:
        west, south, east, north = _geographic_bounds(tile)
        for lat in range(math.floor(south), math.floor(north) + 1):
            for lon in range(math.floor(west), math.floor(east) + 1):
                cell = Cell(lat, lon)
                if cell not in found and tile in tiles_of_cell(cell):
                    found.add(cell)
    return tuple(sorted(found))


def _outline(cell: Cell) -> tuple[np.ndarray, np.ndarray]:
    lattice = point_lattice(cell, 181)
    east, north = lattice.project()
    easts, norths = (np.concatenate([v[0], v[-1], v[:, 0], v[:, -1]]) for v in (east, north))
    return easts, norths


def _tile(column: int, row: int) -> Tile | None:
    try:
        return Tile(column * TILE_SIZE_KM, row * TILE_SIZE_KM)
    except BadIdentifier:
        return None


def _geographic_bounds(tile: Tile) -> tuple[float, float, float, float]:
    from pyproj import Transformer

    transformer = Transformer.from_crs("EPSG:3035", GEOGRAPHIC_CRS, always_xy=True, allow_ballpark=False)
    west, south, east, north = tile.bounds_m
    margin = _MARGIN_M
    bounds = transformer.transform_bounds(west - margin, south - margin, east + margin, north + margin, densify_pts=51)
    return float(bounds[0]), float(bounds[1]), float(bounds[2]), float(bounds[3])
