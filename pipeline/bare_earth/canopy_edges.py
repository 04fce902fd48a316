"""Bare earth from the steps of a DSM along the edges of mapped woods and built-up land.

Where a map is right, the DSM rises at the map's edges by the height that the sensor sees of canopy or roofs. That step
is measured from edges within two to three kilometres, with a standard error, and compared with two
alternatives by Bayes' rule: no objects, and a map whose edges follow terrain edges. Without edges, or without a step
along them, the DSM is not lowered.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter

from orograph.pipeline.bare_earth.block_lattice import BLOCK_PX, HALF_BLOCKS, BlockLattice
from orograph.pipeline.bare_earth.edge_laplacians import REACH_PX as LAPLACIAN_REACH_PX
from orograph.pipeline.bare_earth.edge_laplacians import laplacian_steps
from orograph.pipeline.bare_earth.edge_profiles import REACH_PX as PROFILE_REACH_PX
from orograph.pipeline.bare_earth.edge_profiles import profile_steps
from orograph.pipeline.bare_earth.edge_scene import EdgeScene, Steps, joined
from orograph.pipeline.bare_earth.edge_sharpness import doubt, sharp_parts
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

_ENVELOPE_PX: Final = 7
HALO_PX: Final = BLOCK_PX * (HALF_BLOCKS + 2) + max(LAPLACIAN_REACH_PX, PROFILE_REACH_PX)

_PRIOR: Final = 0.5
"""Probability that the map is right before the surface is seen."""
_FOLLOWING: Final = 0.2
"""Share of wrong maps that follow the terrain, so that they show a step of any height."""
_WRONG_FOLLOWS: Final = 0.5
"""Variance of the terrain's step along the edges of other wrong maps over that along a right map's."""
_FOLLOWING_M: Final = 15.0
_FOLLOWING_SCATTER_M: Final = 10.0
"""Standard deviations of such steps, and of their estimates under different assumptions on the terrain."""
_AGREEMENT: Final = 0.15
"""Scatter of the estimates of a real step over its expected height."""
STAND_SPREAD: Final = 0.55
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
    heights_m: FloatArray,
    shares: FloatArray,
    canopy_share: float = 1.0,
    origin_px: tuple[int, int] = (0, 0),
    pixel_size_m: tuple[float, float] = (30.0, 30.0),
    footprint_m: float = 0.0,
) -> CanopyEdges:
    """Lower a DSM below mapped trees and buildings by the steps that it shows along their edges.

    Args:
        heights_m: float32, shape (rows, columns), metres; NaN is void.
        shares: (2, rows, columns), share of trees and of buildings, NaN where unknown.
        canopy_share: Share of the canopy's height that the sensor measures; sets the plausible heights.
        origin_px: Row and column of the first pixel on the DSM's own lattice; with it and `HALO_PX` of context,
            windows agree.
        pixel_size_m: Size of a pixel along columns and along rows, metres.
        footprint_m: Standard deviation of the sensor's footprint, metres; the canopy is blurred by it as the terrain is.
    """
    scene = EdgeScene.of(heights_m, shares, pixel_size_m, footprint_m)
    lattice = BlockLattice(heights_m.shape, origin_px)
    lowering, variance = np.zeros(heights_m.shape), np.zeros(heights_m.shape)
    for (step, log_odds), seen, blurred, plausible in zip(
        edge_steps(scene, lattice), scene.seen, scene.blurred, plausible_heights(canopy_share), strict=True
    ):
        belief = weigh(step, *plausible, log_odds)
        taken = belief.gained * belief.height_m
        lowering += seen * lattice.spread(taken)
        variance += np.square(blurred) * lattice.spread(_variance(belief, taken))
    return lowered_by(scene, lowering, variance)


def edge_steps(scene: EdgeScene, lattice: BlockLattice) -> list[tuple[Steps, Array]]:
    """Measure the steps of trees and of buildings along mapped edges by block, and the log odds that they are objects'."""
    trees, built = laplacian_steps(scene, lattice)
    steps = (joined(trees, profile_steps(scene, lattice)), built)
    return [(step, doubt(step, sharp)) for step, sharp in zip(steps, sharp_parts(scene, lattice), strict=True)]


