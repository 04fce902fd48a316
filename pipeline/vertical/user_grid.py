"""A grid of the user's own, taken by path and sha256 and looked at before it moves a height."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import rasterio
from rasterio.errors import RasterioError

from pipeline.errors import GridCorrupt, VerticalError
from pipeline.sources import UserGrid
from pipeline.vertical.grids import GridFile, verified
from pipeline.vertical.operation import Area, Step

EVRF2019: Final = frozenset({"EPSG:9389", "EPSG:9390"})
MAX_FRAME_SHIFT_M: Final = 5.0
"""National frames lie within 2.4 m of EVRF; a geoid of Europe lies 10 to 70 m above the ellipsoid."""


@dataclass(frozen=True, slots=True)
class UserStep:
    """A step by the user's grid, and whether it leads to the ellipsoid or to EVRF2019."""

    step: Step
    is_geoid: bool

    @property
    def id(self) -> str:
        """The step's id."""
        return self.step.id


def user_step(user_grid: UserGrid, frame_to: str) -> UserStep:
    """The step that applies a user's grid.

    The grid is a raster in degrees of geographic ETRS89: heights of the geoid over the ellipsoid, metres, or for an
    EVRF2019 target the shift to it.

    Raises:
        GridMissing: nothing lies at the path.
        GridCorrupt: another sha256, or no grid in degrees.
        VerticalError: the values cannot be what the target asks for.
    """
    path = Path(user_grid.path).absolute()
    grid = verified(GridFile(path.name, str(path), user_grid.sha256))
    area, largest_m = _extent(path)
    is_geoid = frame_to not in EVRF2019
    if not is_geoid and largest_m > MAX_FRAME_SHIFT_M:
        raise VerticalError(
            f"grid {grid.name} holds up to {largest_m:.1f} m, too much for a shift to {frame_to}",
            remedy="for EVRF2019 give the grid of shifts from the national frame, not a geoid",
        )
    proj = f'+step +proj=vgridshift +grids="{grid.path}" +multiplier=1'
    step = Step(f"user-grid:{grid.name}", proj, inverse=False, area=area, accuracy_m=user_grid.accuracy_m, grid=grid)
    return UserStep(step, is_geoid)


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
