"""Diagnoses from residuals: errors that grow with height, and masks that exclude the stable terrain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter

from orograph.pipeline.coregistration.estimate import nmad

Array = npt.NDArray[Any]

_MEDIANS_OF: Final = 200_000
_CLASSES: Final = 20
_LEAST: Final = 2000
_NOTABLE: Final = 0.35
_LEAST_RANGE_M: Final = 0.3
_STEADY: Final = 0.7
_SIGNIFICANT: Final = 3.0
_STRIPS: Final = 10
_TIGHTER: Final = 0.7


@dataclass(frozen=True, slots=True, eq=False)
class HeightBias:
    """Dependence of residuals on height.

    Attributes:
        per_km_m: Metres of residual per 1000 m of height.
        error_per_km_m: Its standard error, by leaving out one strip of the area after the other.
        range_m: Change over the middle 90 % of the heights above their surroundings.
        notable: Significant, consistent over the heights, and at least a third of the residuals' spread.
        heights_m: Median height of each class above the mean of its surroundings, metres.
        residuals_m: Median residual of each class, metres.
    """

    per_km_m: float
    error_per_km_m: float
    range_m: float
    notable: bool
    heights_m: Array
    residuals_m: Array

    @property
    def significance(self) -> float:
        """The dependence over its standard error."""
        return abs(self.per_km_m) / max(self.error_per_km_m, 1e-9)

    def describe(self) -> dict[str, float | bool]:
        """The figures of a report."""
        return {
            "per_km_m": round(self.per_km_m, 3),
            "standard_error_per_km_m": round(self.error_per_km_m, 3),
            "significance": round(self.significance, 1),
            "range_m": round(self.range_m, 3),
            "notable": self.notable,
        }

    def __str__(self) -> str:
        return (
            f"residuals change by {self.per_km_m:+.1f} +- {self.error_per_km_m:.1f} m per 1000 m of height"
            f" ({self.range_m:.1f} m over the heights here): a scale error, or penetration or growth that follows height;"
            " no shift removes it, and it was not removed"
        )


def height_bias(residual_m: Array, height_m: Array, window_px: int = 0) -> HeightBias | None:
    """The median residual by class of height, as a robust straight line; None with too few values.

    A displacement that varies over kilometres has taken up the part of the dependence that is as slow. So both are
    compared with their means over a window.

    Args:
        residual_m: Residuals, shape (rows, columns), NaN where unknown or unstable, metres.
        height_m: Their heights, metres.
        window_px: Side of the window; 0 compares heights and residuals as they are.
    """
    known = np.isfinite(residual_m) & np.isfinite(height_m)
    if window_px:
        residual_m, height_m = (_above_surroundings(plane, known, window_px) for plane in (residual_m, height_m))
    good = np.isfinite(residual_m) & np.isfinite(height_m)
    residual, height = residual_m[good], height_m[good]
    # Every few values are enough for medians.
    every = max(1, residual.size // _MEDIANS_OF)
    residual, height = residual[::every], height[::every]
    if residual.size < _LEAST or np.ptp(height) < 1.0:
        return None
    found = _by_class(residual, height)
    if found is None:
        return None
    slope, agree, middle, value = found
    low, high = np.percentile(height, (5, 95))
    change = abs(slope) * float(high - low)
    error = _standard_error(residual, height)
    notable = (
        change > max(_NOTABLE * nmad(residual), _LEAST_RANGE_M)
        and agree >= _STEADY
        and abs(slope) >= _SIGNIFICANT * error
    )
    return HeightBias(1000.0 * slope, 1000.0 * error, change, bool(notable), middle, value)


def _above_surroundings(plane: Array, known: Array, window_px: int) -> Array:
    """Values less the mean of the known ones in a square window; NaN where unknown."""
    share = uniform_filter(known.astype(np.float64), window_px, mode="constant")
    mean = uniform_filter(np.where(known, plane, 0.0).astype(np.float64), window_px, mode="constant")
    return np.where(known, plane - mean / np.maximum(share, 1e-9), np.nan)


def _by_class(residual: Array, height: Array) -> tuple[float, float, Array, Array] | None:
    """The median slope between classes, the share of pairs that agree on its sign, and the classes' medians."""
    order = np.argsort(height, kind="stable")
    classes = np.array_split(order, _CLASSES)
    middle = np.array([np.median(height[c]) for c in classes])
    value = np.array([np.median(residual[c]) for c in classes])
    i, j = np.triu_indices(_CLASSES, 1)
    apart = middle[j] - middle[i]
    wide = apart > 0
    if not wide.any():
        return None
    slope = float(np.median((value[j] - value[i])[wide] / apart[wide]))
    return slope, float(np.mean(np.sign(value[j] - value[i])[wide] == np.sign(slope))), middle, value


def _standard_error(residual: Array, height: Array) -> float:
    """Jackknife over strips of the area: residuals of neighbours are not independent."""
    # Every few values are enough for medians.
    step = max(1, residual.size // 40_000)
    strips = np.array_split(np.arange(0, residual.size, step), _STRIPS)
    slopes = []
    for left in range(_STRIPS):
        kept = np.concatenate([strip for k, strip in enumerate(strips) if k != left])
        found = _by_class(residual[kept], height[kept])
        if found is not None:
            slopes.append(found[0])
    if len(slopes) < 3:
        return float("inf")
    return float(np.sqrt((len(slopes) - 1.0) * np.var(slopes)))


@dataclass(frozen=True, slots=True)
class MaskUse:
    """Residuals on both sides of a mask.

    Attributes:
        share: Share of the common pixels that are inliers.
        outside_median_m, outside_nmad_m: Median and NMAD of the residuals excluded by the mask, metres; NaN without
            such pixels.
        inverted: The excluded pixels agree better than those used: the mask is probably inverted.
    """

    share: float
    outside_median_m: float
    outside_nmad_m: float
    inverted: bool


def mask_use(residual_m: Array, stable: Array) -> MaskUse:
    """Compare residuals inside and outside a mask."""
    good = np.isfinite(residual_m)
    inside, outside = residual_m[good & stable], residual_m[good & ~stable]
    share = inside.size / max(inside.size + outside.size, 1)
    enough = inside.size >= 100 and outside.size >= 100
    inverted = enough and share < 0.5 and nmad(outside) < _TIGHTER * nmad(inside)
    median = float(np.median(outside)) if outside.size else float("nan")
    return MaskUse(share, median, nmad(outside), bool(inverted))
