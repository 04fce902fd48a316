"""Bare earth: remove canopy and buildings from a DSM.

A trained network predicts the distribution of each pixel's height above the terrain. Where an object higher than 2 m is
probable, its expected height is subtracted; elsewhere the DSM stays unchanged, bit for bit. The progressive
morphological filter (Zhang et al., 2003) is available as the classical alternative.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from rasterio.fill import fillnodata
from scipy import ndimage

from orograph.pipeline.bare_earth.canopy_edges import HALO_PX as EDGES_HALO_PX
from orograph.pipeline.bare_earth.canopy_edges import CanopyEdges, lower_by_edges
from orograph.pipeline.bare_earth.filters import EDGES, EDGES_SIZES_M, FILTERS, FUSION, OPENING, OPENING_SIZES_M
from orograph.pipeline.bare_earth.square_pixels import Squares
from orograph.pipeline.bare_earth.terrain_fusion import HALO_PX as FUSION_HALO_PX
from orograph.pipeline.bare_earth.terrain_fusion import TerrainModel, lower_by_fusion
from orograph.pipeline.core.precision import DEFAULT_PRECISION, Precision
from orograph.pipeline.core.raster import BoolArray, FloatArray
from orograph.pipeline.core.weights_uri import Read
from orograph.pipeline.errors import AllVoid, ConfigError, HeightsNotFinite
from orograph.pipeline.implicit.fill import fill_voids

if TYPE_CHECKING:
    from orograph.pipeline.bare_earth.model import SurfaceModel

THRESHOLD_M: Final = 2.0
# Minimum standard error: the DSM's own error on open terrain.
_FLOOR_SPREAD_M: Final = 0.1
# Voids this near to a height are filled by a smooth surface.
_RIM_PX: Final = 16
_OPENING_HALO_PX: Final = 256
_SMOOTH_M: Final = 6.0
_REACH_SIGMAS: Final = 4.0
_PROBABILITY_RAMP: Final = 0.01
_SHARE_RAMP: Final = 0.05
"""Half widths of the ramps around thresholds, in probability and in the share of lowered squares."""


class BareEarth(NamedTuple):
    """Result of the stage, three arrays of the DSM's shape.

    Attributes:
        heights_m: Bare earth, float32, metres; NaN where the DSM is void.
        sigma_m: Standard error the correction adds, float32, metres; 0 where unchanged.
        mask: True where the DSM was lowered.
    """

    heights_m: FloatArray
    sigma_m: FloatArray
    mask: BoolArray


def bare_earth(
    heights_m: FloatArray,
    pixel_size_m: float | tuple[float, float],
    model: str,
    *,
    probability: float | None = None,
    smooth: bool = True,
    origin_px: tuple[int, int] = (0, 0),
    shares: FloatArray | None = None,
    canopy_share: float = 1.0,
    footprint_m: float = 0.0,
    terrain: TerrainModel | None = None,
    noise_m: float = 0.0,
    device: str = "cpu",
    precision: Precision = DEFAULT_PRECISION,
    fetch: Read | None = None,
) -> BareEarth:
    """Remove canopy and buildings from a DSM.

    Args:
        heights_m: DSM heights, (rows, columns), metres; NaN is void.
        pixel_size_m: Size of a pixel, metres, or along columns and along rows; each model works at the sizes it
            was trained at. Oblong pixels are averaged to squares along their finer axis before the model sees them.
        model: Registry name of a bare-earth model, the path of its file, `opening` for the morphological filter,
            `edges` for the steps along the edges of mapped woods, which needs `shares`, or `fusion` with `terrain`.
        probability: An object stands where P(height above the terrain > 2 m) exceeds this; None for the model's own
            value.
        smooth: Fit a plane around each corrected pixel, weighted by certainty and tied to open terrain around it.
        origin_px: Row and column of `heights_m[0, 0]` on the DSM's own lattice; with it and `halo_px` of context,
            windows of one DSM agree.
        shares: (2, rows, columns), share of trees and of buildings by a land-cover map, NaN where unknown; only for
            models trained with it.
        canopy_share: Share of the canopy's height that the DSM's sensor measures; for `edges` and `fusion`.
        footprint_m: Standard deviation of that sensor's footprint, metres; for `edges` and `fusion`.
        terrain: A bare-earth terrain model on the same pixels; only for `fusion`.
        noise_m: Standard deviation of the DSM's noise, metres; only for `fusion`.
        device: Torch device the model runs on; the filter runs on the processor.
        precision: Of the model's convolutions; float32 where the device does not convolve in it.
        fetch: Reads weights that are named by their content.

    Raises:
        ConfigError: an unknown model or device, a pixel size it was not trained for, land cover it cannot use, or a
            probability outside (0, 1).
        AllVoid: every pixel is void.
        HeightsNotFinite: infinite heights.
    """
    if probability is not None and not 0 < probability < 1:
        raise ConfigError(f"probability {probability} is not between 0 and 1")
    void = np.isnan(heights_m)
    if void.all():
        raise AllVoid("every pixel of the DSM is void")
    if np.isinf(heights_m).any():
        raise HeightsNotFinite("infinite heights", remedy="mark them as nodata")
    sizes_m = pixel_size_m if isinstance(pixel_size_m, tuple) else (pixel_size_m, pixel_size_m)
    if model in (EDGES, FUSION):
        seen = (canopy_share, origin_px, sizes_m, footprint_m)
        return BareEarth(*_by_steps(heights_m, shares, terrain if model == FUSION else None, seen, noise_m))
    surface = _filled(heights_m, void) if void.any() else np.asarray(heights_m, dtype=np.float32)

    def ground_below(
        seen: FloatArray, size_m: float, origin: tuple[int, int], cover: FloatArray | None
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        if model == OPENING:
            return _by_opening(seen, size_m)
        return ground_of(
            _loaded(model, device, fetch, precision),
            seen,
            size_m,
            probability=probability,
            smooth=smooth,
            origin_px=origin,
            shares=cover,
        )

    squares = Squares.of(sizes_m, origin_px, surface.shape)
    if squares is None:
        ground, sigma, lowered = ground_below(surface, sizes_m[1], origin_px, shares)
    else:
        cover = None if shares is None else np.stack([squares.reduce(share) for share in shares])
        square = ground_below(squares.reduce(surface), max(sizes_m), squares.origin(origin_px), cover)
        ground, sigma, lowered = _on_oblong(surface, squares, *square)
    lowered = np.where(void, np.float32(0), lowered)
    return partly_lowered(heights_m, ground, sigma, lowered)


def _by_steps(
    heights_m: FloatArray,
    shares: FloatArray | None,
    terrain: TerrainModel | None,
    seen: tuple[float, tuple[int, int], tuple[float, float], float],
    noise_m: float,
) -> CanopyEdges:
    """By the steps along mapped edges, a terrain model, or both; without either the DSM is unchanged."""
    if terrain is not None and np.isfinite(terrain.heights_m).any():
        return lower_by_fusion(heights_m, terrain, shares, *seen, noise_m)
    if shares is not None:
        return lower_by_edges(heights_m, shares, *seen)
    nothing = np.zeros(heights_m.shape, np.float32)
    return CanopyEdges(heights_m.astype(np.float32), nothing, nothing.astype(np.bool_))


def partly_lowered(heights_m: FloatArray, ground_m: FloatArray, sigma_m: FloatArray, lowered: FloatArray) -> BareEarth:
    """Lower each height by a share of its difference from the DTM; at 0 and 1 bits are those of the DSM and the DTM.

    Args:
        heights_m: DSM, metres; NaN is void.
        ground_m: DTM, metres.
        sigma_m: Its standard error, metres.
        lowered: The share, 0 to 1.
    """
    mask = lowered > 0
    between = np.where(lowered < 1, heights_m - lowered * (heights_m - ground_m), ground_m)
    heights = np.where(mask, between, heights_m).astype(np.float32)
    return BareEarth(heights, np.where(mask, lowered * sigma_m, 0.0).astype(np.float32), mask)


def _filled(heights_m: FloatArray, void: BoolArray) -> FloatArray:
    """Fill voids among the heights and a rim around them; farther out, the rim's own heights go on.

    A window at the end of a DSM is mostly void, and a smooth surface through all of it takes fifteen times as long.
    """
    part = tuple(
        slice(max(0, int(seen[0]) - _RIM_PX), int(seen[-1]) + 1 + _RIM_PX)
        for seen in (np.flatnonzero((~void).any(axis=1)), np.flatnonzero((~void).any(axis=0)))
    )
    filled = fill_voids(heights_m[part]) if void[part].any() else np.asarray(heights_m[part], dtype=np.float32)
    around = [(s.start, max(0, size - s.stop)) for s, size in zip(part, heights_m.shape, strict=True)]
    return np.pad(filled, around, mode="edge")


def _on_oblong(
    surface_m: FloatArray, squares: Squares, ground_m: FloatArray, sigma_m: FloatArray, lowered: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Resample the result on squares to the DSM's own oblong pixels.

    The DTM is resampled, not the correction: in a square that is half roof and half street, each pixel needs another
        one.
    """
    share = squares.expand(lowered)
    part = _ramp(share, 0.5, _SHARE_RAMP)
    spread = squares.expand(np.where(lowered > 0, lowered * sigma_m, 0.0).astype(np.float32))
    spread = (spread / np.where(part > 0, share, np.float32(1))).astype(np.float32)
    return np.minimum(squares.expand(ground_m), surface_m), spread, part


