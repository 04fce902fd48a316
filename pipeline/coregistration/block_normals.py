"""Normal equations of blocks for their displacement, with patch-correlated noise removed.

Height errors of a DEM are correlated over some hundred metres. If each pixel counts as independent, this noise
biases shifts where slopes face one way. Each block is therefore divided into patches of about ten pixels, and each
patch has its own height offset, with a variance estimated from the residuals, which is integrated out: generalised
least squares with noise that is white plus constant over patches.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from orograph.pipeline.coregistration.estimate import LEAST_SAMPLES, matrices, nmad
from orograph.pipeline.coregistration.field import DisplacementField
from orograph.pipeline.coregistration.pair import Blocks, Pair

Array = npt.NDArray[Any]

PATCH_PX: Final = 10.0
MOST_PATCHES: Final = 40_000
_LEAST_IN_PATCH: Final = 8


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Normal equations of blocks, linearised at a displacement field.

    Attributes:
        a: (n, 3, 3) matrices for east, north, up displacement.
        b: (n, 3) right-hand sides.
        squares: (n,) weighted squared residuals.
        count: (n,) pixels.
    """

    a: Array
    b: Array
    squares: Array
    count: Array

    def trusted(self, seen: Array) -> Evidence:
        """Keep only what each block can constrain.

        Blocks with too few pixels constrain nothing; blocks without relief (not `seen`) constrain heights only, so that
        noise does not keep them in place.
        """
        a, b = self.a.copy(), self.b.copy()
        empty = self.count < LEAST_SAMPLES
        a[empty], b[empty] = 0.0, 0.0
        a[~seen, :2, :], a[~seen, :, :2], b[~seen, :2] = 0.0, 0.0, 0.0
        return replace(self, a=a, b=b)

    def kept(self, blocks: Array) -> Evidence:
        """Keep the equations of some blocks; the others are zero."""
        keep = blocks.astype(float)
        return replace(self, a=self.a * keep[:, None, None], b=self.b * keep[:, None])


def gather(pair: Pair, field: DisplacementField, blocks: Blocks, scale: Array, step: int) -> Evidence:
    """Compute the normal equations of all blocks from every `step`-th row."""
    rows, cols = blocks.shape
    fine = patches_per_block(pair, blocks)
    patches = Blocks.within(blocks, fine)
    sums = pair.sums(field, patches, scale, step=step)
    a, b, squares = _without_patch_noise(sums)

    def of_blocks(values: Array) -> Array:
        shaped = values.reshape(rows, fine, cols, fine, *values.shape[1:])
        return shaped.sum(axis=(1, 3)).reshape(rows * cols, *values.shape[1:])

    count = sums[..., 10].ravel() * step
    return Evidence(of_blocks(a), of_blocks(b), of_blocks(squares), of_blocks(count))


def patches_per_block(pair: Pair, blocks: Blocks) -> int:
    """Number of patches along each side of a block."""
    side = max(PATCH_PX, float(np.sqrt(pair.reference.size / MOST_PATCHES)))
    smallest = min(float(np.diff(edges).min()) for edges in (blocks.row_edges, blocks.col_edges))
    return max(1, round(smallest / side))


def _without_patch_noise(sums: Array) -> tuple[Array, Array, Array]:
    """Equations of patches with each patch's offset integrated out."""
    a, b = matrices(sums)
    flat = sums.reshape(-1, sums.shape[-1])
    squares, good = flat[:, 9], flat[:, 10] >= _LEAST_IN_PATCH
    if np.count_nonzero(good) < LEAST_SAMPLES:
        return a, b, squares
    spread = nmad(b[good, 2] / a[good, 2, 2]) ** 2 - float(np.median(1.0 / a[good, 2, 2]))
    if spread <= 0:
        return a, b, squares
    up = a[:, :, 2]
    share = 1.0 / (a[:, 2, 2] + 1.0 / spread)
    return (
        a - up[:, :, None] * up[:, None, :] * share[:, None, None],
        b - up * (b[:, 2] * share)[:, None],
        squares - b[:, 2] ** 2 * share,
    )
