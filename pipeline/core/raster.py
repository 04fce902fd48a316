"""Heights with their grid, vertical frame and kind (DTM or DSM)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

from orograph.pipeline.core.surface import Surface
from orograph.pipeline.errors import SourceGridError, VerticalFrameMissing

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


class HeightPatch(NamedTuple):
    """Heights of a window with the effect of the models on them, arrays of the window's shape.

    Attributes:
        heights_m: float32, NaN void.
        sigma_m: Standard error that super-resolution and bare earth add to the heights, metres; None where they were
            not used.
        lowered: Share of each pixel that bare earth lowered, float32, 0 to 1; None where it was not used.
    """

    heights_m: FloatArray
    sigma_m: FloatArray | None = None
    lowered: FloatArray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Raster:
    """Heights on a grid.

    Attributes:
        heights_m: float32, shape (rows, columns), metres; NaN marks voids.
        geobox: Horizontal CRS, affine and shape; pixels are areas, their centres carry the height.
        frame: Vertical frame, an id of the vertical catalogue such as `EPSG:5621`.
        surface: DTM or DSM.
    """

    heights_m: FloatArray
    geobox: GeoBox
    frame: str
    surface: Surface

    def __post_init__(self) -> None:
        if self.heights_m.dtype != np.float32:
            raise SourceGridError(f"heights are {self.heights_m.dtype}, expected float32")
        if self.heights_m.shape != self.geobox.shape.shape:
            raise SourceGridError(f"heights of shape {self.heights_m.shape} on a grid of {self.geobox.shape.shape}")
        if self.geobox.crs is None:
            raise SourceGridError("heights without a horizontal CRS")
        if not self.frame:
            raise VerticalFrameMissing("heights without a vertical frame")

    @property
    def valid(self) -> BoolArray:
        """True where there is a height."""
        return np.isfinite(self.heights_m)

    def with_heights(self, heights_m: FloatArray) -> Self:
        """The same grid and frame with other heights (metres)."""
        return replace(self, heights_m=heights_m)
