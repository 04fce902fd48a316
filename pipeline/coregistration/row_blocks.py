"""Applies a coregistration strip by strip: aligned heights and residuals of rasters of any size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from affine import Affine
from odc.geo.geobox import GeoBox

from orograph.pipeline.core.raster import FloatArray, Raster
from orograph.pipeline.coregistration.result import Coregistration

Array = npt.NDArray[Any]

STRIP_ROWS: Final = 512
SAMPLE: Final = 2_000_000
"""Approximate maximum number of pixels for figures and pictures; smaller rasters are used whole."""


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """Some whole rows of the reference's grid.

    Attributes:
        rows: Row numbers.
        geobox: Their grid.
        aligned_m: The aligned raster on it, float32, NaN is void.
    """

    rows: slice
    geobox: GeoBox
    aligned_m: FloatArray


def strips(result: Coregistration, moving: Raster, geobox: GeoBox, *, threads: int = 1) -> Iterator[Strip]:
    """The aligned raster on a grid, 512 rows at a time."""
    for first in range(0, geobox.shape.y, STRIP_ROWS):
        rows = slice(first, min(first + STRIP_ROWS, geobox.shape.y))
        part = geobox[rows, :]
        yield Strip(rows, part, result.apply(moving, part, threads=threads).heights_m)


def sampling_step(shape: tuple[int, int], most: int = SAMPLE) -> int:
    """Row and column interval that gives about `most` pixels."""
    return max(1, int(np.ceil(np.sqrt(shape[0] * shape[1] / most))))


def sampled(values: Array, strip: Strip, step: int) -> Array:
    """Every `step`-th row and column of the whole raster that is in a strip's values (..., rows, columns)."""
    return values[..., (-strip.rows.start) % step :: step, ::step].copy()


def sampled_box(geobox: GeoBox, step: int) -> GeoBox:
    """The grid of every `step`-th pixel: the same centres, larger pixels."""
    rows, cols = (-(-size // step) for size in geobox.shape.shape)
    to_sample = Affine.translation(0.5, 0.5) @ Affine.scale(step) @ Affine.translation(-0.5, -0.5)
    return GeoBox((rows, cols), geobox.affine @ to_sample, geobox.crs)
