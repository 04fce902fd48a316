"""Heights of points in another vertical frame; works without xarray."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from orograph.pipeline.settings import RunSettings
from orograph.pipeline.vertical import VerticalCatalogue

DegreeArray = npt.ArrayLike


@dataclass(frozen=True, slots=True)
class Height:
    """Heights in another vertical frame.

    Attributes:
        height_m: In the target frame; a float, or an array of the inputs' shape.
        shift_m: The shift that was added, metres.
        operation: Id of the pinned operation.
        accuracy_m: Its standard deviation.
    """

    height_m: Any
    shift_m: Any
    operation: str
    accuracy_m: float


def height(
    lon_deg: DegreeArray,
    lat_deg: DegreeArray,
    height_m: npt.ArrayLike,
    *,
    from_: str,
    to: str,
    epoch: float | None = None,
    via: str | None = None,
    grids_dir: str | Path | None = None,
) -> Height:
    """Move heights of points from one vertical frame to another.

    Args:
        lon_deg: Longitude, degrees; a number or an array.
        lat_deg: Latitude, degrees, of the same shape.
        height_m: Heights in `from_`, metres.
        from_: Vertical frame by code or name, `EPSG:5709` or `NAP`; `orograph height --frames` lists them.
        to: Vertical frame wanted.
        epoch: Decimal year, for dynamic frames.
        via: A frame to pass through.
        grids_dir: Folder of geoid grids; `OROGRAPH_GRIDS_DIR` or its default when None.

    Raises:
        NoVerticalOperation, GridMissing, OutsideAreaOfUse: the heights cannot be transformed correctly.
    """
    operation = VerticalCatalogue.load().operation(from_, to, grids_dir=grids_folder(grids_dir), epoch=epoch, via=via)
    heights = np.asarray(height_m, np.float64)
    if heights.ndim == 0 and np.ndim(lon_deg) == 0:
        shift_m: Any = operation.shift(float(np.asarray(lon_deg)), float(np.asarray(lat_deg)))
        return Height(float(heights) + shift_m, shift_m, operation.id, operation.accuracy_m)
    shift_m = operation.shift(np.asarray(lon_deg, np.float64), np.asarray(lat_deg, np.float64))
    return Height(heights + shift_m, shift_m, operation.id, operation.accuracy_m)


def grids_folder(folder: str | Path | None) -> Path:
    """Return the folder of geoid grids; `OROGRAPH_GRIDS_DIR` or its default when None."""
    return RunSettings.with_flags().grids_dir if folder is None else Path(folder)
