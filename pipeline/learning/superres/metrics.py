"""Error measures of upsampled heights against measured ones: those of OpenDEM and further ones.

OpenDEM's protocol: tiles of 300 x 300 pixels, 15 pixels sliced off each side, MAE, RMSE, maximum, PSNR with a range of
3150 m, SSIM, and counts of tiles won; the mean of per-tile figures. Pooled figures weigh pixels equally.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_erosion, gaussian_filter

from orograph.pipeline.core.raster import BoolArray, FloatArray

TILE_PX: Final = 300
BORDER_PX: Final = 15
BLOCK_PX: Final = 30
RANGE_M: Final = 3150.0
SLOPE_CLASSES_DEG: Final = (0.0, 10.0, 20.0, 30.0, 40.0, 90.0)

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TileFigures:
    """Figures of one method on one tile.

    Attributes:
        pixels: Pixels counted.
        rmse_m: Root mean square error.
        mae_m: Mean absolute error.
        max_m: Largest absolute error.
        psnr_db: Peak signal-to-noise ratio for a range of 3150 m.
        ssim: Structural similarity (Wang et al. 2004) for that range.
        slope_rmse_deg: Root mean square error of Horn's slope.
        aspect_rmse_deg: The same of aspect, where the true slope is at least 5 degrees.
    """

    pixels: int
    rmse_m: float
    mae_m: float
    max_m: float
    psnr_db: float
    ssim: float
    slope_rmse_deg: float
    aspect_rmse_deg: float

    def to_dict(self) -> dict[str, float]:
        """The measures as JSON-ready values."""
        return asdict(self)


def counted(valid: BoolArray, border_px: int = BORDER_PX) -> BoolArray:
    """Mask of the pixels to compare: at least `border_px` from the tile's side and from any void."""
    return binary_erosion(valid, np.ones((3, 3), bool), iterations=border_px, border_value=0)


def slope_aspect_deg(heights_m: FloatArray, pixel_size_m: tuple[float, float]) -> tuple[Float64Array, Float64Array]:
    """Horn's slope and aspect, degrees, NaN at the rim; pixel size along columns (x) and rows (y)."""
    z = heights_m.astype(np.float64)
    dx, dy = pixel_size_m
    east = np.full(z.shape, np.nan)
    north = np.full(z.shape, np.nan)
    smooth_rows = z[:-2] + 2.0 * z[1:-1] + z[2:]
    smooth_columns = z[:, :-2] + 2.0 * z[:, 1:-1] + z[:, 2:]
    east[1:-1, 1:-1] = (smooth_rows[:, 2:] - smooth_rows[:, :-2]) / (8.0 * dx)
    north[1:-1, 1:-1] = (smooth_columns[:-2] - smooth_columns[2:]) / (8.0 * dy)
    return np.degrees(np.arctan(np.hypot(east, north))), np.degrees(np.arctan2(-east, -north)) % 360.0


def figures(
    derived_m: FloatArray, original_m: FloatArray, mask: BoolArray, pixel_size_m: tuple[float, float]
) -> TileFigures:
    """Figures of one derived tile; all arrays of one shape, `mask` from `counted`."""
    error = (derived_m.astype(np.float64) - original_m)[mask]
    rmse = float(np.sqrt(np.mean(np.square(error))))
    slope, aspect = slope_aspect_deg(derived_m, pixel_size_m)
    true_slope, true_aspect = slope_aspect_deg(original_m, pixel_size_m)
    inner = mask & np.isfinite(slope) & np.isfinite(true_slope)
    steep = inner & (true_slope >= 5.0)
    turn = (aspect - true_aspect + 180.0) % 360.0 - 180.0
    return TileFigures(
        pixels=int(mask.sum()),
        rmse_m=rmse,
        mae_m=float(np.mean(np.abs(error))),
        max_m=float(np.max(np.abs(error))),
        psnr_db=float(20.0 * np.log10(RANGE_M / max(rmse, 1e-12))),
        ssim=ssim(derived_m, original_m, mask),
        slope_rmse_deg=_rms((slope - true_slope)[inner]),
        aspect_rmse_deg=_rms(turn[steep]) if steep.any() else 0.0,
    )


