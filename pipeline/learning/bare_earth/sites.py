"""Training sites for the bare-earth network: pairs of DSM and terrain, measured or simulated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import yaml
from affine import Affine
from odc.geo.geobox import GeoBox
from scipy import ndimage

from orograph.pipeline.errors import ConfigError, NoOverlap, NoTrainingPixels
from orograph.pipeline.learning.bare_earth.rasters import grid_at, read_on
from orograph.pipeline.learning.bare_earth.simulate import Scenery, above_ground
from orograph.pipeline.learning.bare_earth.simulated_cover import FINE_M, CoverPool, Texture, averaged, mapped_shares

_PARTS: Final = {
    "all": (0.0, 1.0, 0.0, 1.0),
    "north": (0.0, 0.5, 0.0, 1.0),
    "south": (0.5, 1.0, 0.0, 1.0),
    "west": (0.0, 1.0, 0.0, 0.5),
    "east": (0.0, 1.0, 0.5, 1.0),
}


class Square(NamedTuple):
    """A training square, float32 arrays.

    Attributes:
        surface_m: DSM heights without voids, metres.
        above_m: Heights above terrain, metres; NaN where unknown.
        shares: (2, rows, columns), share of trees and of buildings from a land-cover map; None without one.
    """

    surface_m: np.ndarray
    above_m: np.ndarray
    shares: np.ndarray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SurfaceSite:
    """One training site.

    Attributes:
        name: Name of the site.
        pixel_size_m: Pixel size, metres.
        ground_m: Bare earth, float32, NaN is void.
        surface_m: Measured DSM on the same grid; None if canopy and buildings are simulated.
        weight: Relative sampling weight.
        shares: (2, rows, columns), trees and buildings from a land-cover map, or None.
        pool: Scenes for bare terrain at coarse pixels; if None, canopy and buildings are simulated for each square.
    """

    name: str
    pixel_size_m: float
    ground_m: np.ndarray
    surface_m: np.ndarray | None = None
    weight: float = 1.0
    pool: CoverPool | None = None
    shares: np.ndarray | None = None
    _valid: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.surface_m is not None and self.surface_m.shape != self.ground_m.shape:
            raise NoOverlap(
                f"{self.name}: shapes of `surface` {self.surface_m.shape} and `ground` {self.ground_m.shape} differ"
            )
        valid = np.isfinite(self.ground_m)
        if self.surface_m is not None:
            valid &= np.isfinite(self.surface_m)
        if not valid.any():
            raise NoTrainingPixels(f"{self.name}: no pixel has a height in both `surface` and `ground`")
        object.__setattr__(self, "_valid", valid)

    @property
    def measured(self) -> bool:
        """True if the DSM was measured."""
        return self.surface_m is not None

    def draw(self, size_px: int, rng: np.random.Generator) -> Square:
        """Draw a random square.

        Squares with many voids are drawn again; squares are mirrored and rotated at random.
        """
        if self.pool is not None and self.surface_m is None:
            return self._covered(self.pool, size_px, rng)
        rows, cols = self.ground_m.shape
        part = self._part((min(size_px, rows), min(size_px, cols)), rng)
        valid = self._valid[part]
        height, width = valid.shape
        ground = np.where(
            valid, self.ground_m[part], np.float32(np.mean(self.ground_m[part][valid]) if valid.any() else 0)
        )
        if self.surface_m is not None:
            surface = np.where(valid, self.surface_m[part], ground)
            above = np.maximum(surface - ground, 0.0)
        else:
            surface, above = above_ground(ground, self.pixel_size_m, Scenery.drawn(rng), rng)
        above = np.where(valid, above, np.nan)
        pad = ((0, size_px - height), (0, size_px - width))
        surface, above = np.pad(surface, pad, mode="edge"), np.pad(above, pad, constant_values=np.nan)
        turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
        surface, above = np.rot90(surface, turns), np.rot90(above, turns)
        if mirrored:
            surface, above = surface[:, ::-1], above[:, ::-1]
        return Square(np.ascontiguousarray(surface, np.float32), np.ascontiguousarray(above, np.float32))

    def _covered(self, pool: CoverPool, size_px: int, rng: np.random.Generator) -> Square:
        """Bare terrain, rotated, mirrored and lowered, with a scene on it; small sites are extended by reflection."""
        rows, cols = self.ground_m.shape
        part = self._part((min(size_px, rows), min(size_px, cols)), rng)
        ground, valid = self.ground_m[part], self._valid[part]
        nearest = ndimage.distance_transform_edt(~valid, return_distances=False, return_indices=True)
        ground = ground[tuple(nearest)]
        pad = [(0, size_px - n) for n in ground.shape]
        ground, valid = (np.pad(plane, pad, mode="symmetric") for plane in (ground, valid))
        turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
        ground, valid = np.rot90(ground, turns), np.rot90(valid, turns)
        if mirrored:
            ground, valid = ground[:, ::-1], valid[:, ::-1]
        # Lowered mountains resemble hills, where most people live.
        low = float(ground.min())
        ground = low + (ground - low) * np.float32(np.exp(rng.uniform(np.log(0.08), np.log(1.1))))
        surface, above, shares = pool.draw(ground, rng)
        return Square(surface, np.where(valid, above, np.float32(np.nan)), shares)

    def _part(self, shape: tuple[int, int], rng: np.random.Generator) -> tuple[slice, slice]:
        rows, cols = self.ground_m.shape
        for _ in range(20):
            row, col = rng.integers(rows - shape[0] + 1), rng.integers(cols - shape[1] + 1)
            part = (slice(row, row + shape[0]), slice(col, col + shape[1]))
            if self._valid[part].mean() > 0.9:
                break
        return part


def load_sites(path: Path, pixel_size_m: float, seed: int = 0) -> list[SurfaceSite]:
    """Read a YAML list of sites at one pixel size; `seed` is the seed of the scenes for bare terrain.

    Each entry has `name`, `ground` (bare earth) and, for measured sites, `surface` (DSM), `above` (heights above
    terrain, the largest counts), or `canopy` and `buildings` (heights above terrain; at coarse pixels they also give a
    simulated land-cover map). Optional are `part` (all, north, south, west, east, or four fractions from top, to
    bottom, from left, to right), `weight` and `map_unit_m`, the length in metres of the CRS's unit if it is not 1.
    From pixels of 10 m on, cover on bare terrain is drawn at 5 m and averaged; `textures`
    then lists measured places to take it from (`name`, `canopy` and `buildings`, or `surface` and `ground`; `part`).
    Paths are taken from the file's folder.

    Raises:
        ConfigError: the file is not such a list.
        SourceMissing, SourceCorrupt, BandMismatch, NoOverlap, NoTrainingPixels: a raster is not usable.
    """
    pool = None
    if pixel_size_m >= 2 * FINE_M:
        pool = CoverPool(
            pixel_size_m, tuple(_texture(entry, path.parent) for entry in read_list(path, "textures")), seed=seed
        )
    return [site_of(entry, path.parent, pixel_size_m, pool) for entry in read_list(path)]


def read_list(path: Path, key: str = "sites") -> list[dict[str, Any]]:
    """Entries of a YAML file under a key; only `sites` is required.

    Raises:
        ConfigError: the file is not such a list.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        entries = document[key] if key == "sites" else document.get(key, [])
        return [dict(entry) for entry in entries]
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{path} is not a list of sites: {error!r}", remedy="give `sites:` with name and ground"
        ) from error