def plausible_heights(canopy_share: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Mean and standard deviation of the heights of trees and of roofs as a sensor sees them, metres."""
    canopy_m = canopy_share * CANOPY_M
    return (canopy_m, max(2.0, canopy_m / 2.0)), (_ROOF_M, _ROOF_M)


def lowered_by(scene: EdgeScene, lowering_m: Array, variance: Array) -> CanopyEdges:
    """Lower a DSM: never below the terrain near by, by no more than the largest object, and not where it is level."""
    lowering = np.minimum(lowering_m, LARGEST_M)
    floor = _floor(scene)
    with np.errstate(invalid="ignore"):
        lowering = np.clip(np.minimum(lowering, scene.heights_m - floor), 0.0, None)
        mask = scene.valid & (lowering > _SMALLEST_M) & ~_level(scene.heights_m, scene.valid)
    ground = np.where(mask, scene.heights_m - lowering, scene.heights_m).astype(np.float32)
    return CanopyEdges(ground, np.where(scene.valid, np.sqrt(variance), 0.0).astype(np.float32), mask)


def _variance(belief: Belief, taken: Array) -> Array:
    """Variance of what is left after lowering by `taken`, if objects stand with that probability."""
    spread = belief.variance + np.square(STAND_SPREAD * belief.height_m)
    there = spread + np.square(belief.height_m - taken)
    return np.asarray(belief.probability * there + (1.0 - belief.probability) * np.square(taken))


def weigh(step: Steps, mean_m: float, spread_m: float, log_odds: Array | float = 0.0) -> Belief:
    """Apply Bayes' rule to three hypotheses: plausible objects, no objects, or a map whose edges follow the terrain.

    Args:
        step: Measured step. Estimates under different assumptions on the terrain agree for objects; for a map that follows
            the terrain they scatter.
        mean_m: Expected height of the class.
        spread_m: Standard deviation of that expectation.
        log_odds: Logarithm of the odds that the step is an object's, at most zero; it lowers the probability to the prior
            and no further.
    """
    own, followed = np.square(step.error_m), np.square(step.followed_m)

    def density(away: Array, variance: Array) -> Array:
        return np.asarray(np.exp(-0.5 * np.square(away) / variance) / np.sqrt(variance))

    agreeing = density(step.scatter_m, own + (_AGREEMENT * mean_m) ** 2)
    following = density(step.height_m, own + _FOLLOWING_M**2) * density(step.scatter_m, own + _FOLLOWING_SCATTER_M**2)
    objects = _PRIOR * density(step.height_m - mean_m, own + followed + spread_m**2) * agreeing
    wrong = (1.0 - _FOLLOWING) * density(
        step.height_m, own + _WRONG_FOLLOWS * followed
    ) * agreeing + _FOLLOWING * following

    def posterior(objects: Array) -> Array:
        return np.asarray(objects / np.maximum(objects + (1.0 - _PRIOR) * wrong, 1e-300))

    # A doubt withdraws what the step shows, so nothing is lowered; that no objects stand it does not show.
    probability = np.maximum(posterior(objects * np.exp(log_odds)), np.minimum(posterior(objects), _PRIOR))
    variance = 1.0 / (1.0 / (own + followed) + 1.0 / spread_m**2)
    height = np.maximum(variance * (step.height_m / (own + followed) + mean_m / spread_m**2), 0.0)
    gained = np.clip((probability - _PRIOR) / (1.0 - _PRIOR), 0.0, 1.0)
    return Belief(probability, gained, height, variance)


def _floor(scene: EdgeScene) -> Array:
    """Lowest open terrain nearby, less the relief there; minus infinity where no open terrain is near.

    Without the relief, woods below a tree line would keep their canopy: all open terrain near them is higher.
    """
    side = 2 * _ENVELOPE_PX + 1
    is_open = scene.valid & scene.known & (scene.cover.sum(axis=0) < _OPEN_SHARE)
    lowest = minimum_filter(np.where(is_open, scene.heights_m, np.inf), side, mode="nearest")
    smooth = gaussian_filter(scene.filled, 2.0, truncate=3.0)
    relief = maximum_filter(smooth, side, mode="nearest") - minimum_filter(smooth, side, mode="nearest")
    return np.where(np.isfinite(lowest), lowest - relief, -np.inf)


def _level(heights_m: FloatArray, valid: BoolArray) -> BoolArray:
    """Level pixels, 3 x 3 of one height: water, not canopy."""
    filled = np.where(valid, heights_m, 0.0).astype(np.float64)
    highest, lowest = maximum_filter(filled, 3, mode="nearest"), minimum_filter(filled, 3, mode="nearest")
    return np.asarray(highest - lowest <= _LEVEL_M)
