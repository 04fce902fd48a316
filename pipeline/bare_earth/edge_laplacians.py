"""Steps of a DSM along all mapped edges, broken ones included: Laplacians of heights regressed on those of the map."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_laplace, minimum_filter

from orograph.pipeline.bare_earth.block_lattice import BlockLattice, least_squares
from orograph.pipeline.bare_earth.edge_scene import NO_EVIDENCE_M, TRUNCATE, EdgeScene, Steps

Array = npt.NDArray[np.float64]

_STEP_SIGMAS_PX: Final = (1.5, 1.0)
"""Widths of the Laplacians that see steps; the second checks the first."""
_FORM_SIGMA_PX: Final = 4.0
"""Width of the Laplacian that sees the larger forms of the terrain."""
REACH_PX: Final = int(TRUNCATE * _FORM_SIGMA_PX + 0.5) + 6
"""Pixels that a Laplacian depends on, with the blur of the map."""
_LEAST_EVIDENCE: Final = 1.0
_LEAST_ERROR_M: Final = 0.3
_FOLLOWED: Final = 0.08
"""Correlation of the Laplacians of bare terrain with those of a right map, on wooded alpine slopes."""


def laplacian_steps(scene: EdgeScene, lattice: BlockLattice) -> list[Steps]:
    """Measure the step of each class by block."""
    form_px = int(TRUNCATE * _FORM_SIGMA_PX + 0.5)
    used = minimum_filter(scene.valid & scene.known, 2 * form_px + 1, mode="nearest")
    form = np.where(used, _laplacian(scene.filled, _FORM_SIGMA_PX), 0.0)
    made = []
    for sigma in _STEP_SIGMAS_PX:
        seen = np.where(used, _laplacian(scene.filled, sigma), 0.0)
        drawn = [np.where(used, _laplacian(share, sigma), 0.0) for share in scene.blurred]
        made.append(_regressed(seen, [*drawn, form], len(drawn), lattice))
    return [
        Steps(height, error, followed, np.abs(height - other) / np.sqrt(2.0))
        for (height, error, followed), (other, _, _) in zip(*made, strict=True)
    ]


def _regressed(
    seen: Array, columns: list[Array], classes: int, lattice: BlockLattice
) -> list[tuple[Array, Array, Array]]:
    """Coefficients of the first columns, their standard errors, and the part that terrain may have in them, by block.

    The error follows from the residuals of small cells (White's estimator), so noise may depend on place.
    """
    count = len(columns)
    sums, index, totals, inverse, solved = least_squares(seen, columns, lattice)
    normal = totals[..., index]
    # A cell's score is linear in its sums: with their products, the residuals need no second pass over pixels.
    weights = np.zeros((*solved.shape, len(sums)))
    for i in range(count):
        weights[..., i, i] = 1.0
        for j in range(count):
            weights[..., i, index[i, j]] -= solved[..., j]
    products = np.array([[lattice.around_cells(a * b) for a in sums] for b in sums]).transpose(2, 3, 0, 1)
    meat = np.einsum("rcip,rcpq,rcjq->rcij", weights, products, weights)
    covariance = np.einsum("rcij,rcjk,rclk->rcil", inverse, meat, inverse)
    energy = lattice.around_cells(lattice.by_cell(np.square(seen)))
    left = np.maximum(energy - np.einsum("rci,rci->rc", solved, totals[..., :count]), 0.0)
    made = []
    for k in range(classes):
        followed = _FOLLOWED * np.sqrt(left / np.maximum(normal[..., k, k], _LEAST_EVIDENCE))
        error = np.maximum(np.sqrt(np.maximum(covariance[..., k, k], 0.0)), _LEAST_ERROR_M)
        error = np.where(normal[..., k, k] > _LEAST_EVIDENCE, error, NO_EVIDENCE_M)
        made.append((solved[..., k], error, followed))
    return made


def _laplacian(values: Array, sigma_px: float) -> Array:
    return np.asarray(gaussian_laplace(values, sigma_px, mode="nearest", truncate=TRUNCATE))
