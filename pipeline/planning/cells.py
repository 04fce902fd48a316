"""1 degree cells of an area, and the files of a template that are named after them."""

from __future__ import annotations

import math
from collections.abc import Iterator

from orograph.pipeline.core.grid import Cell
from orograph.pipeline.sources.catalogue import CellTemplate


def cells_in(bounds_deg: tuple[float, float, float, float]) -> Iterator[Cell]:
    """1 degree cells that touch a box of degrees, south to north, west to east."""
    west, south, east, north = bounds_deg
    for lat in range(math.floor(south), math.ceil(north)):
        for lon in range(math.floor(west), math.ceil(east)):
            yield Cell(lat, lon)


def cell_href(template: CellTemplate, cell: Cell) -> str:
    """The href of a cell's file."""
    return template.href.format(
        ns="NS"[cell.lat < 0], ew="EW"[cell.lon < 0], lat=abs(cell.lat), lon=abs(cell.lon), id=cell.id
    )
