"""Cells of an area, of 1 degree or of a projected grid, and the files of a template that are named after them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Final

import numpy as np
import shapely
from pyproj import Transformer
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from orograph.pipeline.core.grid import Cell
from orograph.pipeline.sources.catalogue import CellTemplate
from orograph.pipeline.sources.source_index import FOOTPRINT_CRS

_CHORDS: Final = 20
"""Edges bend from one CRS to the other; each is cut into this many."""


def cells_in(bounds_deg: tuple[float, float, float, float]) -> Iterator[Cell]:
    """1 degree cells that touch a box of degrees, south to north, west to east."""
    west, south, east, north = bounds_deg
    for lat in range(math.floor(south), math.ceil(north)):
        for lon in range(math.floor(west), math.ceil(east)):
            yield Cell(lat, lon)


def cell_href(template: CellTemplate, cell: Cell) -> str:
    """The href of a 1 degree cell's file."""
    return template.href.format(
        ns="NS"[cell.lat < 0], ew="EW"[cell.lon < 0], lat=abs(cell.lat), lon=abs(cell.lon), id=cell.id
    )


def template_files(
    template: CellTemplate, bounds_deg: tuple[float, float, float, float]
) -> list[tuple[str, BaseGeometry]]:
    """Hrefs and footprints (longitude and latitude) of the cells that touch a box of degrees; objects may not exist."""
    if template.cell_m is None or template.crs is None:
        return [(cell_href(template, cell), box(*cell.bounds_deg)) for cell in cells_in(bounds_deg)]
    side, (east_0, north_0) = template.cell_m, template.origin_m
    wanted = box(*bounds_deg)
    edge = max(wanted.length / (4 * _CHORDS), 1e-9)
    ring = np.asarray(shapely.segmentize(wanted, edge).exterior.coords)
    x, y = Transformer.from_crs(FOOTPRINT_CRS, template.crs, always_xy=True).transform(*ring.T)
    columns = range(math.floor((np.min(x) - east_0) / side), math.floor((np.max(x) - east_0) / side) + 1)
    rows = range(math.floor((np.min(y) - north_0) / side), math.floor((np.max(y) - north_0) / side) + 1)
    corners = np.array(list(itertools.product(rows, columns)), np.float64) * side + (north_0, east_0)
    north, east = corners.T
    boxes = shapely.segmentize(shapely.box(east, north, east + side, north + side), side / _CHORDS)
    backward = Transformer.from_crs(template.crs, FOOTPRINT_CRS, always_xy=True)
    shapes = shapely.transform(boxes, lambda points: np.column_stack(backward.transform(*points.T)))
    touching = shapely.intersects(shapes, wanted)
    return [
        (_square_href(template, e, n), shape)
        for e, n, shape in zip(east[touching], north[touching], shapes[touching], strict=True)
    ]


def _square_href(template: CellTemplate, east_m: float, north_m: float) -> str:
    """The href of a square cell's file by its south-west corner."""
    e, n, side = round(east_m), round(north_m), round(template.cell_m or 0)
    return template.href.format(e=e, n=n, n_top=n + side, e_km=e // 1000, n_km=n // 1000)
