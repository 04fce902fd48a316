"""Blend: one surface from several, best source first, its heights untouched.

Where a better source ends, the next one is bent to meet it: the difference between the two at the nearest place where
both have heights is added, and fades with distance from there. So the better source is never altered, the step along
its edge is gone, and beyond the blend's width the lesser source is as it was. The difference is split in a smooth part,
which fades over the whole width, and the rest (noise of single pixels), which fades over an eighth of it, lest noise be
drawn out into stripes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, gaussian_filter

from pipeline.job import Job
from pipeline.raster import BoolArray, FloatArray
from pipeline.stages.base import Context, IndexArray, Layer, TileWindow

_NOISE_SHARE = 8.0


@dataclass(frozen=True, slots=True)
class Blend:
    """Merge the layers of a window."""

    name: str = "blend"

    def halo_px(self, job: Job) -> int:
        """The width, and half of it again for the smoothing of differences."""
        return math.ceil(1.5 * job.settings.blend_width_m / job.settings.pixel_size_m) + 1

    def peak_bytes(self, shape: tuple[int, int], job: Job) -> int:
        """Distance (float64), nearest indices (2 int32), differences and weights, besides the layers."""
        return shape[0] * shape[1] * (40 + 4 * len(job.sources))

    def __call__(self, window: TileWindow, context: Context) -> TileWindow:
        """Merge; the window leaves with heights, source index and sigma, and without layers."""
        width_px = context.job.settings.blend_width_m / context.job.settings.pixel_size_m
        heights = np.full(window.shape, np.nan, np.float32)
        index = np.zeros(window.shape, np.uint8)
        sigma = np.full(window.shape, np.nan, np.float32)
        for layer in window.layers:
            heights, index, sigma = _under(heights, index, sigma, layer, width_px)
        return window.evolve(layers=(), heights_m=heights, source_index=index, sigma_m=sigma)


def _under(
    heights_m: FloatArray, index: IndexArray, sigma_m: FloatArray, layer: Layer, width_px: float
) -> tuple[FloatArray, IndexArray, FloatArray]:
    """Put a lesser layer under what is already there."""
    have = np.isfinite(heights_m)
    new = layer.valid & ~have
    if not new.any():
        return heights_m, index, sigma_m
    lower, lower_sigma = layer.heights_m, np.broadcast_to(np.float32(layer.sigma_m), heights_m.shape)
    if isinstance(layer.sigma_m, np.ndarray):
        lower_sigma = layer.sigma_m
    both = have & layer.valid
    if width_px > 0 and both.any():
        offset, weight = _offset(heights_m, lower, both, new, width_px)
        lower = lower + offset
        # Near the edge the bent source is known from both sides; what is left is how well it was bent.
        lower_sigma = np.sqrt(lower_sigma**2 + (weight * offset / 3.0) ** 2)
    return (
        np.where(new, lower, heights_m).astype(np.float32, copy=False),
        np.where(new, np.uint8(layer.index), index),
        np.where(new, lower_sigma, sigma_m).astype(np.float32, copy=False),
    )


def _offset(
    upper_m: FloatArray, lower_m: FloatArray, both: BoolArray, new: BoolArray, width_px: float
) -> tuple[FloatArray, FloatArray]:
    """What to add to the lower source, and the weight of it: 1 at the better source's edge, 0 beyond the width."""
    difference = np.where(both, upper_m - lower_m, np.float32(0)).astype(np.float32)
    spread = width_px / 8.0
    mass = gaussian_filter(both.astype(np.float32), spread, mode="constant", truncate=4.0)
    smooth = gaussian_filter(difference, spread, mode="constant", truncate=4.0) / np.maximum(mass, np.float32(1e-6))
    away, nearest = distance_transform_edt(~both, return_indices=True)
    distance: FloatArray = np.where(new, away, 0.0).astype(np.float32)
    rows, cols = nearest
    weight = 1 - _smoothstep(distance / np.float32(width_px))
    noise_weight = 1 - _smoothstep(distance / np.float32(max(width_px / _NOISE_SHARE, 1.0)))
    at_edge, smooth_at_edge = difference[rows, cols], smooth[rows, cols]
    offset = smooth_at_edge * weight + (at_edge - smooth_at_edge) * noise_weight
    return np.where(new, offset, np.float32(0)).astype(np.float32), weight


def _smoothstep(ratio: npt.NDArray[np.floating]) -> FloatArray:
    t = np.clip(ratio, 0, 1).astype(np.float32)
    return t * t * (3 - 2 * t)
