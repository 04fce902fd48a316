"""Runs a small pair through every kernel to fill numba's cache."""

from __future__ import annotations

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from orograph.pipeline.core.raster import Raster
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.coregistration.fitting import fit

_SIDE = 240


def warm_up() -> None:
    """Align a synthetic pair with a void, blockwise, and apply the result."""
    rows, cols = np.mgrid[0:_SIDE, 0:_SIDE]
    heights = 40 * np.sin(rows / 9) * np.cos(cols / 7) + 25 * np.sin((rows + 2 * cols) / 11)
    moving = heights.copy()
    moving[50:54, 60:70] = np.nan
    reference = np.roll(heights, 1, axis=1) + np.random.default_rng(0).normal(0, 0.2, heights.shape)
    geobox = GeoBox(heights.shape, Affine(10.0, 0, 0, 0, -10.0, 0), "EPSG:3035")
    pair = [Raster(part.astype(np.float32), geobox, "none", Surface.DTM) for part in (reference, moving)]
    result = fit(pair[0], pair[1], method="blockwise(nuth-kaab)")
    result.apply(pair[1])
    result.displacement(geobox)
