"""Warps a raster through a field, in bands: the memory is the result and a few rows."""

from __future__ import annotations

from typing import Final

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from orograph.pipeline.core.raster import FloatArray, Raster
from orograph.pipeline.coregistration import spline
from orograph.pipeline.coregistration.cpu_kernels import cpu_kernels
from orograph.pipeline.coregistration.despike import despike
from orograph.pipeline.coregistration.field import DisplacementField, geometry_of
from orograph.pipeline.coregistration.threads import in_bands
from orograph.pipeline.coregistration.torch_kernels import Kernels, kernels_for

BAND_ROWS: Final = 192
MARGIN_ROWS: Final = 8 + spline.MARGIN_ROWS
"""Two rows of kernel, two of repair around each, a margin for rounding, and the length of the spline's filter."""


def warp(
    raster: Raster, field: DisplacementField, geobox: GeoBox, *, threads: int = 1, engine: Kernels | None = None
) -> FloatArray:
    """Heights (metres, float32) of a raster displaced by a field, on a grid; NaN outside the raster.

    Only the rows needed by a band are repaired at a time, so no copy of the raster is made.
    """
    heights = raster.heights_m
    if field.still and (same := _same_pixels(raster, geobox)) is not None:
        return same
    chosen, north_range = engine or kernels_for(None), cpu_kernels().north_range
    out = np.empty(geobox.shape.shape, np.float32)
    geometry = geometry_of(geobox, field.geobox, raster.geobox)
    shaped = (field.polynomial, field.nodes)

    def band(first: int, last: int) -> None:
        low, high = north_range(geometry, *shaped, first, last, out.shape[1])
        places = [
            geometry[4] + geometry[5] * row + north * geometry[9] for row in (first, last - 1) for north in (low, high)
        ]
        top = max(int(np.floor(min(places))) - MARGIN_ROWS, 0)
        bottom = min(int(np.ceil(max(places))) + MARGIN_ROWS, heights.shape[0])
        if bottom - top < 1:
            out[first:last] = np.nan
            return
        part = heights[top:bottom]
        local = geometry.copy()
        local[4] -= top
        whole = despike(part, spikes=False)
        chosen.warp(part, whole, whole is not part, local, *shaped, first, last, out)

    in_bands(band, out.shape[0], threads, per_band=BAND_ROWS)
    return out


def _same_pixels(raster: Raster, geobox: GeoBox) -> FloatArray | None:
    """A copy of the raster's pixels on a grid of the same pixels; None if the grid's are others."""
    to_raster = ~raster.geobox.affine * geobox.affine
    row, col = round(to_raster.f), round(to_raster.c)
    if geobox.crs != raster.geobox.crs or not to_raster.almost_equals(Affine.translation(col, row), 1e-6):
        return None
    out = np.full(geobox.shape.shape, np.nan, np.float32)
    (rows, cols), (height, width) = out.shape, raster.heights_m.shape
    inside = np.s_[max(row, 0) : max(min(row + rows, height), 0), max(col, 0) : max(min(col + cols, width), 0)]
    part = raster.heights_m[inside]
    top, left = inside[0].start - row, inside[1].start - col
    out[top : top + part.shape[0], left : left + part.shape[1]] = part
    return out
