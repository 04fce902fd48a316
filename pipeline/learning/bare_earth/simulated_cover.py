"""Canopy and buildings at coarse pixels: simulated or taken from measured towns at 5 m, averaged to the pixel.

A footprint of 30 m mixes roofs, crowns and streets, so objects are drawn finer and averaged. A pool of scenes is made
once and placed on any terrain, rotated, mirrored and with scaled heights. Each scene also has the shares of trees
and of buildings in a simulated 10 m land-cover map, with such a map's errors.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from scipy import ndimage

from orograph.pipeline.errors import ConfigError, HeightsNotFinite
from orograph.pipeline.learning.bare_earth.simulate import forest, random_field

FINE_M: Final = 5.0
_MAP_PX: Final = 2
_TABLE: Final = 1024
_GENTLE: Final = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class Texture:
    """Measured cover of a place, at `FINE_M`: heights above terrain, float32, metres, no voids."""

    name: str
    canopy_m: np.ndarray
    buildings_m: np.ndarray

    def __post_init__(self) -> None:
        if self.canopy_m.shape != self.buildings_m.shape:
            raise ConfigError(f"{self.name}: canopy {self.canopy_m.shape} and buildings {self.buildings_m.shape}")
        if not (np.isfinite(self.canopy_m).all() and np.isfinite(self.buildings_m).all()):
            raise HeightsNotFinite(f"{self.name}: the texture has voids", remedy="choose a part without voids")


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedScene:
    """One square of cover at the coarse pixel, float32 arrays.

    Attributes:
        canopy_m: Mean canopy height over the whole pixel, metres.
        buildings_m: Mean building height over the whole pixel, metres.
        shares: (2, rows, columns), share of trees and of buildings by an imperfect land-cover map, 0 to 1.
    """

    canopy_m: np.ndarray
    buildings_m: np.ndarray
    shares: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class CoverPool:
    """Scenes made once, each from the seed and its number, and drawn repeatedly.

    Attributes:
        pixel_size_m: Size of the coarse pixel, a multiple of `FINE_M`.
        textures: Measured places that supply cover, in addition to simulated ones.
        size_px: Side of a scene, coarse pixels.
        count: Number of scenes in the pool.
        seed: Seed of the pool.
    """

    pixel_size_m: float
    textures: tuple[Texture, ...] = ()
    size_px: int = 104
    count: int = 400
    seed: int = 0
    _scenes: dict[int, SimulatedScene] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        if self.pixel_size_m < 2 * FINE_M or self.pixel_size_m % FINE_M:
            raise ConfigError(
                f"cover for pixels of {self.pixel_size_m:g} m", remedy=f"use a multiple of {FINE_M:g} m above it"
            )

    def draw(self, ground_m: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Place a scene on a square of terrain.

        Args:
            ground_m: (size, size) without voids, metres, not larger than a scene.
            rng: Source of randomness.

        Returns:
            DSM, height above terrain (metres) and shares of trees and buildings, all float32.
        """
        number = int(rng.integers(self.count))
        if number not in self._scenes:
            self._scenes[number] = self._made(np.random.default_rng((self.seed, number)))
        scene = self._scenes[number]
        size = ground_m.shape[0]
        row, col = rng.integers(self.size_px - size + 1, size=2)
        planes = np.stack([scene.canopy_m, scene.buildings_m, *scene.shares])[:, row : row + size, col : col + size]
        planes = np.rot90(planes, int(rng.integers(4)), axes=(1, 2)).copy()
        if rng.random() < 0.75:
            # There are no buildings on steep slopes.
            gentle = np.hypot(*np.gradient(ndimage.gaussian_filter(ground_m, 1.5), self.pixel_size_m)) < _GENTLE
            planes[1] *= gentle
            planes[3] *= gentle
        planes[:2] *= np.exp(rng.normal(0.0, 0.2, (2, 1, 1)))
        return (*_seen(ground_m, planes[0] + planes[1], rng), planes[2:].astype(np.float32))

    def _made(self, rng: np.random.Generator) -> SimulatedScene:
        fine = round(self.pixel_size_m / FINE_M)
        shape = (self.size_px * fine, self.size_px * fine)
        canopy, buildings = np.zeros((2, *shape), dtype=np.float32)
        kind = rng.random()
        if kind < 0.4 and self.textures:
            canopy, buildings = _textured(self.textures[int(rng.integers(len(self.textures)))], shape, rng)
            if rng.random() < 0.4:
                here = random_field(shape, rng.uniform(100, 600) / FINE_M, rng) > rng.uniform(-0.8, 0.8)
                canopy, buildings = canopy * here, buildings * here
        elif kind < 0.9:
            if rng.random() < 0.75:
                canopy = forest(shape, FINE_M, float(rng.beta(0.8, 0.9)), rng)
            if rng.random() < 0.6:
                buildings = street_blocks(shape, FINE_M, float(rng.beta(0.7, 0.9)), rng)
                canopy = np.where(buildings > 0, np.float32(0), canopy)
        shares = mapped_shares(canopy, buildings, fine, rng)
        return SimulatedScene(averaged(canopy, fine), averaged(buildings, fine), shares)


