"""Blend several sources, best first; heights of the best source stay unchanged.

Where a better source ends, the next one is bent to meet it: the difference between the two is added there and fades
with distance. So the better source is never altered, the step along its edge is removed, and the lesser source is
unchanged beyond the blend's width. The difference is split into a smooth part (`orograph.pipeline.tile.stages.bend`),
which fades over the whole width, and the rest (noise of single pixels), which fades over an eighth of it, so that noise
does not become stripes.

Sources that abut without overlap are joined by the same rule, with differences estimated at their border
(`orograph.pipeline.tile.stages.abutting`); only the smooth part is used there.

Rules: voids are ignored. The sea keeps its level: where the lesser source is sea and the better one ends on land, no
correction is added, and on the lesser source's land the bend fades towards that sea. This rule treats lakes as land.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import scipy  # its submodules load at first use: planning needs halos only

from orograph.pipeline.core.raster import BoolArray, FloatArray
from orograph.pipeline.job import Job
from orograph.pipeline.tile.stages import abutting
from orograph.pipeline.tile.stages.bend import Bend
from orograph.pipeline.tile.stages.stage import Context, IndexArray, Layer, TileWindow

_NOISE_SHARE = 8.0
_DEEPEST = 2
SEA_LEVEL_M: Final = 1.0
"""The sea level of DTMs is within a metre of any levelled frame's zero."""
SEA_FLAT_M: Final = 0.002
"""DTMs store the sea as one height; a geoid tilts it by less than this over three pixels."""


@dataclass(frozen=True, slots=True)
class Blend:
    """Merge the layers of a window."""

    name: str = "blend"

    def halo_px(self, job: Job) -> int:
        """Return the bend's reach, doubled if a third source may meet one that was bent itself."""
        width_px = job.settings.blend_width_m / job.settings.pixel_size_m
        if width_px <= 0:
            return 1
        reach = Bend.of(width_px, (0, 0)).halo_px + (abutting.halo_px(width_px) if job.settings.join_abutting else 0)
        return reach * min(max(1, len(job.sources) - 1), _DEEPEST) + 3

    def peak_bytes(self, shape: tuple[int, int], job: Job) -> int:
        """Distance (float64), nearest indices (2 int32), differences, bend, weights, the layers and their masks."""
        lowered = 0 if job.settings.bare_earth == "none" else 4 * (1 + len(job.sources))
        return shape[0] * shape[1] * (84 + 4 * len(job.sources) + lowered)

    def __call__(self, window: TileWindow, context: Context) -> TileWindow:
        """Merge; the window leaves with heights, source index and sigma, and without layers."""
        width_px = context.job.settings.blend_width_m / context.job.settings.pixel_size_m
        if window.layers and window.layers[0].valid.all():
            # A best source without voids hides all others; this is so in most windows.
            best = window.layers[0]
            return window.evolve(
                layers=(),
                heights_m=best.heights_m,
                source_index=np.full(window.shape, best.index, np.uint8),
                sigma_m=np.broadcast_to(np.asarray(best.sigma_m, np.float32), window.shape),
                lowered=best.lowered,
            )
        heights = np.full(window.shape, np.nan, np.float32)
        index = np.zeros(window.shape, np.uint8)
        sigma = np.full(window.shape, np.nan, np.float32)
        bend = Bend.of(width_px, _origin(window)) if width_px > 0 else None
        raw = heights
        joins = context.job.settings.join_abutting
        lowered = None
        for layer in window.layers:
            before = index
            raw = np.where(np.isfinite(raw), raw, layer.heights_m)
            difference = None
            if bend is not None:
                difference = _difference(heights, sigma, layer, width_px if joins else None)
                _count_joined(context, window, before, layer.index, difference)
            heights, index, sigma = _under((heights, index, sigma), layer, difference, bend, width_px)
            if layer.lowered is not None:
                new = (index == layer.index) & (before == 0)
                lowered = np.where(new, layer.lowered, np.float32(0) if lowered is None else lowered)
        return window.evolve(
            layers=(), heights_m=heights, source_index=index, sigma_m=sigma, lowered=lowered, unbent_m=raw
        )


def _origin(window: TileWindow) -> tuple[int, int]:
    """Row and column of the window's first pixel, counted from the origin of the CRS southwards and eastwards."""
    affine = window.geobox.affine
    return round(affine.f / affine.e), round(affine.c / affine.a)


@dataclass(frozen=True, slots=True, eq=False)
class _Difference:
    """Difference of the better sources and a lesser one.

    Attributes:
        metres: float32, better minus lesser; 0 where unknown.
        known: True where there is a difference.
        rim: The part that was estimated at borders without overlap; None without such borders.
    """

    metres: FloatArray
    known: BoolArray
    rim: abutting.RimDifferences | None


def _difference(upper_m: FloatArray, sigma_m: FloatArray, layer: Layer, joined_px: float | None) -> _Difference:
    """Differences where both sources have heights, within a width in pixels, and along borders where they abut."""
    have = np.isfinite(upper_m)
    both = have & layer.valid
    metres = np.where(both, upper_m - layer.heights_m, np.float32(0)).astype(np.float32)
    new = layer.valid & ~have
    if joined_px is None or not new.any() or not have.any():
        return _Difference(metres, both, None)
    spread = layer.sigma_m
    if isinstance(spread, np.ndarray):
        # The lesser source's own, carried to the rim from the pixels next to it.
        spread = scipy.ndimage.maximum_filter(np.nan_to_num(spread), 2 * abutting.LARGEST_GAP_PX + 3)
    sigma = np.hypot(np.nan_to_num(sigma_m), spread).astype(np.float32)
    rim = abutting.rim_differences(upper_m, layer.heights_m, new, sigma, joined_px)
    if rim is None:
        return _Difference(metres, both, None)
    return _Difference(metres + rim.difference_m, both | rim.known, rim)


