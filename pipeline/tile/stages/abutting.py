"""Differences of two sources that abut without overlap, estimated from the heights on both sides of their border.

Where sources overlap, their difference is known pixel by pixel. Where one ends at the pixel at which the other begins,
each pair of neighbouring pixels gives an estimate: the step between the two less the mean slope on both sides, which is
free of the terrain's slope and curvature. On rough terrain such a step is mostly relief, so

* estimates are averaged along the border, over half the blend width;
* the same figure inside each source, where it would be 0 if there were no relief, gives the standard error of that mean;
* the mean is weighted by this error against the accuracies of both sources: their difference is expected to be 0 with
  the standard deviation that both state. On smooth terrain nearly all of it is kept, in a gorge nearly nothing;
* it is bounded by three of these standard deviations, so that a cliff along the border is not taken for a difference of
  models.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np

from orograph.pipeline.core.compiled import compiled
from orograph.pipeline.core.raster import BoolArray, FloatArray

STENCIL_PX: Final = 4
"""Pixels on each side of the border that an estimate and its error look at."""
LARGEST_GAP_PX: Final = 1
"""Void pixels between the sources that are bridged."""
BOUND_SIGMAS: Final = 3.0
_CORRELATION: Final = 2.0
"""Neighbouring estimates share relief: so many count as one."""
_FEWEST_PX: Final = 8


class RimDifferences(NamedTuple):
    """Differences along a border without overlap.

    Attributes:
        known: True on pixels of the better source next to the lesser one.
        difference_m: float32, better minus lesser source there, weighted and bounded; 0 elsewhere.
        bounded: True where the bound cut the estimate.
    """

    known: BoolArray
    difference_m: FloatArray
    bounded: BoolArray


def averaging_px(width_px: float) -> int:
    """Radius of the mean along the border for a blend width in pixels."""
    return max(_FEWEST_PX, math.ceil(width_px / 2))


def halo_px(width_px: float) -> int:
    """Pixels around a border pixel that its difference depends on."""
    return averaging_px(width_px) + STENCIL_PX + LARGEST_GAP_PX


def rim_differences(
    upper_m: FloatArray, lower_m: FloatArray, new: BoolArray, sigma_m: FloatArray, width_px: float
) -> RimDifferences | None:
    """Estimate the difference of two sources along the part of their border where they do not overlap.

    Args:
        upper_m: Better sources, float32, metres, NaN void.
        lower_m: The lesser source, likewise.
        new: True where the lesser source gives heights and the better ones have none.
        sigma_m: Standard deviation of the difference, on the better sources' pixels.
        width_px: Blend width in pixels.

    Returns:
        The differences; None if the sources do not abut.
    """
    pairs = np.empty((_count_pairs(upper_m, lower_m, new), 5), np.float64)
    if not len(pairs):
        return None
    _find_pairs(upper_m, lower_m, new, pairs)
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    places = np.unique(pairs[:, :2].astype(np.int64), axis=0)
    means = np.empty((len(places), 2), np.float64)
    starts = np.searchsorted(pairs[:, 0], np.arange(new.shape[0] + 1))
    _average(pairs, starts, places, averaging_px(width_px), means)
    rows, cols = places.T
    prior = sigma_m[rows, cols].astype(np.float64) ** 2
    steps = means[:, 0] * prior / np.maximum(prior + means[:, 1], 1e-12)
    limit = BOUND_SIGMAS * np.sqrt(prior)
    known, bounded = np.zeros(new.shape, np.bool_), np.zeros(new.shape, np.bool_)
    known[rows, cols] = True
    bounded[rows, cols] = np.abs(steps) > limit
    difference = np.zeros(new.shape, np.float32)
    difference[rows, cols] = -np.clip(steps, -limit, limit)
    return RimDifferences(known, difference, bounded)


@compiled
def _pair(
    upper: Any, lower: Any, new: Any, row: int, col: int, down: int, right: int
) -> tuple[float, float, float, int]:  # pragma: no cover - compiled
    """Step across the border towards a new pixel, the same inside both sources, and the distance; 0 without a pair.

    The better source's pixel is `distance` pixels behind the new one, against the direction given.
    """
    rows, cols = new.shape
    nan = np.nan
    for distance in (1, 2):
        i, j = row - distance * down, col - distance * right
        if not (0 <= i < rows and 0 <= j < cols):
            return nan, nan, nan, 0
        if new[i, j] or not np.isnan(lower[i, j]):
            return nan, nan, nan, 0
        if np.isnan(upper[i, j]):
            continue
        last_i, last_j = i - 3 * down, j - 3 * right
        end_i, end_j = row + 3 * down, col + 3 * right
        if not (0 <= last_i < rows and 0 <= last_j < cols and 0 <= end_i < rows and 0 <= end_j < cols):
            return nan, nan, nan, 0
        p, p1 = np.float64(upper[i, j]), np.float64(upper[i - down, j - right])
        p2, p3 = np.float64(upper[i - 2 * down, j - 2 * right]), np.float64(upper[last_i, last_j])
        q, q1 = np.float64(lower[row, col]), np.float64(lower[row + down, col + right])
        q2, q3 = np.float64(lower[row + 2 * down, col + 2 * right]), np.float64(lower[end_i, end_j])
        step = (q - p) - distance * ((p - p1) + (q1 - q)) / 2
        inside_upper = (p1 - p2) - ((p2 - p3) + (p - p1)) / 2
        inside_lower = (q2 - q1) - ((q1 - q) + (q3 - q2)) / 2
        if np.isnan(step) or np.isnan(inside_upper) or np.isnan(inside_lower):
            return nan, nan, nan, 0
        return step, inside_upper, inside_lower, distance
    return nan, nan, nan, 0


@compiled
def _count_pairs(upper: Any, lower: Any, new: Any) -> int:  # pragma: no cover - compiled
    count = 0
    for row in range(new.shape[0]):
        for col in range(new.shape[1]):
            if not new[row, col]:
                continue
            for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0)):
                if _pair(upper, lower, new, row, col, down, right)[3] > 0:
                    count += 1
    return count


@compiled
def _find_pairs(upper: Any, lower: Any, new: Any, pairs: Any) -> None:  # pragma: no cover - compiled
    """Write row and column of the better source's pixel, the step, and the steps inside both sources."""
    count = 0
    for row in range(new.shape[0]):
        for col in range(new.shape[1]):
            if not new[row, col]:
                continue
            for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0)):
                step, inside_upper, inside_lower, distance = _pair(upper, lower, new, row, col, down, right)
                if distance > 0:
                    pairs[count, 0] = row - distance * down
                    pairs[count, 1] = col - distance * right
                    pairs[count, 2] = step
                    pairs[count, 3] = inside_upper
                    pairs[count, 4] = inside_lower
                    count += 1


