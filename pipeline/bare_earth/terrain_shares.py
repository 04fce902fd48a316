"""Share of pixels under canopy as the difference of a DSM and a terrain model shows it, with and without a map."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import correlate1d, gaussian_filter, maximum_filter
from scipy.special import ndtr

from orograph.pipeline.bare_earth.block_lattice import BlockLattice
from orograph.pipeline.bare_earth.canopy_edges import STAND_SPREAD
from orograph.pipeline.bare_earth.edge_scene import TRUNCATE
from orograph.pipeline.bare_earth.terrain_level import BINS_M, above, histograms, looked_up
from orograph.pipeline.core.raster import BoolArray

Array = npt.NDArray[np.float64]

PATCH_SIGMA_PX: Final = 3.0
"""Standard deviation of the smoothing that finds extended patches."""
PATCH_AREA_PX: Final = 4.0 * np.pi * PATCH_SIGMA_PX**2
"""Pixels of one independent value after it."""
_NEAR_PX: Final = 5
_WINDOW_BINS: Final = 7
_RAMP: Final = (0.85, 0.97)
"""Probability of canopy from which a patch is lowered, and from which it is lowered fully."""
_INSIDE: Final = (0.3, 0.7)
"""Part of a patch's height from which a pixel belongs to it, and from which it belongs fully."""
REACH_PX: Final = 2 * int(TRUNCATE * PATCH_SIGMA_PX + 0.5) + _NEAR_PX
"""Pixels that a share depends on, without those of the blocks around."""
LEAST_COVERED: Final = 0.2
_TRIED: Final = 9
_UNDER_CANOPY: Final = 2.0
"""Variance of the difference's errors under canopy over that on open terrain."""


def smoothed(values: Array, used: BoolArray, sigma_px: float) -> tuple[Array, Array]:
    """Gaussian mean of the used pixels, and their share in it."""
    share = gaussian_filter(used.astype(np.float64), sigma_px, truncate=TRUNCATE)
    total = gaussian_filter(np.where(used, values, 0.0), sigma_px, truncate=TRUNCATE)
    return np.asarray(total / np.maximum(share, 1e-3)), np.asarray(share)


def found_share(difference_m: Array, used: BoolArray, offset_m: Array, lattice: BlockLattice) -> Array:
    """Share of canopy in each pixel without a map: in patches so high that errors of the terrain model do not reach them.

    Errors have both signs, canopy has one. So of the patches that are some metres high, as many are errors as are
    low by as much, and the largest number of them that chance explains.

    Args:
        difference_m: DSM less terrain model, metres.
        used: Pixels without a class that have both.
        offset_m: Difference in level by block.
        lattice: Blocks under the arrays.
    """
    patch, _ = smoothed(difference_m, used, PATCH_SIGMA_PX)
    counts = above(histograms(patch, used, lattice), offset_m) / PATCH_AREA_PX
    high = correlate1d(counts, np.ones(_WINDOW_BINS), axis=-1, mode="constant")
    low = high[..., ::-1]
    sure = 1.0 - (low + 2.0 * np.sqrt(low + 1.0)) / np.maximum(high, 1e-9)
    sure = np.where(BINS_M > 0.0, _ramp(sure, _RAMP), 0.0)
    offset = lattice.spread(offset_m)
    patch = np.where(used, patch - offset, 0.0)
    probability = np.where(used, looked_up(np.maximum.accumulate(sure, axis=-1), patch, lattice), 0.0)
    near = gaussian_filter(maximum_filter(probability, _NEAR_PX, mode="nearest"), 1.0, truncate=TRUNCATE)
    weight = gaussian_filter(probability, PATCH_SIGMA_PX, truncate=TRUNCATE)
    height = gaussian_filter(probability * patch, PATCH_SIGMA_PX, truncate=TRUNCATE) / np.maximum(weight, 1e-6)
    return np.where(used, near * _ramp((difference_m - offset) / np.maximum(height, 1.0), _INSIDE), 0.0)


def covered_share(mean_m: Array, below: Array, spread_m: Array) -> Array:
    """Share of mapped pixels where objects stand, from the mean difference and the part of it that is below zero.

    Of bare pixels half are below zero; of others as many as errors and the stand's own spread carry there.

    Args:
        mean_m: Mean difference on mapped pixels, less the level.
        below: Part of them with a negative difference.
        spread_m: Standard deviation of the difference on open terrain.
    """
    covered, before = np.ones_like(mean_m), np.zeros_like(mean_m)
    shares = np.linspace(1.0, LEAST_COVERED, _TRIED)
    for number, share in enumerate(shares):
        height = np.maximum(mean_m, 0.0) / share
        wide = np.sqrt(_UNDER_CANOPY * np.square(spread_m) + np.square(STAND_SPREAD * height))
        expected = share * ndtr(-height / wide) + 0.5 * (1.0 - share)
        if number > 0:
            part = np.clip((below - before) / np.maximum(expected - before, 1e-6), 0.0, 1.0)
            covered += part * (share - shares[number - 1])
        before = expected
    return np.where(mean_m > 0.0, covered, LEAST_COVERED)


def _ramp(values: Array, between: tuple[float, float]) -> Array:
    low, high = between
    return np.clip((values - low) / (high - low), 0.0, 1.0)