def _count_joined(
    context: Context, window: TileWindow, index: IndexArray, number: int, difference: _Difference
) -> None:
    """Count rim pixels of the window's core, and those whose difference was bounded, by pair of sources."""
    if difference.rim is None:
        return
    known, bounded = window.inner(difference.rim.known), window.inner(difference.rim.bounded)
    counted = context.details.setdefault("joined", {})
    for better in np.unique(window.inner(index)[known]).tolist():
        pixels, cut = counted.get((better, number), (0, 0))
        of_pair = known & (window.inner(index) == better)
        counted[better, number] = (
            pixels + int(np.count_nonzero(of_pair)),
            cut + int(np.count_nonzero(of_pair & bounded)),
        )


def _under(
    merged: tuple[FloatArray, IndexArray, FloatArray],
    layer: Layer,
    difference: _Difference | None,
    bend: Bend | None,
    width_px: float,
) -> tuple[FloatArray, IndexArray, FloatArray]:
    """Merge a lower-priority layer below heights, source index and standard deviation that are already there."""
    heights_m, index, sigma_m = merged
    new = layer.valid & np.isnan(heights_m)
    if not new.any():
        return merged
    lower, lower_sigma = layer.heights_m, np.broadcast_to(np.float32(layer.sigma_m), heights_m.shape)
    if isinstance(layer.sigma_m, np.ndarray):
        lower_sigma = layer.sigma_m
    if bend is not None and difference is not None and difference.known.any():
        offset, weight = _offset(heights_m, lower, difference, new, bend, width_px)
        lower = lower + offset
        # Near the edge the bent source is known from both sides; the remaining error is that of the bend.
        lower_sigma = np.sqrt(lower_sigma**2 + (weight * offset / 3.0) ** 2)
    return (
        np.where(new, lower, heights_m).astype(np.float32, copy=False),
        np.where(new, np.uint8(layer.index), index),
        np.where(new, lower_sigma, sigma_m).astype(np.float32, copy=False),
    )


def _offset(
    upper_m: FloatArray, lower_m: FloatArray, found: _Difference, new: BoolArray, bend: Bend, width_px: float
) -> tuple[FloatArray, FloatArray]:
    """Return the correction of the lower source and its weight: 1 at the better source's edge, 0 beyond the width."""
    away, (rows, cols) = scipy.ndimage.distance_transform_edt(~found.known, return_indices=True)
    near = new & (away < width_px)
    rim = np.zeros(new.shape, np.bool_)
    rim[rows[near], cols[near]] = True
    smooth = bend.surface(found.metres, found.known, near | rim)
    weight = np.where(near, 1 - _smoothstep(away / width_px), np.float32(0)).astype(np.float32)
    noise_weight = 1 - _smoothstep(away / max(width_px / _NOISE_SHARE, 1.0))
    weight *= _next_to_sea(upper_m, lower_m, near, (rows, cols), width_px)
    rest = found.metres - np.nan_to_num(smooth)
    if found.rim is not None:
        # The noise of an estimate belongs to neither source.
        rest[found.rim.known] = 0
    rest = rest[rows, cols]
    offset = np.where(near, np.nan_to_num(smooth) * weight + rest * np.minimum(noise_weight, weight), np.float32(0))
    return offset.astype(np.float32), weight


def _next_to_sea(
    upper_m: FloatArray,
    lower_m: FloatArray,
    near: BoolArray,
    nearest: tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]],
    width_px: float,
) -> FloatArray | np.float32:
    """Factor of the bend: 0 on sea that meets land, growing to 1 over an eighth of the width on the land behind it."""
    sea = _sea(lower_m) & near
    if not sea.any():
        return np.float32(1)
    upper_sea = _sea(upper_m)
    kept = sea & ~upper_sea[nearest]
    if not kept.any():
        return np.float32(1)
    fade_px = max(width_px / _NOISE_SHARE, 1.0)
    return _smoothstep(scipy.ndimage.distance_transform_edt(~kept) / fade_px)


def _sea(heights_m: FloatArray) -> BoolArray:
    """Mark level areas at sea level: 3 x 3 pixels of one height, voids ignored, within a metre of zero."""
    with np.errstate(invalid="ignore"):
        close: BoolArray = np.abs(heights_m) <= SEA_LEVEL_M
    if not close.any():
        return close
    void = np.isnan(heights_m)
    highest = scipy.ndimage.maximum_filter(np.where(void, np.float32(-np.inf), heights_m), 3)
    lowest = scipy.ndimage.minimum_filter(np.where(void, np.float32(np.inf), heights_m), 3)
    flat: BoolArray = highest - lowest <= SEA_FLAT_M
    return flat & close


def _smoothstep(ratio: npt.NDArray[np.floating]) -> FloatArray:
    t = np.clip(ratio, 0, 1).astype(np.float32)
    return t * t * (3 - 2 * t)
