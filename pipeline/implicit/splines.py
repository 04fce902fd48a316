"""Uniform cubic B-splines along one axis: samples, refinement, inner products and evaluation.

An axis has `n` intervals of length one (knot units, coordinate `u` in [0, n]) and n + 3 coefficients; coefficient `i`
weighs the B-spline with support [i - 3, i + 1]. De Boor, A Practical Guide to Splines, 2001.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
import scipy.sparse

Float64Array = npt.NDArray[np.float64]

DEGREE: Final = 3
# Gauss-Legendre with four points integrates products of cubics (degree 6) exactly.
_GAUSS_NODES, _GAUSS_WEIGHTS = np.polynomial.legendre.leggauss(4)


def weights(t: Float64Array, derivative: int = 0) -> tuple[Float64Array, Float64Array, Float64Array, Float64Array]:
    """Weights of the four coefficients that reach into an interval, at the fraction `t` of it.

    Args:
        t: Position inside the interval, 0 to 1, any shape.
        derivative: 0, 1 or 2, with respect to the knot unit.
    """
    if derivative == 0:
        s = 1.0 - t
        t2, t3 = t * t, t * t * t
        return (
            s * s * s / 6.0,
            (3.0 * t3 - 6.0 * t2 + 4.0) / 6.0,
            (-3.0 * t3 + 3.0 * t2 + 3.0 * t + 1.0) / 6.0,
            t3 / 6.0,
        )
    if derivative == 1:
        s = 1.0 - t
        t2 = t * t
        return -s * s / 2.0, (9.0 * t2 - 12.0 * t) / 6.0, (-9.0 * t2 + 6.0 * t + 3.0) / 6.0, t2 / 2.0
    return 1.0 - t, 3.0 * t - 2.0, 1.0 - 3.0 * t, t


def interval_of(u: Float64Array, intervals: int) -> tuple[npt.NDArray[np.int64], Float64Array]:
    """Interval index and the fraction inside it; the upper end belongs to the last interval."""
    index = np.clip(np.floor(u).astype(np.int64), 0, intervals - 1)
    return index, u - index


def design(u: Float64Array, intervals: int, derivative: int = 0) -> scipy.sparse.csr_array:
    """Sparse matrix (len(u), intervals + 3) that takes coefficients to values at `u`."""
    index, t = interval_of(u, intervals)
    data = np.stack(weights(t, derivative), axis=1)
    columns = index[:, None] + np.arange(DEGREE + 1)
    rows = np.arange(len(u) + 1) * (DEGREE + 1)
    return scipy.sparse.csr_array((data.ravel(), columns.ravel(), rows), shape=(len(u), intervals + DEGREE))


@lru_cache(maxsize=64)
def gram(intervals: int, derivative: int = 0) -> scipy.sparse.csr_array:
    """Inner products over [0, n] of the B-splines' derivatives of that order; banded, half width 3."""
    cells = np.arange(intervals, dtype=np.float64)
    u = (cells[:, None] + (_GAUSS_NODES + 1.0) / 2.0).ravel()
    values = design(u, intervals, derivative)
    scale = scipy.sparse.diags_array(np.tile(_GAUSS_WEIGHTS / 2.0, intervals))
    return scipy.sparse.csr_array(values.T @ scale @ values)


@lru_cache(maxsize=64)
def refinement(intervals: int) -> scipy.sparse.csr_array:
    """Exact two-scale relation: coefficients of n intervals to those of 2 n on the same axis."""
    mask = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 8.0
    coarse = np.arange(intervals + DEGREE)
    rows = 2 * coarse[:, None] - DEGREE + np.arange(5)
    columns = np.broadcast_to(coarse[:, None], rows.shape)
    data = np.broadcast_to(mask, rows.shape)
    inside = (rows >= 0) & (rows < 2 * intervals + DEGREE)
    shape = (2 * intervals + DEGREE, intervals + DEGREE)
    return scipy.sparse.coo_array((data[inside], (rows[inside], columns[inside])), shape=shape).tocsr()


def evaluate(
    coefficients: Float64Array, row: Float64Array, col: Float64Array, derivative: tuple[int, int] = (0, 0)
) -> Float64Array:
    """A lattice's value or derivative at scattered points.

    Args:
        coefficients: (rows + 3, columns + 3).
        row: Coordinate along the first axis in knot units, any shape.
        col: Along the second axis, same shape.
        derivative: Orders along the first and second axis, 0 to 2 each.

    The sums run in one fixed order, and a weight that is zero changes no bit: two lattices that share the three
    coefficient lines around a common border give the same bits on it.
    """
    i, t_row = interval_of(row, coefficients.shape[0] - DEGREE)
    j, t_col = interval_of(col, coefficients.shape[1] - DEGREE)
    row_weights, col_weights = weights(t_row, derivative[0]), weights(t_col, derivative[1])
    total = np.zeros(np.broadcast(row, col).shape)
    for a in range(DEGREE + 1):
        line = np.zeros_like(total)
        for b in range(DEGREE + 1):
            line += col_weights[b] * coefficients[i + a, j + b]
        total += row_weights[a] * line
    return total


def on_grid(
    coefficients: Float64Array, rows: Float64Array, cols: Float64Array, derivative: tuple[int, int] = (0, 0)
) -> Float64Array:
    """Values on the product of two coordinate vectors (knot units), shape (len(rows), len(cols))."""
    left = design(rows, coefficients.shape[0] - DEGREE, derivative[0])
    right = design(cols, coefficients.shape[1] - DEGREE, derivative[1])
    return np.asarray(left @ (right @ coefficients.T).T)
