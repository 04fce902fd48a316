"""Reads a raster between its pixels: Keys' cubic convolution, the cubic B-spline, and extrapolation beyond the edges.

Inside a raster sixteen taps are read relative to one of them: heights are large and their differences small, so single
precision is sufficient. All functions are compiled into the loops of `kernels.py`; numbers are single precision where
their arguments are, since every constant is.

Source: Keys (1981), Cubic convolution interpolation for digital image processing, doi:10.1109/TASSP.1981.1163711.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from orograph.pipeline.core.compiled import compiled_with

Array = npt.NDArray[Any]
Four = tuple[Any, Any, Any, Any]

MATH: Final = {"contract", "nsz"}
_HALF, _ONE, _ONE_HALF, _TWO = np.float32(0.5), np.float32(1.0), np.float32(1.5), np.float32(2.0)
_TWO_HALF, _THREE, _FOUR, _FOUR_HALF = np.float32(2.5), np.float32(3.0), np.float32(4.0), np.float32(4.5)
_FIVE, _SIX = np.float32(5.0), np.float32(6.0)
_SPLINE_SCALE: Final = np.float32(1.0 / 36.0)


@compiled_with(error_model="numpy", fastmath=MATH, forceinline=True)
def keys_weights(t: Any) -> Four:
    """Keys' weights (a = -1/2) of four neighbours at a fraction of a pixel."""
    return (
        t * (t * (_ONE - _HALF * t) - _HALF),
        _ONE + t * t * (_ONE_HALF * t - _TWO_HALF),
        t * (_HALF + t * (_TWO - _ONE_HALF * t)),
        t * t * (_HALF * t - _HALF),
    )


@compiled_with(error_model="numpy", fastmath=MATH, forceinline=True)
def keys_derivatives(t: Any) -> Four:
    """Derivatives of the weights by the fraction."""
    return (
        t * (_TWO - _ONE_HALF * t) - _HALF,
        t * (_FOUR_HALF * t - _FIVE),
        _HALF + t * (_FOUR - _FOUR_HALF * t),
        t * (_ONE_HALF * t - _ONE),
    )


@compiled_with(error_model="numpy", fastmath=MATH, forceinline=True)
def spline_weights(t: Any) -> Four:
    """Six times the cubic B-spline's weights of four coefficients at a fraction of a pixel."""
    s = _ONE - t
    return s * s * s, _FOUR + t * t * (_THREE * t - _SIX), _FOUR + s * s * (_THREE * s - _SIX), t * t * t


@compiled_with(error_model="numpy", fastmath=MATH, forceinline=True)
def _row(flat: Array, i: Any, base: Any, w: Four) -> Any:
    """Four neighbours along a row, relative to `base`, under weights."""
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    return (
        w[0] * (flat[i] - base)
        + w[1] * (flat[i + one] - base)
        + w[2] * (flat[i + two] - base)
        + w[3] * (flat[i + three] - base)
    )


@compiled_with(error_model="numpy", fastmath=MATH, forceinline=True)
def between(flat: Array, i: Any, width: Any, by_row: Four, by_col: Four) -> Any:
    """Weighted mean of 4 x 4 heights minus the base height; `i` is the flat index of the north-western height."""
    base = flat[i + width + np.uint64(1)]
    below = i + width
    lower, lowest = below + width, below + width + width
    return (
        by_row[0] * _row(flat, i, base, by_col)
        + by_row[1] * _row(flat, below, base, by_col)
        + by_row[2] * _row(flat, lower, base, by_col)
        + by_row[3] * _row(flat, lowest, base, by_col)
    )


@compiled_with(error_model="numpy", fastmath=MATH, forceinline=True)
def keys(flat: Array, i: Any, width: Any, s: Any, t: Any) -> Any:
    """Height by Keys' kernel at a position whose 4 x 4 neighbours are all inside the raster."""
    return flat[i + width + np.uint64(1)] + between(flat, i, width, keys_weights(s), keys_weights(t))


@compiled_with(error_model="numpy", fastmath=MATH, forceinline=True)
def spline(flat: Array, i: Any, width: Any, s: Any, t: Any) -> Any:
    """Height by the cubic B-spline with these coefficients, where all 4 x 4 neighbours are inside the raster."""
    rest = between(flat, i, width, spline_weights(s), spline_weights(t))
    return flat[i + width + np.uint64(1)] + rest * _SPLINE_SCALE


@compiled_with(error_model="numpy", fastmath=MATH, forceinline=True)
def keys_with_slopes(flat: Array, i: Any, width: Any, s: Any, t: Any) -> tuple[Any, Any, Any]:
    """Height by Keys' kernel minus the base height `flat[i + width + 1]`, and its derivatives (metres per pixel)."""
    w, d, v, e = keys_weights(t), keys_derivatives(t), keys_weights(s), keys_derivatives(s)
    base = flat[i + width + np.uint64(1)]
    below = i + width
    lower, lowest = below + width, below + width + width
    a, b = _row(flat, i, base, w), _row(flat, below, base, w)
    c, f = _row(flat, lower, base, w), _row(flat, lowest, base, w)
    along_x = (
        v[0] * _row(flat, i, base, d)
        + v[1] * _row(flat, below, base, d)
        + v[2] * _row(flat, lower, base, d)
        + v[3] * _row(flat, lowest, base, d)
    )
    return v[0] * a + v[1] * b + v[2] * c + v[3] * f, along_x, e[0] * a + e[1] * b + e[2] * c + e[3] * f


@compiled_with(error_model="numpy")
def _tap_column(heights: Array, row: Any, col: int) -> float:
    """Height with odd reflection beyond the left and right edges, which preserves slopes."""
    last = heights.shape[1] - 1
    if col < 0:
        return 2.0 * heights[row, 0] - heights[row, min(-col, last)]
    if col > last:
        return 2.0 * heights[row, last] - heights[row, max(2 * last - col, 0)]
    return float(heights[row, col])


@compiled_with(error_model="numpy")
def _tap(heights: Array, row: int, col: int) -> float:
    """Height with odd reflection beyond all edges."""
    last = heights.shape[0] - 1
    if row < 0:
        return 2.0 * _tap_column(heights, np.int64(0), col) - _tap_column(heights, min(-row, last), col)
    if row > last:
        return 2.0 * _tap_column(heights, last, col) - _tap_column(heights, max(2 * last - row, 0), col)
    return _tap_column(heights, row, col)


@compiled_with(error_model="numpy")
def _at_edge(heights: Array, row: int, col: int, by_row: Four, by_col: Four) -> float:
    """Sixteen weighted taps, some of them beyond the raster."""
    value = 0.0
    for i in range(4):
        for j in range(4):
            value += by_row[i] * by_col[j] * _tap(heights, row - 1 + i, col - 1 + j)
    return value


@compiled_with(error_model="numpy")
def keys_at_edge(heights: Array, y: float, x: float) -> float:
    """Height where Keys' kernel reaches beyond the raster."""
    row, col = int(np.floor(y)), int(np.floor(x))
    return _at_edge(heights, row, col, keys_weights(y - row), keys_weights(x - col))


@compiled_with(error_model="numpy")
def spline_at_edge(coefficients: Array, y: float, x: float) -> float:
    """Height where the spline reaches beyond the raster."""
    row, col = int(np.floor(y)), int(np.floor(x))
    return _at_edge(coefficients, row, col, spline_weights(y - row), spline_weights(x - col)) / 36.0
