"""A user-supplied grid, identified by path and SHA-256 and checked before use."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import rasterio
from rasterio.errors import RasterioError

from orograph.pipeline.errors import GridCorrupt, VerticalError
from orograph.pipeline.sources.catalogue import UserGrid
from orograph.pipeline.vertical.entries import ELLIPSOID
from orograph.pipeline.vertical.grids import GridFile, verified
from orograph.pipeline.vertical.operation import Area, Step

EVRF2019: Final = frozenset({"EPSG:9389", "EPSG:9390"})
MAX_FRAME_SHIFT_M: Final = 5.0
"""National frames are within 2.4 m of EVRF; a geoid of Europe is 10 to 70 m above the ellipsoid."""


def user_step(user_grid: UserGrid, frame_to: str) -> tuple[Step, str]:
    """The step that applies a user's grid, and the frame it leads to.

    The grid is a raster in degrees of geographic ETRS89, metres: heights of the geoid over the ellipsoid, or the shift
    to another frame. A grid that names no frame is a geoid, except with an EVRF2019 target, whose grids contain shifts.

    Raises:
        GridMissing: there is no file at the path.
        GridCorrupt: the SHA-256 differs, or the grid is not in degrees.
        VerticalError: the values are implausible for the target frame.
    """
    path = Path(user_grid.path).absolute()
    grid = verified(GridFile(path.name, str(path), user_grid.sha256))
    area, largest_m = _extent(path)
    to_evrf2019 = user_grid.frame_to == ELLIPSOID and frame_to in EVRF2019
    leads_to = frame_to if to_evrf2019 else user_grid.frame_to
    if leads_to != ELLIPSOID and largest_m > MAX_FRAME_SHIFT_M:
        raise VerticalError(
            f"grid {grid.name} contains values up to {largest_m:.1f} m, too much for a shift to {leads_to}",
            remedy="give the grid of shifts from the national frame; a geoid leads to EPSG:4937",
        )
    proj = f'+step +proj=vgridshift +grids="{grid.path}" +multiplier=1'
    step = Step(f"user-grid:{grid.name}", proj, inverse=False, area=area, accuracy_m=user_grid.accuracy_m, grid=grid)
    return step, leads_to


def _extent(path: Path) -> tuple[Area, float]:
    """Area between the outermost cell centres, and the largest absolute value."""
    try:
        with rasterio.open(path) as dataset:
            if dataset.crs is not None and not dataset.crs.is_geographic:
                raise GridCorrupt(f"grid {path.name} is not in degrees", remedy="give it in geographic ETRS89")
            west, south, east, north = dataset.bounds
            half_x, half_y = abs(dataset.transform.a) / 2, abs(dataset.transform.e) / 2
            values = dataset.read(1, masked=True)
    except RasterioError as error:
        raise GridCorrupt(f"grid {path.name} cannot be read: {error}") from error
    largest = float(np.ma.max(np.ma.abs(values))) if values.count() else 0.0
    return Area(west + half_x, south + half_y, east - half_x, north - half_y), largest
