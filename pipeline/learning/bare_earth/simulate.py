"""Simulated canopy and buildings on bare earth: pairs of a DSM and its terrain without licence constraints.

Heights, sizes and arrangement of stands and houses follow lidar DSMs of central Europe; no data are copied from them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from orograph.pipeline.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Scenery:
    """Density of simulated objects.

    Attributes:
        forest: Fraction of the area under closed forest, 0 to 1.
        trees_per_ha: Single trees outside the forest, per hectare.
        houses_per_ha: Houses in settlements, per hectare.
        settlement: Fraction of the area that is settled, 0 to 1.
        noise_m: Standard deviation of the DSM's noise, metres.
    """

    forest: float
    trees_per_ha: float
    houses_per_ha: float
    settlement: float
    noise_m: float

    def __post_init__(self) -> None:
        shares = (self.forest, self.settlement)
        counts = (self.trees_per_ha, self.houses_per_ha, self.noise_m)
        if not all(0 <= s <= 1 for s in shares) or min(counts) < 0:
            raise ConfigError(f"scenery {self}", remedy="shares must be between 0 and 1, counts must not be negative")

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Scenery:
        """Draw a random scenery: from open fields to closed forest and dense town."""
        kind = rng.random()
        forest = float(rng.beta(0.6, 0.9)) if kind < 0.75 else 0.0
        settlement = float(rng.beta(0.6, 0.8)) if kind > 0.35 else 0.0
        return cls(
            forest=forest,
            trees_per_ha=float(rng.gamma(1.0, 4.0)),
            houses_per_ha=float(rng.uniform(4.0, 30.0)),
            settlement=settlement,
            noise_m=float(rng.choice([0.02, 0.1, 0.3, 0.6])),
        )


def above_ground(
    ground_m: np.ndarray, pixel_size_m: float, scenery: Scenery, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Simulate a DSM over a terrain; returns it and the heights above terrain.

    Args:
        ground_m: Bare earth without voids, (rows, columns), metres.
        pixel_size_m: Pixel size, metres; crowns and houses are drawn at this resolution.
        scenery: Density of objects.
        rng: Random generator.

    Returns:
        DSM heights with noise and heights above terrain without noise, float32, metres.
    """
    shape = ground_m.shape
    height = np.zeros(shape, dtype=np.float32)
    if scenery.forest > 0:
        height = np.maximum(height, forest(shape, pixel_size_m, scenery.forest, rng))
    # A single crown is invisible on a pixel of 10 m.
    per_ha = scenery.trees_per_ha * min(1.0, (4.0 / pixel_size_m) ** 2)
    height = np.maximum(height, _trees(shape, pixel_size_m, per_ha, rng))
    roofs, built = _houses(ground_m, pixel_size_m, scenery, rng)
    height = np.where(built, np.maximum(roofs, 0.0), height).astype(np.float32)
    noise = rng.normal(0.0, 1.0, shape) * scenery.noise_m
    if rng.random() < 0.5:
        noise = ndimage.gaussian_filter(noise, 1.0) * 3.5
    return (ground_m + height + noise).astype(np.float32), height


