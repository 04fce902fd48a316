"""Computes coarse heights from fine ones: centre samples, footprint means, noise."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.sources.catalogue import Thinning


def cropped(heights_m: FloatArray, factor_rows: int, factor_columns: int | None = None) -> FloatArray:
    """Crop to the largest upper-left part whose sides are multiples of the factors."""
    columns = factor_columns or factor_rows
    return heights_m[: heights_m.shape[0] // factor_rows * factor_rows, : heights_m.shape[1] // columns * columns]


def thin(heights_m: FloatArray, factor: int, thinning: Thinning, width_px: float = 1.0) -> FloatArray:
    """Compute coarse heights from fine ones, shape (rows // factor, columns // factor); NaN if a sample used is void.

    Args:
        heights_m: float32, metres; NaN is void.
        factor: Fine pixels along a coarse pixel's side.
        thinning: Decimated takes the central sample (odd factors only, so that the grid does not shift), averaged the
            mean.
        width_px: Side of the averaging footprint in coarse pixels, 1 to 1 + 2 / factor.

    Raises:
        ConfigError: Decimation by an even factor would shift the grid by half a fine pixel.
    """
    heights_m = cropped(heights_m, factor)
    if thinning is Thinning.DECIMATED:
        if factor % 2 == 0:
            raise ConfigError(f"decimation by the even factor {factor} shifts the grid", remedy="use an odd factor")
        return np.ascontiguousarray(heights_m[factor // 2 :: factor, factor // 2 :: factor])
    if width_px == 1.0:
        rows, columns = heights_m.shape[0] // factor, heights_m.shape[1] // factor
        blocks = heights_m.reshape(rows, factor, columns, factor)
        return blocks.mean(axis=(1, 3), dtype=np.float64).astype(np.float32)
    return _footprint_mean(heights_m, factor, width_px)


def _footprint_mean(heights_m: FloatArray, factor: int, width_px: float) -> FloatArray:
    """Mean over a square wider than the coarse pixel; the fractional rim counts by its share."""
    share = factor * (width_px - 1.0) / 2.0
    if not 0.0 <= share <= 1.0:
        raise ConfigError(f"footprint of {width_px} coarse pixels", remedy=f"1 to {1 + 2 / factor:.2f}")
    weights = np.array([share] + [1.0] * factor + [share]) / (factor + 2.0 * share)
    padded = np.pad(heights_m.astype(np.float64), 1, mode="edge")
    rows = _strided_sum(padded, weights, factor)
    return np.ascontiguousarray(_strided_sum(rows.T, weights, factor).T).astype(np.float32)


def _strided_sum(
    values: npt.NDArray[np.float64], weights: npt.NDArray[np.float64], factor: int
) -> npt.NDArray[np.float64]:
    count = (values.shape[0] - 2) // factor
    total = np.zeros((count, values.shape[1]))
    for k, weight in enumerate(weights):
        total += weight * values[k : k + factor * count : factor][:count]
    return total


def pool(heights_m: FloatArray, rows: int, columns: int, thinning: Thinning, phase: tuple[int, int]) -> FloatArray:
    """A coarser native level: every `rows`-th row and `columns`-th column from `phase`, or means over such blocks."""
    part = heights_m[phase[0] :, phase[1] :]
    if thinning is Thinning.DECIMATED:
        return np.ascontiguousarray(part[::rows, ::columns])
    part = cropped(part, rows, columns)
    blocks = part.reshape(part.shape[0] // rows, rows, part.shape[1] // columns, columns)
    return np.ascontiguousarray(blocks.mean(axis=(1, 3)))


def noise(shape: tuple[int, int], correlated: bool, rng: np.random.Generator) -> FloatArray:
    """Noise of unit standard deviation, white or with a correlation length of about two pixels."""
    if not correlated:
        return rng.standard_normal(shape, dtype=np.float32)
    white = rng.standard_normal((shape[0] + 2, shape[1] + 2), dtype=np.float32)
    taps = np.array([1.0, 2.0, 1.0], np.float32) / np.sqrt(np.float32(6.0))
    rows = sum(taps[k] * white[k : k + shape[0]] for k in range(3))
    return sum(taps[k] * rows[:, k : k + shape[1]] for k in range(3))  # type: ignore[return-value,index]
