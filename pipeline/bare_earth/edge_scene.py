"""A DSM with its land-cover map, and the steps measured in them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from orograph.pipeline.core.raster import BoolArray, FloatArray

Array = npt.NDArray[np.float64]

MAP_SIGMA_PX: Final = 0.5
"""Standard deviation of the map's position and of the averaging over a pixel."""
_BOX_SIGMA: Final = 1.0 / math.sqrt(12.0)
"""Standard deviation of the averaging over a pixel alone, pixels."""
TRUNCATE: Final = 3.0
NO_EVIDENCE_M: Final = 1e3
"""Standard error of a step that was not measured."""


class Steps(NamedTuple):
    """Height of a class's step by block, metres.

    Attributes:
        height_m: The step.
        error_m: Its standard error; `NO_EVIDENCE_M` where there is too little to measure.
        followed_m: Standard deviation of the step that bare terrain has along the edges of a right map.
        scatter_m: Standard deviation between estimates under different assumptions on the terrain.
    """

    height_m: Array
    error_m: Array
    followed_m: Array
    scatter_m: Array


def joined(one: Steps, other: Steps) -> Steps:
    """Mean of two measurements, weighted by all their errors; they share heights, so errors do not shrink."""
    first, second = (1.0 / sum(np.square(part) for part in step[1:]) for step in (one, other))
    share = first / (first + second)

    def mean(a: Array, b: Array) -> Array:
        return np.asarray(share * a + (1.0 - share) * b)

    return Steps(*(mean(a, b) for a, b in zip(one, other, strict=True)))


@dataclass(frozen=True, eq=False)
class EdgeScene:
    """A window of a DSM and its map.

    Attributes:
        heights_m: (rows, columns), metres, NaN in voids.
        valid: Pixels with a height.
        known: Pixels with a class.
        cover: (2, rows, columns), share of trees and of buildings, 0 where unknown.
        pixel_size_m: Size along columns and along rows, metres.
        footprint_m: Standard deviation of the sensor's footprint, metres.
    """

    heights_m: FloatArray
    valid: BoolArray
    known: BoolArray
    cover: Array
    pixel_size_m: tuple[float, float]
    footprint_m: float

    @classmethod
    def of(
        cls, heights_m: FloatArray, shares: FloatArray, pixel_size_m: tuple[float, float], footprint_m: float
    ) -> Self:
        """Make the scene of a DSM, NaN in voids, and its shares of trees and buildings, NaN where unknown."""
        known = np.asarray(np.isfinite(shares).all(axis=0))
        cover = np.nan_to_num(np.asarray(shares, np.float64))
        return cls(heights_m, np.isfinite(heights_m), known, cover, pixel_size_m, footprint_m)

    @cached_property
    def filled(self) -> Array:
        """Heights with zeros in voids."""
        return np.where(self.valid, self.heights_m, 0.0).astype(np.float64)

    @cached_property
    def blurred(self) -> Array:
        """Shares as the sensor may see them, the map's position being uncertain."""
        sigmas = [math.hypot(MAP_SIGMA_PX, self.footprint_m / size) for size in reversed(self.pixel_size_m)]
        return np.stack([gaussian_filter(share, sigmas, truncate=TRUNCATE) for share in self.cover])

    @cached_property
    def seen(self) -> Array:
        """Shares as the sensor sees them where the map's position is exact.

        A share is an average over its pixel, and so is a height: only a wider footprint carries canopy over the pixel's edge.
        """
        footprints = [self.footprint_m / size for size in reversed(self.pixel_size_m)]
        sigmas = [math.sqrt(max(sigma**2 - _BOX_SIGMA**2, 0.0)) for sigma in footprints]
        return np.stack([gaussian_filter(share, sigmas, truncate=TRUNCATE) for share in self.cover])

    @property
    def blur_m(self) -> float:
        """Standard deviation of that blur, metres."""
        return math.hypot(MAP_SIGMA_PX * max(self.pixel_size_m), self.footprint_m)