def site_of(entry: dict[str, Any], folder: Path, pixel_size_m: float, pool: CoverPool | None = None) -> SurfaceSite:
    """One site of a list; see `load_sites`."""
    try:
        name, ground_path = str(entry["name"]), folder / entry["ground"]
    except (KeyError, TypeError) as error:
        raise ConfigError(f"site {entry!r} has no `name` or no `ground`") from error
    both = [entry[kind] for kind in ("canopy", "buildings") if kind in entry]
    above = entry.get("above", both)
    main = folder / (entry["surface"] if "surface" in entry else above[0] if above else entry["ground"])
    grid = _cut(grid_at(main, pixel_size_m / float(entry.get("map_unit_m", 1.0))), entry)
    ground = read_on(ground_path, grid)
    surface, shares = None, None
    if "surface" in entry:
        surface = read_on(folder / entry["surface"], grid)
    elif above:
        factor = 1 if pool is None else round(pixel_size_m / FINE_M)
        fine = GeoBox(
            (grid.shape[0] * factor, grid.shape[1] * factor), grid.affine * Affine.scale(1 / factor), grid.crs
        )
        planes = [read_on(folder / part, fine) for part in above]
        # The higher object hides the lower; a coarse pixel is the mean of the visible ones.
        surface = ground + averaged(np.max(planes, axis=0), factor)
        if pool is not None and len(both) == 2:
            known = [np.nan_to_num(plane) for plane in planes[-2:]]
            shares = mapped_shares(known[0], known[1], factor, np.random.default_rng(0))
    return SurfaceSite(name, pixel_size_m, ground, surface, float(entry.get("weight", 1.0)), pool, shares)


def _texture(entry: dict[str, Any], folder: Path) -> Texture:
    try:
        name = str(entry["name"])
        main = folder / entry["canopy" if "canopy" in entry else "surface"]
        grid = _cut(grid_at(main, FINE_M), entry)
        if "canopy" in entry:
            canopy, buildings = (read_on(folder / entry[kind], grid) for kind in ("canopy", "buildings"))
        else:
            # Without classes all cover counts as trees, which is mostly correct for suburbs with gardens.
            canopy = np.maximum(read_on(main, grid) - read_on(folder / entry["ground"], grid), 0.0)
            buildings = np.zeros_like(canopy)
    except (KeyError, TypeError) as error:
        raise ConfigError(
            f"texture {entry!r} needs a name, and `canopy` and `buildings`, or `surface` and `ground`"
        ) from error
    return Texture(name, np.nan_to_num(canopy), np.nan_to_num(buildings))


def _cut(grid: GeoBox, entry: dict[str, Any]) -> GeoBox:
    """The requested part of a grid."""
    part = entry.get("part", "all")
    try:
        top, bottom, left, right = _PARTS[part] if isinstance(part, str) else map(float, part)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"site {entry!r} has an unknown part") from error
    rows, cols = grid.shape
    return grid[int(top * rows) : int(bottom * rows), int(left * cols) : int(right * cols)]


def choose(sites: Sequence[SurfaceSite], rng: np.random.Generator) -> SurfaceSite:
    """Draw one of the sites in proportion to the weights."""
    weights = np.array([site.weight for site in sites])
    return sites[int(rng.choice(len(sites), p=weights / weights.sum()))]
