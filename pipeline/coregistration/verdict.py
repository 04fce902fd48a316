"""Decides whether an estimated displacement is reliable, with the reason if it is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from orograph.pipeline.coregistration.estimate import LEAST_SAMPLES, LEAST_SLOPE_SPREAD, WORST_ERROR_PX, Estimate, nmad
from orograph.pipeline.coregistration.pair import Pair
from orograph.pipeline.coregistration.status import CoregistrationStatus

Array = npt.NDArray[Any]

_WORSE: Final = 1.02


@dataclass(frozen=True, slots=True)
class Verdict:
    """A status, the sentence that explains it, and a remedy; both empty for `converged`."""

    status: CoregistrationStatus
    reason: str = ""
    remedy: str = ""


def judge(pair: Pair, found: Estimate, before: Array, after: Array, limit_m: float) -> Verdict:
    """Judge a displacement by the terrain's relief, its standard error, the limit and its residuals."""
    slopes = found.slopes
    error_m = float(np.sqrt(max(np.linalg.eigvalsh(found.covariance[:2, :2])[-1], 0.0))) if _finite(found) else np.inf
    worst_m = WORST_ERROR_PX * pair.pixel_m
    length_m = found.field.largest_horizontal_m
    if slopes.weak < LEAST_SLOPE_SPREAD:
        spread = f"slopes vary by {slopes.weak:.4f} in the weakest direction, the minimum is {LEAST_SLOPE_SPREAD:g}"
        return Verdict(
            CoregistrationStatus.UNOBSERVABLE, f"the terrain does not determine a horizontal shift: {spread}", _VERTICAL
        )
    if not error_m < worst_m:
        reason = (
            f"the horizontal shift has a standard error of {error_m:.2f} m, half a pixel ({worst_m:.2f} m) is the limit"
        )
        return Verdict(CoregistrationStatus.UNOBSERVABLE, reason, _VERTICAL)
    if length_m > limit_m:
        return beyond(length_m, limit_m, pair.pixel_m)
    return _by_residuals(found, before, after, length_m)


def _by_residuals(found: Estimate, before: Array, after: Array, length_m: float) -> Verdict:
    """The verdict on an observed shift within the limit."""
    if not found.settled:
        return Verdict(
            CoregistrationStatus.REJECTED, f"the estimate was still moving after {found.iterations} steps", _CHECK
        )
    if after.size < LEAST_SAMPLES:
        return Verdict(
            CoregistrationStatus.REJECTED, f"a shift of {length_m:.1f} m leaves too few common pixels", _CHECK
        )
    if nmad(after) > _WORSE * nmad(before) + 0.01:
        reason = f"NMAD would go from {nmad(before):.2f} to {nmad(after):.2f} m with a shift of {length_m:.1f} m"
        return Verdict(CoregistrationStatus.REJECTED, reason, _CHECK)
    return Verdict(CoregistrationStatus.CONVERGED)


def beyond(length_m: float, limit_m: float, pixel_m: float) -> Verdict:
    """The verdict on a shift longer than allowed."""
    reason = f"found a shift of {length_m:.0f} m, the limit is {limit_m:.0f} m ({limit_m / pixel_m:.0f} pixels)"
    wide = float(f"{2.0 * length_m:.1g}")
    return Verdict(
        CoregistrationStatus.REJECTED, reason, f"if that shift is correct, allow it with --max-shift {wide:.0f}"
    )


def one_direction(found: Estimate) -> Verdict:
    """The verdict on a shift observable along one direction only."""
    east, north = found.slopes.direction
    azimuth = float(np.degrees(np.arctan2(east, north))) % 180.0
    reason = (
        f"slopes face one way: the shift along azimuth {azimuth:.0f} degrees (from grid north) was fitted,"
        f" across it ({(azimuth + 90.0) % 180.0:.0f} degrees) nothing can be known and nothing moves"
    )
    return Verdict(CoregistrationStatus.ONE_DIRECTION, reason)


def _finite(found: Estimate) -> bool:
    return bool(np.isfinite(found.covariance).all())


_VERTICAL: Final = "shift heights alone with --method vertical-shift, or with --allow-vertical"
_CHECK: Final = "check that both rasters show the same terrain: CRS, units, band, nodata and the mask"
