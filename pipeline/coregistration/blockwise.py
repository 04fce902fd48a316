"""A smooth field of block displacements, solved for all blocks jointly.

Five steps, as in xDEM's blockwise coregistration: subdivide, estimate each block, convert blocks to points, interpolate
their shifts, warp. Unlike xDEM, blocks are not fitted alone: each contributes its normal equations, and one robust
solve with a bending prior connects them, so a block of sea takes its shift from its neighbours. The prior's
stiffness is selected on held-out cells of at least two kilometres with a buffer around them: noise of nearby pixels
is correlated, so small cells would let the field follow the noise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation

from orograph.pipeline.coregistration.block_normals import Evidence, gather, patches_per_block
from orograph.pipeline.coregistration.blocks import BlockTable, observable, tabulate
from orograph.pipeline.coregistration.estimate import nmad, noise_scale
from orograph.pipeline.coregistration.field import DisplacementField
from orograph.pipeline.coregistration.methods import Method
from orograph.pipeline.coregistration.pair import Blocks, Pair
from orograph.pipeline.coregistration.smooth_field import BlockLattice

Array = npt.NDArray[Any]

BLOCK_PX: Final = 50
MOST_BLOCKS: Final = 1000
CELL_M: Final = 2000.0
"""Side of a held-out cell; the buffer around it is one block."""
UP_STIFFNESS: Final = 5.0
"""Heights bend less than horizontal shifts: a metre sideways changes the height by the slope (here about 0.45)."""
_STEPS: Final = 5
_DECIMATED_PX: Final = 250_000
_NEARLY_PX: Final = 0.1
_ENOUGH_PX: Final = 0.1
_IMAGE: Final = 50_000
_SCALE_SAMPLE: Final = 15_000
_MANY_BLOCKS: Final = 1500
_FIRST, _RATIO, _MOST_TRIALS = 0.5, 3.0, 11
_FOLDS: Final = ((0, 0), (1, 1), (2, 2), (0, 2), (2, 0))


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """Blocks that are predicted, and blocks excluded from the fit: the former and a buffer around them."""

    predicted: Array
    hidden: Array


@dataclass(frozen=True, slots=True, eq=False)
class FieldFit:
    """A field with its cross-validation.

    Attributes:
        stiffness: Weight of the bending prior, relative to the blocks' own median information.
        held_out_nmad_m: Spread of residuals in held-out cells, over all folds; NaN without folds.
        held_out_median_m: Their median.
    """

    field: DisplacementField
    table: BlockTable
    stiffness: float
    held_out_nmad_m: float
    held_out_median_m: float
    iterations: int


def fit_field(pair: Pair, method: Method, start: DisplacementField) -> FieldFit:
    """Fit a lattice of displacements on top of a global field."""
    blocks = Blocks.of(pair.reference.shape, block_side_px(pair, method))
    lattice = BlockLattice.over(blocks.shape, blocks.shape)
    trial = _trial_lattice(blocks)
    folds = make_folds(blocks, pair)
    field = start.with_lattice(np.zeros((3, *blocks.shape)))
    scale = noise_scale(*pair.residuals(field, _SCALE_SAMPLE))
    patch_px = int(np.diff(blocks.row_edges).min()) // patches_per_block(pair, blocks)
    thin = min(max(1, pair.reference.size // _DECIMATED_PX), max(1, patch_px // 3))
    said = gather(pair, field, blocks, scale, thin)
    seen = observable(pair, field, blocks, scale) & method.horizontal
    relative = choose_stiffness(trial, said.trusted(seen), folds)
    # Numpy's kernels serve a first estimate: a sample of rows is enough for shifts of a hundredth of a pixel.
    finest = 1
    count, move, step = 0, np.inf, thin
    while count < _STEPS:
        if count:
            # The first steps need not be exact: all pixels are used once the field hardly changes.
            step = finest if move < _NEARLY_PX * pair.pixel_m or count == _STEPS - 1 else thin
            scale = noise_scale(*pair.residuals(field, _SCALE_SAMPLE))
            said = gather(pair, field, blocks, scale, step)
        before = field.lattice
        field = field.with_lattice(_solve(lattice, said.trusted(seen), before, relative))
        move, count = float(np.abs(field.lattice - before)[:2].max()), count + 1
        if move < _ENOUGH_PX * pair.pixel_m and step == finest:
            break
    whole = replace(said.trusted(seen), b=_right(lattice, said.trusted(seen), field.lattice))
    images, held = _held_out(pair, blocks, trial, whole=whole, field=field, relative=relative, folds=folds)
    table = tabulate(blocks, field, said, seen, pair, images)
    return FieldFit(field, table, relative, nmad(held), float(np.median(held)) if held.size else float("nan"), count)


def _trial_lattice(blocks: Blocks) -> BlockLattice:
    """The lattice for the many held-out fields: half the nodes along each side if there are many blocks.

    A stiffness has the same meaning on both, and a solve costs a sixteenth.
    """
    if blocks.shape[0] * blocks.shape[1] <= _MANY_BLOCKS:
        return BlockLattice.over(blocks.shape, blocks.shape)
    return BlockLattice.over(blocks.shape, (-(-blocks.shape[0] // 2), -(-blocks.shape[1] // 2)))


def block_side_px(pair: Pair, method: Method) -> float:
    """Side of a block: as requested, else 50 pixels, or more if there would be too many blocks."""
    pixel_m = abs(pair.geobox.affine.a)
    if method.block_m is not None:
        return max(method.block_m / pixel_m, 8.0)
    return max(float(BLOCK_PX), float(np.sqrt(pair.reference.size / MOST_BLOCKS)))


def make_folds(blocks: Blocks, pair: Pair) -> list[Fold]:
    """Divide blocks into cells of at least 2 km; each of five folds holds out every third cell along both axes."""
    rows, cols = blocks.shape
    pixel_m = abs(pair.geobox.affine.a)
    sides = [float(np.diff(edges).min()) * pixel_m for edges in (blocks.row_edges, blocks.col_edges)]
    cell = [max(1, int(np.ceil(CELL_M / side))) for side in sides]
    i, j = np.mgrid[0:rows, 0:cols]
    folds = []
    for a, b in _FOLDS:
        predicted = ((i // cell[0]) % 3 == a) & ((j // cell[1]) % 3 == b)
        hidden = binary_dilation(predicted, np.ones((3, 3), np.bool_))
        if predicted.any() and not hidden.all():
            folds.append(Fold(predicted.ravel(), hidden.ravel()))
    return folds


def choose_stiffness(lattice: BlockLattice, evidence: Evidence, folds: list[Fold]) -> float:
    """Find the stiffness that predicts held-out cells best, by descent over a geometric series."""
    tried: dict[int, float] = {}

    def loss(step: int) -> float:
        if step not in tried:
            tried[step] = _prediction_error(lattice, evidence, folds, _FIRST * _RATIO**step)
        return tried[step]

    best = 0
    if not folds:
        return _FIRST
    while len(tried) < _MOST_TRIALS:
        better = min((best - 1, best, best + 1), key=loss)
        if better == best:
            break
        best = better
    return float(_FIRST * _RATIO**best)


def _prediction_error(lattice: BlockLattice, evidence: Evidence, folds: list[Fold], relative: float) -> float:
    """Weighted squared residuals of held-out blocks under fields fitted without them."""
    total = 0.0
    for fold in folds:
        kept = evidence.kept(~fold.hidden)
        nodes = lattice.solve(kept.a, kept.b, stiffness(evidence.a, relative))
        d, b = lattice.at_blocks(nodes)[fold.predicted], evidence.b[fold.predicted]
        fitted = np.einsum("bi,bij,bj->", d, evidence.a[fold.predicted], d) - 2.0 * np.einsum("bi,bi->", b, d)
        total += float(evidence.squares[fold.predicted].sum() + fitted)
    return total


def stiffness(a: Array, relative: float) -> Array:
    """Weights of the bending prior for east, north and up, from the blocks' median horizontal information."""
    typical = 0.5 * (a[:, 0, 0] + a[:, 1, 1])
    typical = typical[typical > 0]
    level = float(np.median(typical)) if typical.size else float(np.median(a[:, 2, 2])) + 1e-6
    return relative * level * np.array([1.0, 1.0, UP_STIFFNESS])


