"""What coregistration found: a displacement field, how sure it is, and the ways to use it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

from pipeline.coregistration import kernels
from pipeline.coregistration.field import DisplacementField, geometry_of
from pipeline.coregistration.mend import mend
from pipeline.coregistration.methods import Method
from pipeline.coregistration.threads import in_bands
from pipeline.job import CoregistrationRecord
from pipeline.raster import FloatArray, Raster

Array = npt.NDArray[Any]


class Status(StrEnum):
    """How an estimation ended."""

    CONVERGED = "converged"
    """The displacement stands still and is observed."""
    UNOBSERVABLE = "unobservable"
    """The ground's shape does not tell a horizontal shift; only heights were fitted."""
    TOO_FEW = "too_few"
    """Not enough common heights; nothing moves."""
    REJECTED = "rejected"
    """Beyond the largest shift allowed, or no improvement; nothing moves sideways."""


@dataclass(frozen=True, slots=True, eq=False)
class Coregistration:
    """How to move a raster onto a reference.

    Attributes:
        method: What was estimated.
        status: How it ended.
        field: Displacement: reference(x) = moving(x - (east, north)) + up, metres.
        median_before_m, median_after_m, nmad_before_m, nmad_after_m: Of reference - moving over inliers; NaN without.
        sample_count: Pixels with both heights.
        covariance: Of the mean east, north and up displacement, square metres.
        condition: Condition number of the mean displacement's normal matrix.
        slope_spread: Standard deviation of slopes in the direction that has least.
        iterations: Steps taken.
        details: JSON-ready extras, such as blocks with their quality.
    """

    method: Method
    status: Status
    field: DisplacementField
    median_before_m: float
    median_after_m: float
    nmad_before_m: float
    nmad_after_m: float
    sample_count: int
    covariance: Array
    condition: float
    slope_spread: float
    iterations: int
    details: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def shift(self) -> tuple[float, float, float]:
        """Mean displacement east, north and up, metres."""
        return self.field.mean_m

    def displacement(self, geobox: GeoBox, *, threads: int = 1) -> tuple[FloatArray, FloatArray, FloatArray]:
        """East, north and up displacement (metres, float32) at the pixel centres of a grid of the reference's CRS.

        reference(x) = moving(x - (east, north)) + up: a warp onto `geobox` reads the moving raster at x - (east,
        north) and adds up.
        """
        return self.field.on(geobox, threads=threads)

    def apply(self, raster: Raster, geobox: GeoBox | None = None, *, threads: int = 1) -> Raster:
        """The raster moved onto the reference, on its own grid or on `geobox`, interpolated once.

        Keys' cubic convolution; a pixel is void exactly where the pixel nearest to where it is read from is void, so
        voids neither grow nor shrink.

        Raises:
            SourceGridError: the raster or the grid is not in the reference's CRS.
        """
        target = raster.geobox if geobox is None else geobox
        out = np.empty(target.shape.shape, np.float32)
        mended = mend(raster.heights_m, spikes=False, threads=threads)
        arguments = (raster.heights_m, mended, geometry_of(target, self.field.geobox, raster.geobox))
        shaped = (*arguments, self.field.polynomial, self.field.lattice)
        in_bands(lambda a, b: kernels.warp(*shaped, a, b, out), out.shape[0], threads)
        return Raster(out, target, raster.frame, raster.surface)

    def record(self, source_id: str, reference_id: str) -> CoregistrationRecord:
        """The entry of a tile's manifest."""
        east, north, up = self.shift
        error = np.sqrt(np.diag(self.covariance))
        details = {
            "polynomial_m": self.field.polynomial.tolist(),
            "lattice_shape": list(self.field.lattice.shape[1:]),
            "standard_error_m": [_number(value) for value in error],
            "condition": _number(self.condition),
            "slope_spread": _number(self.slope_spread),
            "median_before_m": _number(self.median_before_m),
            "median_after_m": _number(self.median_after_m),
            "iterations": self.iterations,
        }
        return CoregistrationRecord(
            source=source_id,
            reference=reference_id,
            method=self.method.name,
            status=self.status.value,
            shift_east_m=east,
            shift_north_m=north,
            shift_up_m=up,
            nmad_before_m=_number(self.nmad_before_m),
            nmad_after_m=_number(self.nmad_after_m),
            sample_count=self.sample_count,
            details=details,
        )


def _number(value: float) -> float | None:
    """A JSON number; None for what JSON cannot say."""
    return float(value) if np.isfinite(value) else None
