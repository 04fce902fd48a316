"""Fusion of a coarse DSM with a bare-earth terrain model: its level under canopy, the DSM's detail elsewhere.

The difference of the two is one more measurement of the objects in each pixel, next to the steps along mapped edges. Its
level is compared on open terrain near by, then it updates what map and edges expect by Bayes' rule. On
open terrain nothing is expected, so errors of the terrain model do not reach it. Without a map the share of canopy
follows from the difference itself: errors of the terrain model have both signs, canopy has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from orograph.pipeline.bare_earth import canopy_edges, terrain_shares
from orograph.pipeline.bare_earth.block_lattice import BlockLattice
from orograph.pipeline.bare_earth.canopy_edges import (
    LARGEST_M,
    STAND_SPREAD,
    CanopyEdges,
    edge_steps,
    lowered_by,
    plausible_heights,
    weigh,
)
from orograph.pipeline.bare_earth.edge_scene import NO_EVIDENCE_M, EdgeScene, Steps, joined
from orograph.pipeline.bare_earth.terrain_level import BINS_M, PATCH_PX, Level, above, histograms, level
from orograph.pipeline.bare_earth.terrain_shares import LEAST_COVERED, covered_share, found_share, smoothed
from orograph.pipeline.core.raster import BoolArray, FloatArray

Array = npt.NDArray[np.float64]

HALO_PX: Final = canopy_edges.HALO_PX + terrain_shares.REACH_PX

_FINE_PX: Final = 1.0
"""Standard deviation of the smoothing of the difference in each pixel."""
_RESIDUAL: Final = 0.25
"""Canopy that a terrain model may still contain, over the canopy."""
_OPEN_SHARE: Final = 0.05
_MAPPED_SHARE: Final = 0.5
_LEAST_EVIDENCE: Final = 50.0
_LEAST_VARIANCE: Final = 1.0


class TerrainModel(NamedTuple):
    """A bare-earth terrain model on the pixels of a DSM.

    Attributes:
        heights_m: Heights in the DSM's vertical frame, metres; NaN where unknown.
        sigma_m: Standard deviation of each, metres.
    """

    heights_m: FloatArray
    sigma_m: FloatArray


class _Difference(NamedTuple):
    """DSM less terrain model in each pixel, less the level, metres, with variances, square metres.

    Attributes:
        height_m: The difference.
        error: Variance of the terrain model under objects.
        open_error: Variance of the difference on open terrain near by.
        noise: Variance of the DSM's noise.
        seen: Share of pixels around that both have.
    """

    height_m: Array
    error: Array
    open_error: Array
    noise: float
    seen: Array


class _Expected(NamedTuple):
    """Objects in each pixel before its own difference is seen.

    Attributes:
        share: Share of the pixel that they cover.
        probability: Probability that they exist.
        height_m: Their height.
        variance: Its variance from pixel to pixel.
        common: Variance of its mean over the blocks around, which a pixel's difference does not reduce.
        difference_m: Difference that the terrain model has above such objects on average; less than their height where
            it contains some canopy itself.
    """

    share: Array
    probability: Array
    height_m: Array
    variance: Array
    common: Array
    difference_m: Array


class _Class(NamedTuple):
    """Objects of a class as the difference shows them, by block: height, and share of mapped pixels where they stand."""

    step: Steps
    covered: Array


def lower_by_fusion(
    heights_m: FloatArray,
    terrain: TerrainModel,
    shares: FloatArray | None = None,
    canopy_share: float = 1.0,
    origin_px: tuple[int, int] = (0, 0),
    pixel_size_m: tuple[float, float] = (30.0, 30.0),
    footprint_m: float = 0.0,
    noise_m: float = 0.0,
) -> CanopyEdges:
    """Lower a DSM under canopy and roofs towards a terrain model.

    Args:
        heights_m: float32, shape (rows, columns), metres; NaN is void.
        terrain: The terrain model on the same pixels.
        shares: (2, rows, columns), share of trees and of buildings by a map, NaN where unknown; None without a map.
        canopy_share: Share of the canopy's height that the sensor measures.
        origin_px: Row and column of the first pixel on the DSM's own lattice; with it and `HALO_PX` of context,
            windows agree.
        pixel_size_m: Size of a pixel along columns and along rows, metres.
        footprint_m: Standard deviation of the sensor's footprint, metres.
        noise_m: Standard deviation of the DSM's noise, metres; the terrain model has more weight where it is large.
    """
    lattice = BlockLattice(heights_m.shape, origin_px)
    unknown = np.full((2, *heights_m.shape), np.nan, np.float32)
    scene = EdgeScene.of(heights_m, unknown if shares is None else shares, pixel_size_m, footprint_m)
    both = scene.valid & np.isfinite(terrain.heights_m)
    raw = np.where(both, scene.filled - np.nan_to_num(terrain.heights_m.astype(np.float64)), 0.0)
    compared = level(raw, both & (~scene.known | (scene.cover.sum(axis=0) < _OPEN_SHARE)), lattice)
    fine, seen = smoothed(raw, both, _FINE_PX)
    difference = _Difference(
        fine - lattice.spread(compared.offset_m),
        np.square(np.nan_to_num(terrain.sigma_m.astype(np.float64))) + lattice.spread(np.square(compared.error_m)),
        np.maximum(lattice.spread(np.square(compared.spread_m)), _LEAST_VARIANCE),
        noise_m**2,
        seen * lattice.spread(compared.usable),
    )
    plausible = plausible_heights(canopy_share)
    lowering, variance = np.zeros(heights_m.shape), np.zeros(heights_m.shape)
    if scene.known.any():
        lowering, variance = _updated(_mapped(scene, raw, fine, both, compared, lattice, plausible), difference)
    if not scene.known.all():
        found = found_share(raw, both & ~scene.known, compared.offset_m, lattice)
        found *= lattice.spread(compared.usable)
        mean, spread = (np.full_like(found, value) for value in plausible[0])
        stands = np.square(spread) + np.square(STAND_SPREAD * mean)
        more, added = _updated(
            _Expected(found, np.ones_like(found), mean, stands, np.zeros_like(found), mean), difference
        )
        lowering, variance = np.where(scene.known, lowering, more), np.where(scene.known, variance, added)
    most = min(LARGEST_M, max(height + 3.0 * spread for height, spread in plausible))
    return lowered_by(scene, np.minimum(lowering, most), variance)


def _mapped(
    scene: EdgeScene,
    raw: Array,
    fine: Array,
    both: BoolArray,
    compared: Level,
    lattice: BlockLattice,
    plausible: Sequence[tuple[float, float]],
) -> _Expected:
    """Objects by the map, the steps along its edges, and the difference over the blocks around."""
    steps = edge_steps(scene, lattice)
    confirmed = [weigh(step, *heights, odds).gained for (step, odds), heights in zip(steps, plausible, strict=True)]
    classes = _classes(scene, raw, fine, both & scene.known, compared, lattice, confirmed)
    beliefs = [
        weigh(joined(step, one.step), *heights, odds)
        for (step, odds), one, heights in zip(steps, classes, plausible, strict=True)
    ]
    share = scene.seen.sum(axis=0)
    parts = [part / np.maximum(share, 1e-9) for part in scene.seen]

    def mean(planes: Sequence[Array]) -> Array:
        return np.asarray(sum(part * lattice.spread(plane) for part, plane in zip(parts, planes, strict=True)))

    return _Expected(
        np.minimum(share, 1.0),
        mean([belief.probability * one.covered for belief, one in zip(beliefs, classes, strict=True)]),
        mean([belief.height_m for belief in beliefs]),
        mean([np.square(STAND_SPREAD * belief.height_m) for belief in beliefs]),
        mean([belief.variance for belief in beliefs]),
        mean(
            [
                np.where(one.step.error_m < NO_EVIDENCE_M, one.step.height_m, belief.height_m)
                for belief, one in zip(beliefs, classes, strict=True)
            ]
        ),
    )


def _classes(
    scene: EdgeScene,
    raw: Array,
    fine: Array,
    used: BoolArray,
    compared: Level,
    lattice: BlockLattice,
    confirmed: Sequence[Array],
) -> list[_Class]:
    """Regress the difference on the shares of trees and of buildings, over the pixels where objects stand.

    All sums are of what each pixel contains; the level is taken off the sums, so that one block's level depends on no
    other's.
    """
    trees, built = (np.where(used, share, 0.0) for share in scene.seen)

    def total(values: Array) -> Array:
        return lattice.around_cells(lattice.by_cell(values))

    tt, bb, tb = total(trees * trees), total(built * built), total(trees * built)
    td = total(trees * raw) - compared.offset_m * total(trees)
    bd = total(built * raw) - compared.offset_m * total(built)
    determinant = (tt + 1.0) * (bb + 1.0) - tb * tb
    heights = ((bb + 1.0) * td - tb * bd) / determinant, ((tt + 1.0) * bd - tb * td) / determinant
    made = []
    for share, mean, square, sure in zip((trees, built), heights, (tt, bb), confirmed, strict=True):
        covered = covered_share(mean, _below(fine, share > _MAPPED_SHARE, compared, lattice), compared.spread_m)
        covered += (1.0 - covered) * sure
        height = mean / np.maximum(covered, LEAST_COVERED)
        error = np.sqrt(np.square(compared.spread_m) * PATCH_PX / np.maximum(square, 1.0) + np.square(compared.error_m))
        enough = (square > _LEAST_EVIDENCE) & (compared.usable > 0.5)
        step = Steps(
            np.where(enough, height, 0.0),
            np.where(enough, error, NO_EVIDENCE_M),
            _RESIDUAL * np.abs(height),
            np.zeros_like(height),
        )
        made.append(_Class(step, np.where(enough, covered, 1.0)))
    return made


def _below(fine: Array, used: BoolArray, compared: Level, lattice: BlockLattice) -> Array:
    """Part of the used pixels whose difference is below the level."""
    counts = above(histograms(fine, used, lattice), compared.offset_m)
    below = counts[..., BINS_M < 0.0].sum(axis=-1) + 0.5 * counts[..., BINS_M.size // 2]
    return np.asarray(below / np.maximum(counts.sum(axis=-1), 1.0))


def _updated(expected: _Expected, found: _Difference) -> tuple[Array, Array]:
    """Height to lower by and its variance: Bayes' rule for objects or none, and for their height if they stand.

    The belief gained over even odds lowers, as along edges.
    """
    share, height = expected.share, expected.share * expected.height_m
    own = np.square(share) * (expected.variance + found.noise)
    common = np.square(share) * expected.common
    gain = found.seen * own / np.maximum(own + found.error, 1e-9)
    away = found.height_m - share * expected.difference_m

    def density(away: Array, variance: Array) -> Array:
        return np.asarray(np.exp(-0.5 * found.seen * np.square(away) / variance) / np.sqrt(variance))

    stands = expected.probability * density(away, own + common + found.error)
    empty = (1.0 - expected.probability) * density(found.height_m, found.open_error)
    seen = found.seen * stands / np.maximum(stands + empty, 1e-300)
    probability = seen + (1.0 - found.seen) * expected.probability
    taken = np.clip(2.0 * probability - 1.0, 0.0, 1.0)
    there = np.maximum(height + gain * away, 0.0)
    left = (1.0 - gain) * np.square(share) * expected.variance + common
    variance = probability * (left + np.square(there * (1.0 - taken))) + (1.0 - probability) * np.square(taken * there)
    return taken * there, np.where(share > 0.0, variance, 0.0)