@compiled
def _average(pairs: Any, starts: Any, places: Any, radius: int, means: Any) -> None:  # pragma: no cover - compiled
    """Mean step around each place, and the variance of that mean; pairs are in the order of their rows and columns."""
    last = starts.size - 2
    for k in range(places.shape[0]):
        row, col = places[k, 0], places[k, 1]
        mass, squares, total, upper, lower, relief = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for n in range(starts[max(row - radius, 0)], starts[min(row + radius, last) + 1]):
            distance = ((pairs[n, 0] - row) ** 2 + (pairs[n, 1] - col) ** 2) / (radius + 1.0) ** 2
            if distance >= 1.0:
                continue
            weight = (1.0 - distance) ** 2
            mass += weight
            squares += weight * weight
            total += weight * pairs[n, 2]
            upper += weight * pairs[n, 3]
            lower += weight * pairs[n, 4]
            relief += weight * (pairs[n, 3] ** 2 + pairs[n, 4] ** 2) / 2
        # The means inside the sources are samples of the error; the scatter of single steps is its lower bound.
        sampled = (upper * upper + lower * lower) / (2 * mass * mass)
        scattered = relief / mass * min(1.0, _CORRELATION * squares / (mass * mass))
        means[k, 0] = total / mass
        means[k, 1] = max(sampled, scattered)
