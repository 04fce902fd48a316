"""Rasters to be characterised: heights with their pixel size in metres, and their position on a finer raster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from affine import Affine
from pyproj import CRS, Transformer
from scipy.ndimage import distance_transform_edt, maximum_filter, minimum_filter

from orograph.pipeline.core.raster import BoolArray
from orograph.pipeline.errors import InputError
from orograph.pipeline.sources.single_raster import opened_heights
from orograph.pipeline.superres.sensor.covariance import Array

_WHOLE: Final = 0.999
"""Share of heights that must be whole metres for the source to count as rounded."""


@dataclass(frozen=True, slots=True, eq=False)
class HeightGrid:
    """A raster in memory.

    Attributes:
        heights_m: float64, shape (rows, columns), voids filled with the nearest height.
        valid: Where heights were measured and do not belong to a level water surface.
        pixel_size_m: Size of a pixel along columns and rows, metres.
        transform: Grid index to CRS, corner based.
        crs: CRS of the grid, as text that PROJ reads.
        step_m: 1 where heights are whole metres, else 0.
    """

    heights_m: Array
    valid: BoolArray
    pixel_size_m: tuple[float, float]
    transform: Affine
    crs: str
    step_m: float

    @classmethod
    def read(cls, path: Path) -> HeightGrid:
        """Read a single-band raster.

        Raises:
            InputError: The raster contains no heights.
        """
        with opened_heights(path) as dataset:
            raw = dataset.read_all().astype(np.float64)
            size, transform, crs = dataset.pixel_size_m, dataset.transform, dataset.known_crs()
        measured = np.isfinite(raw)
        if not measured.any():
            raise InputError(f"{path} contains no heights", source=str(path))
        whole = np.mean(raw[measured] == np.round(raw[measured])) > _WHOLE
        filled = raw
        if not measured.all():
            nearest = distance_transform_edt(~measured, return_distances=False, return_indices=True)
            filled = raw[tuple(nearest)]
        level = maximum_filter(filled, 3) == minimum_filter(filled, 3)
        return cls(filled, measured & ~level, size, transform, crs, float(whole))

    def indices_on(self, other: HeightGrid) -> tuple[Array, Array]:
        """Fractional rows and columns of this raster's pixel centres on another raster."""
        rows, columns = np.mgrid[: self.heights_m.shape[0], : self.heights_m.shape[1]]
        x, y = self.transform * (columns + 0.5, rows + 0.5)
        move = Transformer.from_crs(CRS.from_user_input(self.crs), CRS.from_user_input(other.crs), always_xy=True)
        there_x, there_y = move.transform(x, y)
        column, row = ~other.transform * (np.asarray(there_x), np.asarray(there_y))
        return np.asarray(row) - 0.5, np.asarray(column) - 0.5