def _solve(lattice: BlockLattice, evidence: Evidence, current: Array, relative: float) -> Array:
    """Solve the whole lattice again, from equations linearised at the current one."""
    return lattice.solve(evidence.a, _right(lattice, evidence, current), stiffness(evidence.a, relative))


def _right(lattice: BlockLattice, evidence: Evidence, current: Array) -> Array:
    """Right-hand sides for the whole lattice instead of its change."""
    return evidence.b + np.einsum("bij,bj->bi", evidence.a, lattice.at_blocks(current))


def _held_out(
    pair: Pair,
    blocks: Blocks,
    lattice: BlockLattice,
    *,
    whole: Evidence,
    field: DisplacementField,
    relative: float,
    folds: list[Fold],
) -> tuple[tuple[Array, int], Array]:
    """A decimated image of residuals under the field, and residuals of cells under fields fitted without them."""
    image, step = pair.residual_image(field, _IMAGE)
    number = blocks.numbers(image.shape, step)
    held = []
    for fold in folds:
        kept = whole.kept(~fold.hidden)
        nodes = lattice.solve(kept.a, kept.b, stiffness(whole.a, relative))
        blind, _ = pair.residual_image(field.with_lattice(nodes), _IMAGE)
        values = blind[fold.predicted[number]]
        held.append(values[np.isfinite(values)])
    return (image, step), np.concatenate(held) if held else np.empty(0)