def _ramp(values: FloatArray, middle: float | npt.NDArray[np.float64], half_width: float) -> FloatArray:
    """0 below the ramp, 1 above it, linear between: a step would turn rounding into metres."""
    return np.clip((values - middle) / (2.0 * half_width) + 0.5, 0.0, 1.0).astype(np.float32)


@lru_cache(maxsize=4)
def _loaded(
    name: str, device: str = "cpu", fetch: Read | None = None, precision: Precision = DEFAULT_PRECISION
) -> SurfaceModel:
    from orograph.pipeline.bare_earth.model import load_bare_earth

    return load_bare_earth(name, fetch).on(device, precision)


def halo_px(model: str, fetch: Read | None = None) -> int:
    """Pixels of context the stage needs around a window.

    Raises:
        ConfigError: no such model.
    """
    if model == OPENING:
        return _OPENING_HALO_PX
    if model in (EDGES, FUSION):
        return EDGES_HALO_PX if model == EDGES else FUSION_HALO_PX
    spec = _loaded(model, fetch=fetch).spec
    return spec.halo_px + round(_REACH_SIGMAS * max(1.0, _SMOOTH_M / spec.pixel_size_m[0]))


def pixel_sizes_m(model: str, fetch: Read | None = None) -> tuple[float, float]:
    """Smallest and largest pixel size a model works at, metres."""
    if model in FILTERS:
        return OPENING_SIZES_M if model == OPENING else EDGES_SIZES_M
    return _loaded(model, fetch=fetch).spec.pixel_size_m


