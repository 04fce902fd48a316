"""Least-squares cubic B-spline lattices: closed form for complete data, a thin-plate prior for voids and weights.

The lattice of a raster of (H, W) pixels has (n_rows, n_cols) intervals over the raster's full extent, pixel edges to
pixel edges; spacings need not be whole pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.linalg
import scipy.sparse

from orograph.pipeline.core.progress import tracked
from orograph.pipeline.errors import HeightsNotFinite, NoTrainingPixels, UsageError
from orograph.pipeline.implicit.splines import DEGREE, Float64Array, design, gram, on_grid, refinement

# Bending energy against squared residuals, per knot unit: removes components that pixel centres do not constrain.
SMOOTHING: Final = 1e-3
_ITERATIONS: Final = 500
_TOLERANCE: Final = 1e-7


@dataclass(frozen=True, slots=True)
class LatticeShape:
    """Intervals of a lattice along rows and columns."""

    rows: int
    cols: int

    def __post_init__(self) -> None:
        if self.rows < 1 or self.cols < 1:
            raise UsageError(
                f"lattice too small: {self.rows} x {self.cols} intervals", remedy="allow at least 16 parameters"
            )

    @property
    def parameters(self) -> int:
        """Number of coefficients."""
        return (self.rows + DEGREE) * (self.cols + DEGREE)

    @classmethod
    def for_parameters(cls, parameters: int, shape: tuple[int, int]) -> LatticeShape:
        """The largest lattice of at most that many coefficients with about square meshes on a raster of `shape`."""
        aspect = shape[0] / shape[1]
        across = int(np.sqrt(parameters / aspect))
        best = max(
            (
                (min(parameters // cols, shape[0] + DEGREE), cols)
                for cols in range(max(DEGREE + 1, across - 2), max(across + 3, DEGREE + 2))
                if cols <= shape[1] + DEGREE
            ),
            key=lambda size: (size[0] * size[1], -abs(size[0] - aspect * size[1])),
            default=(0, 0),
        )
        return cls(best[0] - DEGREE, best[1] - DEGREE)


def pixel_centres(count: int, intervals: int) -> Float64Array:
    """Coordinates of pixel centres along an axis, in knot units."""
    return np.asarray((np.arange(count) + 0.5) * (intervals / count), dtype=np.float64)


def fit_lattice(
    heights_m: np.ndarray,
    shape: LatticeShape,
    weights: np.ndarray | None = None,
    smoothing: float = SMOOTHING,
    positions: tuple[Float64Array, Float64Array] | None = None,
) -> Float64Array:
    """Fit a lattice to a raster by weighted least squares with a thin-plate prior.

    Args:
        heights_m: (rows, columns), metres; NaN is void and is bridged by the minimum-curvature surface.
        shape: Intervals of the lattice.
        weights: (rows, columns), non-negative; larger values give a more exact fit. All ones by default.
        smoothing: Weight of the bending energy, in knot units, against one squared residual.
        positions: Coordinates of rows and columns in knot units; pixel centres over the whole lattice by default.

    Returns:
        Coefficients (rows + 3, columns + 3), metres.

    Raises:
        NoTrainingPixels: no height is finite, or no weight is above zero.
        HeightsNotFinite: a height is infinite, or a weight negative or not finite.
    """
    check_heights(heights_m)
    void = np.isnan(heights_m)
    if weights is not None:
        _check_weights(weights, heights_m.shape)
        void = void | (weights <= 0)
    if void.all():
        raise NoTrainingPixels("no pixel to fit: every height is void or has weight zero")
    if positions is None:
        positions = (pixel_centres(heights_m.shape[0], shape.rows), pixel_centres(heights_m.shape[1], shape.cols))
    if weights is None and not void.any():
        half = _solve_axis(np.asarray(heights_m, dtype=np.float64), positions[0], shape.rows, smoothing)
        return np.ascontiguousarray(_solve_axis(half.T, positions[1], shape.cols, smoothing).T)
    weight = np.where(void, 0.0, 1.0 if weights is None else weights).astype(np.float64)
    return _cascade(np.where(void, 0.0, heights_m).astype(np.float64), weight, shape, smoothing, positions)


def render(coefficients: Float64Array, shape: tuple[int, int]) -> Float64Array:
    """Evaluate the lattice at the pixel centres of a raster of `shape` over the same extent."""
    rows, cols = (size - DEGREE for size in coefficients.shape)
    return on_grid(coefficients, pixel_centres(shape[0], rows), pixel_centres(shape[1], cols))


def check_heights(heights_m: np.ndarray) -> None:
    """Reject infinite heights; NaN is void and passes.

    Raises:
        HeightsNotFinite: a height is infinite, or the array is not a two-dimensional raster.
    """
    if heights_m.ndim != 2:
        raise HeightsNotFinite(
            f"heights of shape {heights_m.shape} are not a raster", remedy="give one band of heights"
        )
    infinite = int(np.isinf(heights_m).sum())
    if infinite:
        raise HeightsNotFinite(f"{infinite} heights are infinite", remedy="mark them as nodata")


def _check_weights(weights: np.ndarray, shape: tuple[int, ...]) -> None:
    if weights.shape != shape:
        raise HeightsNotFinite(f"weights of shape {weights.shape} for heights of shape {shape}")
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise HeightsNotFinite("weights must be finite and not negative")


def _solve_axis(samples: Float64Array, u: Float64Array, intervals: int, smoothing: float) -> Float64Array:
    """Solve complete data: the normal equations are a product of two banded systems, solved axis by axis."""
    basis = design(u, intervals)
    normal = scipy.sparse.csr_array(basis.T @ basis + smoothing * gram(intervals, 2))
    band = np.zeros((DEGREE + 1, intervals + DEGREE))
    for offset in range(DEGREE + 1):
        band[DEGREE - offset, offset:] = normal.diagonal(offset)
    return np.asarray(scipy.linalg.solveh_banded(band, np.asarray(basis.T @ samples)))


def _cascade(
    heights_m: Float64Array,
    weight: Float64Array,
    shape: LatticeShape,
    smoothing: float,
    positions: tuple[Float64Array, Float64Array],
) -> Float64Array:
    """Conjugate gradients from coarse to fine lattices, each started from the coarser solution."""
    chain = [shape]
    while min(chain[-1].rows, chain[-1].cols) > 8:
        chain.append(LatticeShape(-(-chain[-1].rows // 2), -(-chain[-1].cols // 2)))
    mean = float((heights_m * weight).sum() / weight.sum())
    start = np.full((chain[-1].rows + DEGREE, chain[-1].cols + DEGREE), mean)
    for at in reversed(chain):
        if at is not chain[-1]:
            start = _refined(start, at)
        u = positions[0] * (at.rows / shape.rows), positions[1] * (at.cols / shape.cols)
        start = _conjugate_gradients(heights_m, weight, u, at, smoothing, start)
    return start


def _refined(coarse: Float64Array, fine: LatticeShape) -> Float64Array:
    """Twice as many intervals; odd counts have one interval less, so the surface is resampled over the extent."""
    rows, cols = (size - DEGREE for size in coarse.shape)
    if (2 * rows, 2 * cols) == (fine.rows, fine.cols):
        return np.asarray(refinement(rows) @ (refinement(cols) @ coarse.T).T)
    spread_rows = np.clip((np.arange(fine.rows + DEGREE) - 1.0) * rows / fine.rows, 0, rows)
    spread_cols = np.clip((np.arange(fine.cols + DEGREE) - 1.0) * cols / fine.cols, 0, cols)
    return on_grid(coarse, spread_rows, spread_cols)


def _conjugate_gradients(
    heights_m: Float64Array,
    weight: Float64Array,
    positions: tuple[Float64Array, Float64Array],
    shape: LatticeShape,
    smoothing: float,
    start: Float64Array,
) -> Float64Array:
    left, right = design(positions[0], shape.rows), design(positions[1], shape.cols)
    bend = [[gram(n, k) for k in range(3)] for n in (shape.rows, shape.cols)]

    def apply(c: Float64Array) -> Float64Array:
        values = left @ (right @ c.T).T
        data = left.T @ (right.T @ (weight * values).T).T
        prior = sum(factor * (bend[0][2 - k] @ (bend[1][k] @ c.T).T) for k, factor in enumerate((1.0, 2.0, 1.0)))
        return np.asarray(data + smoothing * prior)

    squares = (left.multiply(left), right.multiply(right))
    diagonal = np.asarray(squares[0].T @ (squares[1].T @ weight.T).T)
    for k, factor in enumerate((1.0, 2.0, 1.0)):
        diagonal += smoothing * factor * np.outer(bend[0][2 - k].diagonal(), bend[1][k].diagonal())
    target = np.asarray(left.T @ (right.T @ (weight * heights_m).T).T)
    c = start.copy()
    residual = target - apply(c)
    z = residual / diagonal
    direction, energy = z.copy(), float((residual * z).sum())
    limit = _TOLERANCE**2 * float((target * target / diagonal).sum())
    for _ in tracked(range(_ITERATIONS), "fitting the lattice"):
        if energy <= limit:
            break
        image = apply(direction)
        step = energy / float((direction * image).sum())
        c += step * direction
        residual -= step * image
        z = residual / diagonal
        following = float((residual * z).sum())
        direction = z + (following / energy) * direction
        energy = following
    return c
