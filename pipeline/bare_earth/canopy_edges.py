"""Bare earth from the steps of a DSM along the edges of mapped woods and built-up land.

Where a map is right, the DSM rises at the map's edges by the height that the sensor sees of canopy or roofs. That step
is estimated by least squares from edges within two to three kilometres, with a standard error, and compared with two
alternatives by Bayes' rule: no objects, and a map whose edges follow terrain edges. Without edges, or without a step
along them, the DSM is not lowered.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import correlate1d, gaussian_filter, gaussian_laplace, maximum_filter, minimum_filter

from orograph.pipeline.core.raster import BoolArray, FloatArray

Array = npt.NDArray[np.float64]

CANOPY_M: Final = 17.0
"""Root mean square height of a closed European forest."""
BUILT_M: Final = 5.0
"""Root mean square height of a built-up pixel, streets included."""
_ROOF_M: Final = 8.0
"""Mean and standard deviation of the height of roofs, from houses to blocks of flats."""
LARGEST_M: Final = 60.0
"""Largest lowering."""

BLOCK_PX: Final = 24
"""Side of a block of the global lattice, over which sums are taken."""
_HALF_BLOCKS: Final = 3
"""The step at a block is estimated from 7 x 7 blocks around."""
_CELL_PX: Final = 4
"""Residuals farther apart than this count as independent in the standard error."""
_STEP_SIGMA_PX: Final = 1.5
_FORM_SIGMA_PX: Final = 4.0
"""Widths of the Laplacians that see steps, and the larger forms of the terrain."""
_EDGE_SIGMA_PX: Final = 0.5
_TRUNCATE: Final = 3.0
_REACH_PX: Final = int(_TRUNCATE * _FORM_SIGMA_PX + 0.5)
_ENVELOPE_PX: Final = 7
HALO_PX: Final = BLOCK_PX * (_HALF_BLOCKS + 2) + _REACH_PX

_LEAST_EVIDENCE: Final = 1.0
_LEAST_ERROR_M: Final = 0.3
_NO_EVIDENCE_M: Final = 1e3
_PRIOR: Final = 0.5
"""Probability that the map is right before the surface is seen."""
_CONFOUNDED: Final = 0.1
"""Share of wrong maps that follow the terrain, so that they show a step of any height."""
_CONFOUNDED_M: Final = 15.0
_STAND_SPREAD: Final = 0.55
"""Standard deviation of a canopy's height within a forest over its mean."""
_OPEN_SHARE: Final = 0.05
_LEVEL_M: Final = 0.01
_SMALLEST_M: Final = 0.05


class CanopyEdges(NamedTuple):
    """Result: DTM, standard error of the correction, and where the DSM was lowered."""

    heights_m: FloatArray
    sigma_m: FloatArray
    mask: BoolArray


class Belief(NamedTuple):
    """Posterior estimate of the objects of a class, by block.

    Attributes:
        probability: Probability that the map's objects exist in the DSM.
        gained: Increase of this probability over the prior, scaled to 0 to 1; at 0 the DSM is not lowered.
        height_m: Expected height if they exist, metres.
        variance: Variance of that height, square metres.
    """

    probability: Array
    gained: Array
    height_m: Array
    variance: Array


def lower_by_edges(
    heights_m: FloatArray, shares: FloatArray, canopy_share: float = 1.0, origin_px: tuple[int, int] = (0, 0)
) -> CanopyEdges:
    """Lower a DSM below mapped trees and buildings by the steps that it shows along their edges.

    Args:
        heights_m: float32, shape (rows, columns), metres; NaN is void.
        shares: (2, rows, columns), share of trees and of buildings, NaN where unknown.
        canopy_share: Share of the canopy's height that the sensor measures; sets the plausible heights.
        origin_px: Row and column of the first pixel on the DSM's own lattice; with it and `HALO_PX` of context,
            windows agree.
    """
    valid = np.isfinite(heights_m)
    cover = np.nan_to_num(np.asarray(shares, np.float64))
    lattice = _Blocks(heights_m.shape, origin_px)
    height, error = steps(heights_m, valid, cover, lattice)
    lowering, variance = np.zeros(heights_m.shape), np.zeros(heights_m.shape)
    canopy_m = canopy_share * CANOPY_M
    for k, (mean, spread) in enumerate(((canopy_m, max(2.0, canopy_m / 2.0)), (_ROOF_M, _ROOF_M))):
        belief = weigh(height[k], error[k], mean, spread)
        share = gaussian_filter(cover[k], _EDGE_SIGMA_PX, truncate=_TRUNCATE)
        taken = belief.gained * belief.height_m
        lowering += share * lattice.spread(taken)
        variance += np.square(share) * lattice.spread(_variance(belief, taken))
    lowering = np.minimum(lowering, LARGEST_M)
    floor = _floor(heights_m, valid, cover)
    with np.errstate(invalid="ignore"):
        lowering = np.clip(np.minimum(lowering, heights_m - floor), 0.0, None)
        mask = valid & (lowering > _SMALLEST_M) & ~_level(heights_m, valid)
    ground = np.where(mask, heights_m - lowering, heights_m).astype(np.float32)
    return CanopyEdges(ground, np.where(valid, np.sqrt(variance), 0.0).astype(np.float32), mask)


