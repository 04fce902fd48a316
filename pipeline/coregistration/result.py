"""Result of coregistration: a displacement field, its uncertainty, and methods to apply it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

from orograph.pipeline.core.raster import FloatArray, Raster
from orograph.pipeline.coregistration.blocks import BlockTable
from orograph.pipeline.coregistration.field import DisplacementField
from orograph.pipeline.coregistration.methods import Method
from orograph.pipeline.coregistration.status import CoregistrationStatus
from orograph.pipeline.coregistration.torch_kernels import kernels_for
from orograph.pipeline.coregistration.warp import warp
from orograph.pipeline.coregistration.waves import Wave
from orograph.pipeline.manifest import CoregistrationRecord

_DIGITS: Final = 7

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Coregistration:
    """The displacement that aligns a raster with a reference.

    Attributes:
        method: The estimation method.
        status: Outcome of the estimate.
        field: Displacement: reference(x) = moving(x - (east, north)) + up, metres.
        median_before_m, median_after_m, nmad_before_m, nmad_after_m: Median and NMAD of reference - moving over
            inliers, metres; NaN if unknown.
        sample_count: Pixels with both heights.
        covariance: Covariance of the mean east, north and up displacement, square metres.
        condition: Condition number of the mean displacement's normal matrix.
        slope_spread: Smallest standard deviation of slopes over directions.
        iterations: Steps taken.
        blocks: Quality of the blocks of a blockwise method.
        stiffness: Weight of the smoothness prior that predicted held-out cells best; None for global methods.
        blind_nmad_m: Spread of residuals in held-out cells of at least 2 km, a block's width away from all
            pixels used to predict them; NaN for global methods.
        reason: Sentence that explains a status other than `converged`; empty otherwise.
        remedy: Action for the user.
        found_m: East, north and up of an estimate that was not accepted; None otherwise.
        wave_left: A wave that remains in the residuals, with the status `undulated`.
    """

    method: Method
    status: CoregistrationStatus
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
    blocks: BlockTable | None = None
    stiffness: float | None = None
    blind_nmad_m: float = float("nan")
    reason: str = ""
    remedy: str = ""
    found_m: tuple[float, float, float] | None = None
    wave_left: Wave | None = None

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

    def apply(
        self, raster: Raster, geobox: GeoBox | None = None, *, threads: int = 1, device: str | None = None
    ) -> Raster:
        """Align a raster, on its own grid or on `geobox`, interpolated once.

        The interpolating cubic spline is used; a pixel is void exactly if the source pixel nearest to its position
        is void, so voids neither grow nor shrink.

        Raises:
            SourceGridError: the raster or the grid is not in the reference's CRS.
        """
        target = raster.geobox if geobox is None else geobox
        out = warp(raster, self.field, target, threads=threads, engine=kernels_for(device))
        return Raster(out, target, raster.frame, raster.surface)

    def record(self, source_id: str, reference_id: str) -> CoregistrationRecord:
        """The entry of a tile's manifest."""
        east, north, up = self.shift
        error = np.sqrt(np.diag(self.covariance))
        details: dict[str, Any] = {
            "polynomial_m": self.field.polynomial.tolist(),
            "lattice_shape": list(self.field.lattice.shape[1:]),
            "standard_error_m": [_number(value) for value in error],
            "condition": _number(self.condition),
            "slope_spread": _number(self.slope_spread),
            "median_before_m": _number(self.median_before_m),
            "median_after_m": _number(self.median_after_m),
            "iterations": self.iterations,
        }
        if self.reason:
            details["reason"] = self.reason
        if self.field.waves:
            details["waves"] = [wave.describe() for wave in self.field.waves]
        if self.blocks is not None:
            details["stiffness"] = self.stiffness
            details["blind_nmad_m"] = _number(self.blind_nmad_m)
            details["lattice_m"] = np.round(self.field.lattice, 3).tolist()
            details["block_status"] = dict(sorted(Counter(status.value for status in self.blocks.status).items()))
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
    """A JSON number of seven digits, the same on every instruction set; None for values that JSON cannot represent."""
    return float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None
