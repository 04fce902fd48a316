"""Training examples for the network of sensors: terrain on turned grids, seen by drawn sensors, and filtered."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import affine_transform, binary_erosion, maximum_filter, minimum_filter, spline_filter

from orograph.pipeline.core.raster import BoolArray, FloatArray
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.learning.superres.dataset import SiteSpec, load_site
from orograph.pipeline.learning.superres.degrade import pool
from orograph.pipeline.learning.superres.drawn_sensors import Array, Size, declared, draw_sensor, measured
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.sources.single_raster import opened_heights
from orograph.pipeline.superres.sensor.net_inputs import NetInputs, phases
from orograph.pipeline.superres.sensor.net_range import FACTOR
from orograph.pipeline.superres.sensor.resolver import Measured

SIDE_PX = 100
"""Side of an example in coarse pixels."""
_FINE_M = (8.0, 13.0)
_SCALED_TO_M = 10.0
_TRIES = 20
_LARGEST_RESIDUAL = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class Terrain:
    """A site at one native pixel size.

    Attributes:
        splines: Coefficients of a cubic spline through the heights, metres.
        valid: One where the heights were measured, else zero, float32.
        pixel_m: Pixel size, metres.
    """

    splines: Array
    valid: FloatArray
    pixel_m: float


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Examples with one site each.

    Attributes:
        planes: Input of the network, float16, shape (examples, PLANES, SIDE_PX, SIDE_PX).
        error_m: The filter's error by the model, float32, shape (examples, SIDE_PX, SIDE_PX).
        residual: Terrain less filtered heights in units of that error by phase, float16.
        judged: Coarse pixels that count.
    """

    planes: FloatArray
    error_m: FloatArray
    residual: FloatArray
    judged: BoolArray


def site_terrain(spec: SiteSpec, root: Path) -> tuple[Terrain, ...]:
    """Read a site at each of its levels; level water is void, and terrain coarser than 13 m is scaled down to 10 m.

    Raises:
        ConfigError: A level's pixels are not square.
    """
    site = load_site(spec, root)
    with opened_heights(root / spec.file) as raster:
        native_m = math.sqrt(raster.pixel_size_m[0] * raster.pixel_size_m[1])
    found = []
    for heights, valid in zip(site.heights_m, site.valid, strict=True):
        land = valid & (maximum_filter(heights, 7) > minimum_filter(heights, 7))
        for level in spec.levels:
            if level.rows != level.columns:
                raise ConfigError(
                    f"site {spec.name} has a level of {level.rows} x {level.columns} pixels",
                    remedy="training on sensors draws oblong pixels itself: list levels with as many rows as columns",
                )
            fine = pool(heights.astype(np.float64), level.rows, level.columns, level.thinning, (0, 0))
            known = pool(land.astype(np.float32), level.rows, level.columns, Thinning.AVERAGED, (0, 0)) == 1.0
            known = known[: fine.shape[0], : fine.shape[1]]
            fine = fine[: known.shape[0], : known.shape[1]]
            pixel_m = native_m * level.rows
            if pixel_m > _FINE_M[1]:
                fine, pixel_m = fine * (_SCALED_TO_M / pixel_m), _SCALED_TO_M
            sound = minimum_filter(known, size=3, mode="constant", cval=0).astype(np.float32)
            found.append(Terrain(np.asarray(spline_filter(fine, order=3)), sound, pixel_m))
    return tuple(found)


def _turned(terrains: Sequence[Terrain], rng: np.random.Generator) -> tuple[Array, BoolArray, Size] | None:
    """Terrain on a drawn grid: its heights, where they are measured, and the pixel size; None if no part is enough."""
    side = SIDE_PX * FACTOR
    for _ in range(_TRIES):
        site = terrains[int(rng.integers(len(terrains)))]
        pixel, extent = site.pixel_m, np.array(site.valid.shape)
        least, most = max(_FINE_M[0], pixel), max(_FINE_M[1], 1.3 * pixel)
        base = math.exp(rng.uniform(math.log(least), math.log(most)))
        aspect = math.exp(-rng.uniform(0.0, 0.75)) if rng.random() < 0.6 else 1.0
        size = max(base * math.sqrt(aspect), 0.9 * pixel), max(base / math.sqrt(aspect), 0.9 * pixel)
        angle = rng.uniform(0.0, 2.0 * math.pi)
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        if rng.random() < 0.5:
            turn = turn @ np.diag([1.0, -1.0])
        grid = turn @ np.diag([size[1] / pixel, size[0] / pixel])
        centre = extent * rng.random(2)
        near = extent / 2.0 + rng.uniform(-0.1, 0.1, 2) * extent
        centre = np.where(extent * pixel < 1.3 * side * base, near, centre)
        offset = centre - grid @ np.array([side / 2.0, side / 2.0])
        shape = {"offset": offset, "output_shape": (side, side)}
        known = affine_transform(site.valid, grid, order=0, mode="constant", cval=0.0, **shape) > 0.5
        enough = min(0.3, 0.4 * float(extent.prod()) * pixel**2 / (side * base) ** 2)
        if known.mean() >= enough:
            heights = affine_transform(site.splines, grid, order=3, prefilter=False, mode="nearest", **shape)
            return heights, known, size
    return None


def _example(terrains: Sequence[Terrain], rng: np.random.Generator) -> tuple[FloatArray, ...] | None:
    turned = _turned(terrains, rng)
    if turned is None:
        return None
    terrain, known, size = turned
    drawn = draw_sensor(rng)
    coarse = measured(terrain, drawn, size, FACTOR, rng)
    square = np.ones((3, 3))
    inside = binary_erosion(known, square, iterations=2)
    whole = inside.reshape(SIDE_PX, FACTOR, SIDE_PX, FACTOR).all(axis=(1, 3))
    coarse = np.where(whole, coarse, np.float32(np.nan))
    believed = declared(drawn.model, rng)
    coarse_size = (size[0] * FACTOR, size[1] * FACTOR)
    inputs = NetInputs.of(Measured.of(coarse, believed, FACTOR, coarse_size, (0, 0)))
    judged = binary_erosion(whole, square, iterations=2)
    residual = np.clip(phases(terrain - inputs.fine) / inputs.error_m, -_LARGEST_RESIDUAL, _LARGEST_RESIDUAL)
    everywhere = slice(0, SIDE_PX)
    return (
        inputs.planes(everywhere, everywhere).astype(np.float16),
        inputs.error_m.astype(np.float32),
        np.where(judged, residual, 0.0).astype(np.float16),
        judged,
    )


def draw_examples(sites: Sequence[SiteSpec], root: Path, count: int, seed: int) -> Examples:
    """Draw examples from sites by their weights; deterministic by seed.

    Raises:
        ConfigError: No site has enough terrain.
    """
    rng = np.random.default_rng(seed)
    total = sum(site.weight for site in sites)
    found = []
    for site in sites:
        terrains = site_terrain(site, root)
        for _ in range(max(1, round(count * site.weight / total))):
            drawn = _example(terrains, rng) if terrains else None
            if drawn is not None:
                found.append(drawn)
    if not found:
        raise ConfigError("no site has enough terrain for an example", remedy="give DTMs of a kilometre or more")
    return Examples(*(np.stack(parts) for parts in zip(*found, strict=True)))