def takes_land_cover(model: str, fetch: Read | None = None) -> bool:
    """Whether a model can use shares of trees and buildings."""
    return model in (EDGES, FUSION) or (model != OPENING and _loaded(model, fetch=fetch).spec.cover)


def weights_sha256(model: str, fetch: Read | None = None) -> str | None:
    """Digest of a model's weights; None for filters."""
    return None if model in FILTERS else _loaded(model, fetch=fetch).sha256


def ground_of(
    model: SurfaceModel,
    surface_m: FloatArray,
    pixel_size_m: float,
    *,
    probability: float | None = None,
    smooth: bool = True,
    origin_px: tuple[int, int] = (0, 0),
    shares: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the DTM below a DSM without voids, its standard error, and the share to lower by, 0 to 1; see `bare_earth`.

    The share rises from 0 to 1 within `_PROBABILITY_RAMP` of the threshold, so that
    processors that round differently give the same heights.
    """
    said = model.above_ground(surface_m, pixel_size_m, THRESHOLD_M, origin_px, shares)
    lowered = _ramp(said.covered, _threshold(model, probability, shares), _PROBABILITY_RAMP)
    ground = (surface_m - said.height_m).astype(np.float32)
    if smooth and lowered.any():
        ground = smooth_ground(ground, said.spread_m, lowered, pixel_size_m)
    # The DTM is never above the DSM.
    sigma = np.maximum(said.spread_m * np.float32(model.operating.spread_factor), _FLOOR_SPREAD_M)
    return np.minimum(ground, surface_m), sigma, lowered


def _threshold(
    model: SurfaceModel, probability: float | None, shares: FloatArray | None
) -> float | npt.NDArray[np.float64]:
    """Return the requested probability, or the model's own, which depends on whether a land-cover map is given."""
    own = model.operating
    if probability is not None:
        return probability
    if shares is None:
        return own.probability
    return np.where(np.isfinite(shares).all(axis=0), own.mapped_probability, own.probability)


def smooth_ground(ground_m: FloatArray, spread_m: FloatArray, lowered: FloatArray, pixel_size_m: float) -> FloatArray:
    """Estimate the terrain under cover by a plane fitted around each pixel, weighting neighbours by their certainty.

    Estimates are weighted by their spread, open terrain by the DSM's own error, and all by a Gaussian of 6 m (or one
    pixel). Each pixel depends on a bounded neighbourhood, summed in one order, so that windows agree.

    Args:
        ground_m: Estimated terrain heights, metres, finite.
        spread_m: Its standard deviation, metres; infinite without an estimate.
        lowered: 1 where the terrain is an estimate, 0 where it is measured and stays unchanged, or between.
        pixel_size_m: Size of a pixel, metres.
    """
    share = lowered.astype(np.float64)
    weight = share / np.maximum(spread_m, _FLOOR_SPREAD_M).astype(np.float64) ** 2 + (1.0 - share) / _FLOOR_SPREAD_M**2
    sigma_px = max(1.0, _SMOOTH_M / pixel_size_m)
    offset = np.arange(-round(_REACH_SIGMAS * sigma_px), round(_REACH_SIGMAS * sigma_px) + 1, dtype=np.float64)
    kernels = [np.exp(-0.5 * (offset / sigma_px) ** 2) * (offset / sigma_px) ** k for k in range(3)]

    def moment(values: npt.NDArray[np.float64], down: int, right: int) -> npt.NDArray[np.float64]:
        rows = ndimage.correlate1d(values, kernels[down], axis=0, mode="constant")
        return np.asarray(ndimage.correlate1d(rows, kernels[right], axis=1, mode="constant"))

    weighted = weight * ground_m
    orders = ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2))
    w, wy, wx, wyy, wxy, wxx = (moment(weight, *order) for order in orders)
    g, gy, gx = (moment(weighted, *order) for order in orders[:3])
    # The plane's height at the pixel, by Cramer's rule on the centred moments; a trace keeps slopes bounded.
    yy, xx, xy = wyy - wy * wy / w, wxx - wx * wx / w, wxy - wx * wy / w
    ridge = 1e-3 * w
    yy, xx = yy + ridge, xx + ridge
    hy, hx = gy - wy * g / w, gx - wx * g / w
    determinant = yy * xx - xy * xy
    slope_y, slope_x = (hy * xx - hx * xy) / determinant, (hx * yy - hy * xy) / determinant
    plane = (g - slope_y * wy - slope_x * wx) / w
    return np.where(share > 0, share * plane + (1.0 - share) * ground_m, ground_m).astype(np.float32)


