"""Tell objects from terrain that the map follows: an object's edge is sharper than the wider forms of the terrain predict.

A map that is drawn from the terrain, for instance woods on ridges, is a function of a smoothed form of the heights. By Bussgang's theorem
the part of such a map that this form does not explain is uncorrelated with every linear filter of Gaussian heights.
So narrow Laplacians of the heights are regressed on those of the map, given the wider Laplacians of both: the coefficient is
the height of objects, whose edges are steps, and zero for ridges, slopes and valleys, however high.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_laplace, minimum_filter

from orograph.pipeline.bare_earth.block_lattice import BLOCK_PX, HALF_BLOCKS, BlockLattice, least_squares
from orograph.pipeline.bare_earth.edge_scene import NO_EVIDENCE_M, TRUNCATE, EdgeScene, Steps

Array = npt.NDArray[np.float64]

_SHARP_SIGMA_PX: Final = 0.7
"""Width of the Laplacian that sees an edge."""
_FORM_SIGMAS_PX: Final = (1.5, 2.0, 3.0, 4.0)
"""Widths of the Laplacians that see the forms from which a map may be drawn."""
_CELL_PX: Final = 12
_LEAST_EVIDENCE: Final = 1.0
_LEAST_ERROR_M: Final = 0.3
_BLUNT: Final = 0.2
"""Standard deviation of the sharp part of a step over its height: of terrain about zero, of objects about one."""


class SharpPart(NamedTuple):
    """Part of a class's step by block that the wider forms of the terrain do not explain, metres.

    Attributes:
        height_m: The part; that of objects is their height, or more where they are sharper than the map's blur.
        error_m: Its standard error; `NO_EVIDENCE_M` where there is too little to measure.
    """

    height_m: Array
    error_m: Array


def doubt(step: Steps, sharp: SharpPart) -> Array:
    """Logarithm of the odds, at most zero, that a step is an object's and not the terrain's by its sharp part."""
    height = np.maximum(step.height_m, 0.0)
    part = np.clip(sharp.height_m, 0.0, height)
    variance = np.square(sharp.error_m) + np.square(step.error_m) + np.square(_BLUNT * height)
    return np.asarray(np.minimum(height * (2.0 * part - height) / (2.0 * variance), 0.0))


def sharp_parts(scene: EdgeScene, lattice: BlockLattice) -> list[SharpPart]:
    """Measure the sharp part of each class's step by block, with White's standard error over cells."""
    reach = int(TRUNCATE * max(_FORM_SIGMAS_PX) + 0.5)
    used = minimum_filter(scene.valid & scene.known, 2 * reach + 1, mode="nearest")
    planes = (*scene.blurred, scene.filled)
    seen, *columns = (
        np.where(used, gaussian_laplace(plane, sigma, mode="nearest", truncate=TRUNCATE), 0.0)
        for plane, sigma in [
            (scene.filled, _SHARP_SIGMA_PX),
            *((share, _SHARP_SIGMA_PX) for share in scene.blurred),
            *((plane, sigma) for sigma in _FORM_SIGMAS_PX for plane in planes),
        ]
    )
    return _regressed(seen, columns, len(scene.blurred), lattice)


def _regressed(seen: Array, columns: list[Array], classes: int, lattice: BlockLattice) -> list[SharpPart]:
    """Coefficients of the first columns and their standard errors."""
    count = len(columns)
    sums, index, totals, inverse, solved = least_squares(seen, columns, lattice, _CELL_PX)
    made = []
    for k in range(classes):
        # A cell's score is linear in its sums.
        weights = np.zeros(totals.shape)
        weights[..., :count] = inverse[..., k, :]
        for i in range(count):
            for j in range(count):
                weights[..., index[i, j]] -= inverse[..., k, i] * solved[..., j]
        error = np.maximum(np.sqrt(_squares_around(sums, weights)), _LEAST_ERROR_M)
        error = np.where(1.0 / inverse[..., k, k] > _LEAST_EVIDENCE, error, NO_EVIDENCE_M)
        made.append(SharpPart(solved[..., k], error))
    return made


def _squares_around(sums: Array, weights: Array) -> Array:
    """Sum of squares of each block's weighting of the sums of the cells around it."""
    rows, columns, _ = weights.shape
    per_block = BLOCK_PX // _CELL_PX
    rim = HALF_BLOCKS * per_block
    padded = np.pad(sums, ((0, 0), (rim, rim), (rim, rim)))
    total = np.zeros((rows, columns))
    for down in range(2 * rim + per_block):
        for aside in range(2 * rim + per_block):
            cells = padded[
                :, down : down + per_block * rows : per_block, aside : aside + per_block * columns : per_block
            ]
            total += np.square(np.einsum("rcp,prc->rc", weights, cells))
    return total