def random_field(shape: tuple[int, ...], width_px: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth random values with a standard deviation of one; long wavelengths are drawn coarse and interpolated."""
    step = max(1, int(width_px / 3))
    small = tuple(-(-n // step) + 8 for n in shape)
    values = ndimage.gaussian_filter(rng.normal(size=small), width_px / step)
    if step > 1:
        values = ndimage.zoom(values, step, order=1)
    values = values[: shape[0], : shape[1]]
    return values / max(float(values.std()), 1e-9)


def forest(shape: tuple[int, ...], pixel_size_m: float, share: float, rng: np.random.Generator) -> np.ndarray:
    """Stands with sharp edges and individual heights, with crowns, gaps and rides."""
    # Woods have all sizes; details below the pixel are not drawn.
    width_m = float(np.exp(rng.uniform(np.log(20), np.log(120 if pixel_size_m < 5 else 900))))
    where = random_field(shape, width_m / pixel_size_m, rng) + 0.4 * random_field(
        shape, rng.uniform(8, 30) / pixel_size_m, rng
    )
    mask = where > np.quantile(where, 1.0 - share)
    stands = random_field(shape, width_m * rng.uniform(0.7, 1.6) / pixel_size_m, rng)
    levels = np.digitize(stands, [-0.8, 0.0, 0.8])
    tops = rng.uniform(3.0, 34.0, 4)[levels]
    crowns = random_field(shape, max(rng.uniform(1.5, 4.0) / pixel_size_m, 0.5), rng)
    rough = rng.uniform(0.05, 0.22)
    height = tops * (1.0 + rough * crowns)
    gaps = random_field(shape, max(rng.uniform(2.0, 8.0) / pixel_size_m, 0.7), rng) > rng.uniform(1.2, 2.6)
    floor = rng.uniform(0.0, 2.0) * (rng.random() < 0.5)
    return np.where(mask, np.where(gaps, floor, np.maximum(height, 0.3)), 0.0).astype(np.float32)


def _trees(shape: tuple[int, ...], pixel_size_m: float, per_ha: float, rng: np.random.Generator) -> np.ndarray:
    """Single trees and rows of them: rounded crowns."""
    height = np.zeros(shape, dtype=np.float32)
    count = rng.poisson(per_ha * shape[0] * shape[1] * pixel_size_m**2 / 1e4)
    rows, cols = rng.uniform(0, shape[0], count), rng.uniform(0, shape[1], count)
    in_row = rng.random(count) < 0.4
    if count > 4:
        angle, start = rng.uniform(0, np.pi), rng.uniform(0, 1, 2) * shape
        along = rng.uniform(-1, 1, count) * max(shape)
        rows = np.where(in_row, start[0] + along * np.sin(angle), rows)
        cols = np.where(in_row, start[1] + along * np.cos(angle), cols)
    for row, col in zip(rows, cols, strict=True):
        top = rng.uniform(3.0, 22.0)
        radius = max(0.6, top * rng.uniform(0.12, 0.3) / pixel_size_m)
        patch = _patch(shape, row, col, radius)
        if patch is not None:
            y, x = np.ogrid[patch]
            near = np.maximum(0.0, 1.0 - ((y - row) ** 2 + (x - col) ** 2) / radius**2)
            height[patch] = np.maximum(height[patch], top * np.sqrt(near))
    return height


def _houses(
    ground_m: np.ndarray, pixel_size_m: float, scenery: Scenery, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Houses with flat or gabled roofs along streets of one direction; roofs are level on any terrain."""
    shape = ground_m.shape
    roofs, built = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=bool)
    if scenery.settlement <= 0:
        return roofs, built
    where = random_field(shape, 60 / pixel_size_m, rng)
    settled = where >= np.quantile(where, 1.0 - scenery.settlement)
    count = rng.poisson(scenery.houses_per_ha * shape[0] * shape[1] * pixel_size_m**2 / 1e4)
    street = rng.uniform(0, np.pi)
    tall = rng.random() < 0.35
    for _ in range(count):
        row, col = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        if not settled[int(row), int(col)]:
            continue
        large = rng.random() < 0.12
        length = rng.uniform(20, 90) if large else rng.uniform(7, 26)
        breadth = length * rng.uniform(0.3, 1.0)
        eaves = rng.uniform(8, 32) if tall else rng.uniform(2.5, 11)
        angle = street + (np.pi / 2) * rng.integers(2) + rng.normal(0, 0.05)
        patch = _patch(shape, row, col, np.hypot(length, breadth) / 2 / pixel_size_m + 1)
        if patch is None:
            continue
        y, x = np.ogrid[patch]
        along = ((x - col) * np.cos(angle) + (y - row) * np.sin(angle)) * pixel_size_m
        across = (-(x - col) * np.sin(angle) + (y - row) * np.cos(angle)) * pixel_size_m
        inside = (np.abs(along) < length / 2) & (np.abs(across) < breadth / 2)
        if not large and rng.random() < 0.3:
            inside |= (np.abs(along - length / 2) < breadth / 4) & (across > 0) & (across < breadth)
        if not inside.any():
            continue
        pitch = rng.uniform(0.3, 1.0) if not large and rng.random() < 0.7 else 0.0
        level = float(np.mean(ground_m[patch][inside])) + eaves
        roof = level + pitch * np.maximum(0.0, breadth / 2 - np.abs(across)) - ground_m[patch]
        roofs[patch] = np.where(inside, np.maximum(roofs[patch], roof), roofs[patch])
        built[patch] |= inside
    return roofs, built


def _patch(shape: tuple[int, ...], row: float, col: float, radius: float) -> tuple[slice, slice] | None:
    top, bottom = max(0, int(row - radius)), min(shape[0], int(row + radius) + 2)
    left, right = max(0, int(col - radius)), min(shape[1], int(col + radius) + 2)
    return (slice(top, bottom), slice(left, right)) if top < bottom and left < right else None