def _by_opening(surface_m: FloatArray, pixel_size_m: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    mask = opening_mask(surface_m, pixel_size_m)
    if mask.all():
        raise AllVoid("the opening marks every pixel as an object")
    # Inverse distances, as the filter's users do; a thin plate over half a town costs minutes.
    ground = fillnodata(surface_m.copy(), (~mask).astype(np.uint8), max_search_distance=100)
    # The filter does not estimate its error: use a fifth of the correction, at least the floor.
    sigma = np.maximum(0.2 * np.abs(surface_m - ground), _FLOOR_SPREAD_M)
    return np.minimum(ground, surface_m), sigma, mask.astype(np.float32)


def opening_mask(
    surface_m: FloatArray, pixel_size_m: float, *, widest_m: float = 120.0, slope: float = 0.15, least_m: float = 0.5
) -> BoolArray:
    """Mark objects by a progressive opening (Zhang et al., 2003).

    Windows double up to `widest_m`; pixels that an opening lowers by more than the window's growth times `slope`, and
    at least `least_m`, are objects.

    Args:
        surface_m: DSM heights without voids, metres.
        pixel_size_m: Size of a pixel, metres.
        widest_m: Width of the widest window, metres.
        slope: Steepest terrain that the filter accepts.
        least_m: Lowest object that it detects, metres.
    """
    mask = np.zeros(surface_m.shape, dtype=np.bool_)
    current, before, width = surface_m, 1, 3
    while width * pixel_size_m <= widest_m or width == 3:
        opened = ndimage.grey_opening(current, size=(width, width), mode="nearest")
        threshold = min(least_m + slope * (width - before) * pixel_size_m, 3.0)
        mask |= (current - opened) > threshold
        current, before, width = opened, width, 2 * width + 1
    return mask