def averaged(fine: np.ndarray, factor: int) -> np.ndarray:
    """Means of squares of `factor` pixels, float32."""
    rows, cols = (size // factor for size in fine.shape)
    return np.asarray(fine.reshape(rows, factor, cols, factor).mean(axis=(1, 3)), dtype=np.float32)


def street_blocks(shape: tuple[int, ...], pixel_size_m: float, share: float, rng: np.random.Generator) -> np.ndarray:
    """Houses on the lots of a street grid, low in suburbs and tall in centres, with halls among them.

    Args:
        shape: Rows and columns.
        pixel_size_m: Pixel size of the result, metres.
        share: Fraction of the area that is settled, 0 to 1.
        rng: Source of randomness.
    """
    where = random_field(shape, rng.uniform(80, 500) / pixel_size_m, rng)
    settled = where > np.quantile(where, 1.0 - share)
    tall = random_field(shape, 400 / pixel_size_m, rng) > rng.uniform(0.2, 2.0)
    angle = rng.uniform(0, np.pi)
    y, x = (np.mgrid[: shape[0], : shape[1]].astype(np.float32) + np.float32(0.5)) * np.float32(pixel_size_m)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    low = _lots(
        along,
        across,
        rng.uniform(14, 32),
        breadth_m=rng.uniform(14, 36),
        rng=rng,
        heights_m=(3.0, 10.0),
        built=rng.uniform(0.5, 0.95),
    )
    high = _lots(
        along,
        across,
        rng.uniform(22, 60),
        breadth_m=rng.uniform(22, 60),
        rng=rng,
        heights_m=(9.0, 32.0),
        built=rng.uniform(0.6, 1.0),
    )
    halls = _lots(
        along,
        across,
        rng.uniform(60, 160),
        breadth_m=rng.uniform(60, 160),
        rng=rng,
        heights_m=(5.0, 16.0),
        built=rng.uniform(0.0, 0.3),
    )
    heights = np.where(halls > 0, halls, np.where(tall, high, low))
    return np.where(settled, heights, 0.0).astype(np.float32)


def _lots(
    along_m: np.ndarray,
    across_m: np.ndarray,
    length_m: float,
    *,
    breadth_m: float,
    rng: np.random.Generator,
    heights_m: tuple[float, float],
    built: float,
) -> np.ndarray:
    """One house per lot of a grid, with random size and height; every few rows there is a street."""
    u, v = along_m / length_m, across_m / breadth_m
    column, row = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
    number = (column * 7919 + row * 104_729) % _TABLE
    tops = rng.uniform(*heights_m, _TABLE) * (rng.random(_TABLE) < built)
    width, depth = rng.uniform(0.4, 0.95, (2, _TABLE)) / 2
    inside = (np.abs(u - column - 0.5) < width[number]) & (np.abs(v - row - 0.5) < depth[number])
    street = (row % int(rng.integers(2, 5)) == 0) | (column % int(rng.integers(4, 12)) == 0)
    return np.asarray(np.where(inside & ~street, tops[number], 0.0), dtype=np.float32)


def mapped_shares(canopy_m: np.ndarray, buildings_m: np.ndarray, factor: int, rng: np.random.Generator) -> np.ndarray:
    """Shares of trees and buildings in each coarse pixel in a simulated 10 m land-cover map.

    The map has one class per pixel, is displaced by up to a pixel, omits small objects, and has patches, over a few per
    cent of the area, with missing or false classes.

    Args:
        canopy_m: Canopy heights at `FINE_M`, metres.
        buildings_m: Building heights at `FINE_M`, metres.
        factor: Fine pixels along a coarse pixel; even.
        rng: Source of randomness.

    Returns:
        float32, (2, rows, columns).
    """
    maps = []
    for heights, least in ((canopy_m, 0.4), (buildings_m, 0.25)):
        seen = averaged((heights > 2.0).astype(np.float32), _MAP_PX)
        seen = ndimage.shift(seen, rng.uniform(-1, 1, 2), order=1, mode="nearest")
        named = ndimage.uniform_filter(seen, 3) * 0.5 + seen * 0.5 > least
        wrong = random_field(named.shape, rng.uniform(1.0, 6.0), rng)
        named = np.where(wrong > rng.uniform(1.6, 2.6), ~named, named)
        # Land-cover maps sometimes classify bushes and low crops as trees, and gardens as buildings.
        maps.append(averaged(named.astype(np.float32), factor // _MAP_PX))
    return np.stack(maps)


def _textured(texture: Texture, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    planes = np.stack([texture.canopy_m, texture.buildings_m])
    planes = np.rot90(planes, int(rng.integers(4)), axes=(1, 2))
    if rng.random() < 0.5:
        planes = planes[:, :, ::-1]
    starts = [int(rng.integers(size)) for size in planes.shape[1:]]
    rows, cols = (
        _folded(start + np.arange(length), size)
        for start, length, size in zip(starts, shape, planes.shape[1:], strict=True)
    )
    taken = planes[:, rows[:, None], cols[None, :]]
    return taken[0].astype(np.float32), taken[1].astype(np.float32)


def _folded(indices: np.ndarray, size: int) -> np.ndarray:
    """Indices beyond the end are mirrored."""
    turn = indices % (2 * size)
    return np.where(turn < size, turn, 2 * size - 1 - turn)


def _seen(ground_m: np.ndarray, above_m: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """DSM and height above terrain after a radar's footprint averaging and noise."""
    blur = float(rng.choice([0.0, 0.4, 0.6])) * float(rng.uniform(0.7, 1.2))
    if blur > 0:
        above_m = ndimage.gaussian_filter(above_m, blur)
        ground_m = ndimage.gaussian_filter(ground_m, blur)
    noise = rng.normal(0.0, 1.0, ground_m.shape)
    if rng.random() < 0.7:
        width = rng.uniform(0.5, 1.5)
        noise = ndimage.gaussian_filter(noise, width)
        noise /= max(float(noise.std()), 1e-9)
    noise *= float(rng.choice([0.05, 0.15, 0.3, 0.6, 1.0]))
    return (ground_m + above_m + noise).astype(np.float32), np.asarray(above_m, dtype=np.float32)