def ssim(derived_m: FloatArray, original_m: FloatArray, mask: BoolArray) -> float:
    """Mean structural similarity over the mask, Gaussian window of 11 pixels and 1.5 standard deviation."""
    centre = float(np.nanmean(original_m))
    a = np.nan_to_num(derived_m.astype(np.float64), nan=centre)
    b = np.nan_to_num(original_m.astype(np.float64), nan=centre)

    def blur(values: Float64Array) -> Float64Array:
        return gaussian_filter(values, 1.5, truncate=3.5)

    # Means enter the luminance term only; variances are taken about a common centre for precision's sake.
    mean_a, mean_b = blur(a), blur(b)
    var_a = blur(np.square(a - centre)) - np.square(mean_a - centre)
    var_b = blur(np.square(b - centre)) - np.square(mean_b - centre)
    covariance = blur((a - centre) * (b - centre)) - (mean_a - centre) * (mean_b - centre)
    c1, c2 = (0.01 * RANGE_M) ** 2, (0.03 * RANGE_M) ** 2
    luminance = (2.0 * mean_a * mean_b + c1) / (np.square(mean_a) + np.square(mean_b) + c1)
    structure = (2.0 * covariance + c2) / (var_a + var_b + c2)
    return float((luminance * structure)[mask].mean())


def blocks_worse(
    derived_m: FloatArray, cubic_m: FloatArray, original_m: FloatArray, mask: BoolArray
) -> tuple[int, int]:
    """30 x 30 blocks in which the derived heights have a larger RMSE than cubic, and blocks counted.

    A block counts when at least half of its pixels do.
    """
    worse, total = 0, 0
    excess = np.square(derived_m.astype(np.float64) - original_m) - np.square(cubic_m.astype(np.float64) - original_m)
    for row in range(0, mask.shape[0] - BLOCK_PX + 1, BLOCK_PX):
        for column in range(0, mask.shape[1] - BLOCK_PX + 1, BLOCK_PX):
            part = (slice(row, row + BLOCK_PX), slice(column, column + BLOCK_PX))
            if mask[part].mean() < 0.5:
                continue
            total += 1
            worse += bool(excess[part][mask[part]].sum() > 1e-9)
    return worse, total


def squares_by_slope(
    derived_m: FloatArray, original_m: FloatArray, mask: BoolArray, pixel_size_m: tuple[float, float]
) -> list[tuple[float, int]]:
    """Sum of squared errors and pixels by class of true slope, the classes of `SLOPE_CLASSES_DEG`."""
    slope, _ = slope_aspect_deg(original_m, pixel_size_m)
    square = np.square(derived_m.astype(np.float64) - original_m)
    out = []
    for low, high in pairwise(SLOPE_CLASSES_DEG):
        inside = mask & (slope >= low) & (slope < high)
        out.append((float(square[inside].sum()), int(inside.sum())))
    return out


def pooled(tiles: Sequence[TileFigures]) -> TileFigures:
    """Figures over all tiles' pixels together; the maximum is the largest."""
    pixels = np.array([tile.pixels for tile in tiles], float)
    share = pixels / pixels.sum()

    def square(name: str) -> float:
        return float(np.sqrt(np.sum(share * np.square([getattr(tile, name) for tile in tiles]))))

    def mean(name: str) -> float:
        return float(np.sum(share * np.array([getattr(tile, name) for tile in tiles])))

    rmse = square("rmse_m")
    return TileFigures(
        pixels=int(pixels.sum()),
        rmse_m=rmse,
        mae_m=mean("mae_m"),
        max_m=max(tile.max_m for tile in tiles),
        psnr_db=float(20.0 * np.log10(RANGE_M / max(rmse, 1e-12))),
        ssim=mean("ssim"),
        slope_rmse_deg=square("slope_rmse_deg"),
        aspect_rmse_deg=square("aspect_rmse_deg"),
    )


def _rms(values: Float64Array) -> float:
    return float(np.sqrt(np.mean(np.square(values)))) if values.size else 0.0