def _variance(belief: Belief, taken: Array) -> Array:
    """Variance of what is left after lowering by `taken`, if objects stand with that probability."""
    spread = belief.variance + np.square(_STAND_SPREAD * belief.height_m)
    there = spread + np.square(belief.height_m - taken)
    return np.asarray(belief.probability * there + (1.0 - belief.probability) * np.square(taken))


def steps(heights_m: FloatArray, valid: BoolArray, cover: Array, lattice: _Blocks) -> tuple[list[Array], list[Array]]:
    """Estimate, by block, the height step along the edges of each class and its standard error, metres.

    Laplacians of the heights are regressed on Laplacians of the class shares and on smoothed terrain;
    the error follows from the residuals of small cells (White's estimator), so that noise may vary in space.
    """
    used = minimum_filter(valid, 2 * _REACH_PX + 1, mode="nearest")
    filled = np.where(valid, heights_m, 0.0).astype(np.float64)
    seen = np.where(used, _laplacian(filled, _STEP_SIGMA_PX), 0.0)
    drawn = [_laplacian(gaussian_filter(share, _EDGE_SIGMA_PX, truncate=_TRUNCATE), _STEP_SIGMA_PX) for share in cover]
    columns = [np.where(used, part, 0.0) for part in (*drawn, _laplacian(filled, _FORM_SIGMA_PX))]
    count = len(columns)
    pairs = [(i, j) for i in range(count) for j in range(i, count)]
    sums = np.array(
        [lattice.by_cell(column * seen) for column in columns]
        + [lattice.by_cell(columns[i] * columns[j]) for i, j in pairs]
    )
    place = {pair: count + k for k, pair in enumerate(pairs)}
    index = np.array([[place[min(i, j), max(i, j)] for j in range(count)] for i in range(count)])
    totals = np.moveaxis(np.array([lattice.around_cells(part) for part in sums]), 0, -1)
    normal = totals[..., index]
    inverse = np.linalg.inv(normal + 1e-3 * np.eye(count))
    solved = np.einsum("rcij,rcj->rci", inverse, totals[..., :count])
    # A cell's score is linear in its sums: with their products, the residuals need no second pass over pixels.
    weights = np.zeros((*solved.shape, len(sums)))
    for i in range(count):
        weights[..., i, i] = 1.0
        for j in range(count):
            weights[..., i, index[i, j]] -= solved[..., j]
    products = np.array([[lattice.around_cells(a * b) for a in sums] for b in sums]).transpose(2, 3, 0, 1)
    meat = np.einsum("rcip,rcpq,rcjq->rcij", weights, products, weights)
    covariance = np.einsum("rcij,rcjk,rclk->rcil", inverse, meat, inverse)
    heights, errors = [], []
    for k in range(len(cover)):
        error = np.maximum(np.sqrt(np.maximum(covariance[..., k, k], 0.0)), _LEAST_ERROR_M)
        heights.append(solved[..., k])
        errors.append(np.where(normal[..., k, k] > _LEAST_EVIDENCE, error, _NO_EVIDENCE_M))
    return heights, errors


def weigh(step_m: Array, error_m: Array, mean_m: float, spread_m: float) -> Belief:
    """Apply Bayes' rule to three hypotheses: plausible objects, no objects, or a map whose edges follow the terrain.

    Args:
        step_m: Measured step.
        error_m: Its standard error.
        mean_m: Expected height of the class.
        spread_m: Standard deviation of that expectation.
    """
    own = np.square(error_m)

    def density(away: Array, variance: Array) -> Array:
        return np.asarray(np.exp(-0.5 * np.square(away) / variance) / np.sqrt(variance))

    objects = _PRIOR * density(step_m - mean_m, own + spread_m**2)
    wrong = (1.0 - _CONFOUNDED) * density(step_m, own) + _CONFOUNDED * density(step_m, own + _CONFOUNDED_M**2)
    probability = objects / np.maximum(objects + (1.0 - _PRIOR) * wrong, 1e-300)
    variance = 1.0 / (1.0 / own + 1.0 / spread_m**2)
    height = np.maximum(variance * (step_m / own + mean_m / spread_m**2), 0.0)
    gained = np.clip((probability - _PRIOR) / (1.0 - _PRIOR), 0.0, 1.0)
    return Belief(probability, gained, height, variance)


