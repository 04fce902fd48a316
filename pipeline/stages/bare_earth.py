"""Bare earth: what stands on the ground is taken off a surface model, where something stands.

A trained network tells each pixel's height above ground as a distribution. Where it is probable that something higher
than 2 m stands, its expected height is subtracted; elsewhere the surface stays as it is, bit for bit. The progressive
morphological filter (Zhang et al., 2003) stands beside it as the classical answer.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from scipy import ndimage

from pipeline.errors import AllVoid, ConfigError, HeightsNotFinite
from pipeline.implicit.fill import fill_voids
from pipeline.implicit.lattice import LatticeShape, fit_lattice, render
from pipeline.raster import BoolArray, FloatArray

if TYPE_CHECKING:
    from pipeline.models.ordinal.surface_model import SurfaceModel

THRESHOLD_M: Final = 2.0
PROBABILITY: Final = 0.5
# A surface's own error on open ground, so that a spread is never nothing.
_FLOOR_SPREAD_M: Final = 0.1
_OPENING_HALO_PX: Final = 256
_SMOOTH_M: Final = 12.0
_SMOOTHING: Final = 1e-2


class BareEarth(NamedTuple):
    """What the stage gives back, three arrays of the surface's shape.

    Attributes:
        heights_m: Bare earth, float32, metres; NaN where the surface is void.
        sigma_m: Standard error the correction adds, float32, metres; 0 where nothing was taken off.
        mask: True where something was taken off.
    """

    heights_m: FloatArray
    sigma_m: FloatArray
    mask: BoolArray


def bare_earth(
    heights_m: FloatArray,
    pixel_size_m: float,
    model: str,
    *,
    probability: float = PROBABILITY,
    smooth: bool = False,
    origin_px: tuple[int, int] = (0, 0),
) -> BareEarth:
    """Take canopy and buildings off a surface model.

    Args:
        heights_m: Surface heights, (rows, columns), metres; NaN is void.
        pixel_size_m: Ground size of a pixel, metres; each model works at the sizes it was trained at.
        model: Registry name of a bare-earth model, the path of its file, or `opening` for the morphological filter.
        probability: Something stands where P(height above ground > 2 m) exceeds this.
        smooth: Bridge the corrected ground by a spline weighted by its own spread, tied to open ground around it; it
            sees the whole array, so windows of one surface then differ slightly where they overlap.
        origin_px: Row and column of `heights_m[0, 0]` on the surface's own lattice; with it and `halo_px` of context
            windows of one surface agree.

    Raises:
        ConfigError: no such model, a pixel size it was not trained for, or a probability outside (0, 1).
        AllVoid: there is no height.
        HeightsNotFinite: infinite heights.
    """
    if not 0 < probability < 1:
        raise ConfigError(f"probability {probability} is not between 0 and 1")
    void = np.isnan(heights_m)
    if void.all():
        raise AllVoid("no height to find the ground below")
    if np.isinf(heights_m).any():
        raise HeightsNotFinite("infinite heights", remedy="mark them as nodata")
    surface = fill_voids(heights_m) if void.any() else np.asarray(heights_m, dtype=np.float32)
    if model == "opening":
        ground, sigma, mask = _by_opening(surface, pixel_size_m)
    else:
        ground, sigma, mask = _by_network(surface, pixel_size_m, model, probability, smooth, origin_px)
    mask = mask & ~void
    result = np.where(mask, ground, heights_m).astype(np.float32)
    return BareEarth(result, np.where(mask, sigma, 0.0).astype(np.float32), mask)


@lru_cache(maxsize=4)
def _loaded(name: str) -> SurfaceModel:
    from pipeline.models.ordinal.surface_model import load_bare_earth

    return load_bare_earth(name)


def halo_px(model: str) -> int:
    """Pixels of context the stage needs around a window.

    Raises:
        ConfigError: no such model.
    """
    return _OPENING_HALO_PX if model == "opening" else _loaded(model).spec.halo_px


def pixel_sizes_m(model: str) -> tuple[float, float]:
    """Smallest and largest pixel size a model works at, metres."""
    return (0.5, 5.0) if model == "opening" else _loaded(model).spec.pixel_size_m


def _by_network(
    surface_m: FloatArray,
    pixel_size_m: float,
    name: str,
    probability: float,
    smooth: bool,
    origin_px: tuple[int, int],
) -> tuple[FloatArray, FloatArray, BoolArray]:
    said = _loaded(name).above_ground(surface_m, pixel_size_m, THRESHOLD_M, origin_px)
    mask = said.covered > probability
    ground = (surface_m - said.height_m).astype(np.float32)
    if smooth and mask.any() and not mask.all():
        ground = smooth_ground(ground, said.spread_m, mask, pixel_size_m)
    # The ground is not above the surface.
    return np.minimum(ground, surface_m), np.maximum(said.spread_m, _FLOOR_SPREAD_M), mask


def smooth_ground(ground_m: FloatArray, spread_m: FloatArray, mask: BoolArray, pixel_size_m: float) -> FloatArray:
    """Ground under cover as a bending-energy spline through the estimates, each weighted by its own spread.

    Open ground around holds it with the weight of the surface's own error. Meshes are 12 m wide, or one pixel.

    Args:
        ground_m: Estimated ground, metres, finite.
        spread_m: Its standard deviation, metres.
        mask: Where the ground is an estimate; elsewhere it is measured and stays.
        pixel_size_m: Ground size of a pixel, metres.
    """
    mesh_px = max(1.0, _SMOOTH_M / pixel_size_m)
    shape = LatticeShape(max(1, round(mask.shape[0] / mesh_px)), max(1, round(mask.shape[1] / mesh_px)))
    reach = max(1, round(2 * mesh_px))
    near = ndimage.binary_dilation(mask, iterations=reach)
    weight = np.where(near, 1.0 / np.maximum(np.where(mask, spread_m, _FLOOR_SPREAD_M), _FLOOR_SPREAD_M) ** 2, 0.0)
    surface = render(fit_lattice(ground_m, shape, weight, _SMOOTHING), mask.shape)
    return np.where(mask, surface, ground_m).astype(np.float32)


def _by_opening(surface_m: FloatArray, pixel_size_m: float) -> tuple[FloatArray, FloatArray, BoolArray]:
    mask = opening_mask(surface_m, pixel_size_m)
    if mask.all():
        raise AllVoid("the opening leaves no ground")
    ground = smooth_ground(surface_m, np.full_like(surface_m, np.inf), mask, pixel_size_m) if mask.any() else surface_m
    # The filter has no opinion of its own error: a fifth of what it takes off, at least the floor.
    return np.minimum(ground, surface_m), np.maximum(0.2 * np.abs(surface_m - ground), _FLOOR_SPREAD_M), mask


def opening_mask(
    surface_m: FloatArray, pixel_size_m: float, *, widest_m: float = 120.0, slope: float = 0.15, least_m: float = 0.5
) -> BoolArray:
    """True where a progressive opening says that something stands (Zhang et al., 2003).

    Windows double up to `widest_m`; what an opening lowers by more than the window's growth times `slope`, and at
    least `least_m`, is no ground.

    Args:
        surface_m: Surface heights without voids, metres.
        pixel_size_m: Ground size of a pixel, metres.
        widest_m: Width of the widest window, metres.
        slope: Steepest ground the filter believes in.
        least_m: Lowest thing it takes for one.
    """
    mask = np.zeros(surface_m.shape, dtype=np.bool_)
    current, before, width = surface_m, 1, 3
    while width * pixel_size_m <= widest_m or width == 3:
        opened = ndimage.grey_opening(current, size=(width, width), mode="nearest")
        threshold = min(least_m + slope * (width - before) * pixel_size_m, 3.0)
        mask |= (current - opened) > threshold
        current, before, width = opened, width, 2 * width + 1
    return mask