def _laplacian(values: Array, sigma_px: float) -> Array:
    return np.asarray(gaussian_laplace(values, sigma_px, mode="nearest", truncate=_TRUNCATE))


def _floor(heights_m: FloatArray, valid: BoolArray, cover: Array) -> Array:
    """Lowest open terrain nearby, less the relief there; minus infinity where no open terrain is near.

    Without the relief, woods below a tree line would keep their canopy: all open terrain near them is higher.
    """
    side = 2 * _ENVELOPE_PX + 1
    is_open = valid & (cover.sum(axis=0) < _OPEN_SHARE)
    lowest = minimum_filter(np.where(is_open, heights_m, np.inf), side, mode="nearest")
    smooth = gaussian_filter(np.where(valid, heights_m, 0.0).astype(np.float64), 2.0, truncate=_TRUNCATE)
    relief = maximum_filter(smooth, side, mode="nearest") - minimum_filter(smooth, side, mode="nearest")
    return np.where(np.isfinite(lowest), lowest - relief, -np.inf)


def _level(heights_m: FloatArray, valid: BoolArray) -> BoolArray:
    """Level pixels, 3 x 3 of one height: water, not canopy."""
    filled = np.where(valid, heights_m, 0.0).astype(np.float64)
    highest, lowest = maximum_filter(filled, 3, mode="nearest"), minimum_filter(filled, 3, mode="nearest")
    return np.asarray(highest - lowest <= _LEVEL_M)


class _Blocks:
    """Blocks of the global lattice under an array; sums are taken in one order, so windows agree."""

    def __init__(self, shape: tuple[int, ...], origin_px: tuple[int, int]) -> None:
        self.shape = (shape[0], shape[1])
        self.before = (origin_px[0] % BLOCK_PX, origin_px[1] % BLOCK_PX)
        self.blocks = tuple(
            -(-(before + size) // BLOCK_PX) for before, size in zip(self.before, self.shape, strict=True)
        )

    def by_cell(self, values: Array) -> Array:
        """Sums over small cells."""
        padded = np.zeros((self.blocks[0] * BLOCK_PX, self.blocks[1] * BLOCK_PX))
        rows, columns = (slice(b, b + n) for b, n in zip(self.before, self.shape, strict=True))
        padded[rows, columns] = values
        return _summed(padded, _CELL_PX)

    def around_cells(self, cells: Array) -> Array:
        """Sums of cells over the blocks around each block."""
        taps = np.ones(2 * _HALF_BLOCKS + 1)
        blocks = _summed(cells, BLOCK_PX // _CELL_PX)
        rows = correlate1d(blocks, taps, axis=0, mode="constant")
        return np.asarray(correlate1d(rows, taps, axis=1, mode="constant"))

    def spread(self, blocks: Array) -> Array:
        """Bilinear interpolation between the blocks' centres."""
        (top, low, down), (left, right, aside) = (self._places(axis) for axis in (0, 1))
        down, aside = down[:, None], aside[None, :]
        upper = blocks[top][:, left] * (1.0 - aside) + blocks[top][:, right] * aside
        lower = blocks[low][:, left] * (1.0 - aside) + blocks[low][:, right] * aside
        return np.asarray(upper * (1.0 - down) + lower * down)

    def _places(self, axis: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Array]:
        place = (np.arange(self.shape[axis]) + self.before[axis] + 0.5) / BLOCK_PX - 0.5
        first, last = np.floor(place).astype(np.intp), self.blocks[axis] - 1
        return np.clip(first, 0, last), np.clip(first + 1, 0, last), place - np.floor(place)


def _summed(values: Array, side: int) -> Array:
    """Sums over squares, added in one order whatever the array's size."""
    blocks = values.reshape(values.shape[0] // side, side, values.shape[1] // side, side)
    total = np.zeros((blocks.shape[0], blocks.shape[2]))
    for row in range(side):
        for column in range(side):
            total += blocks[:, row, :, column]
    return total
