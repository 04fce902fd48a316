"""Training ground for the bare-earth network: pairs of surface and ground, measured or simulated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import rasterio
import yaml
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.warp import reproject

from pipeline.errors import BandMismatch, ConfigError, NoOverlap, NoTrainingPixels, SourceCorrupt, SourceMissing
from pipeline.models.ordinal.simulate import Scenery, above_ground

_SCENERIES: Final = 6
_PARTS: Final = {
    "all": (0.0, 1.0, 0.0, 1.0),
    "north": (0.0, 0.5, 0.0, 1.0),
    "south": (0.5, 1.0, 0.0, 1.0),
    "west": (0.0, 1.0, 0.0, 0.5),
    "east": (0.0, 1.0, 0.5, 1.0),
}


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """One place.

    Attributes:
        name: Of the place.
        pixel_size_m: Ground size of a pixel, metres.
        ground_m: Bare earth, float32, NaN is void.
        surface_m: Measured surface on the same grid; None where canopy and buildings are simulated.
        weight: How often it is drawn, relative to the others.
        detail: Canopy and buildings are simulated on pixels this many times finer, and averaged.
    """

    name: str
    pixel_size_m: float
    ground_m: np.ndarray
    surface_m: np.ndarray | None = None
    weight: float = 1.0
    detail: int = 1
    _valid: np.ndarray = field(init=False, repr=False)
    _bank: list[tuple[np.ndarray, np.ndarray]] = field(init=False, repr=False, default_factory=list)

    def __post_init__(self) -> None:
        if self.surface_m is not None and self.surface_m.shape != self.ground_m.shape:
            raise NoOverlap(f"{self.name}: surface {self.surface_m.shape} and ground {self.ground_m.shape} differ")
        valid = np.isfinite(self.ground_m)
        if self.surface_m is not None:
            valid &= np.isfinite(self.surface_m)
        if not valid.any():
            raise NoTrainingPixels(f"{self.name}: no pixel has both a surface and a ground height")
        object.__setattr__(self, "_valid", valid)

    @property
    def measured(self) -> bool:
        """True where the surface was measured."""
        return self.surface_m is not None

    def draw(self, size_px: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """A random square: surface without voids, and heights above ground with NaN where unknown.

        Squares with many voids are drawn again; mirrored and turned at random.
        """
        rows, cols = self.ground_m.shape
        height, width = min(size_px, rows), min(size_px, cols)
        for _ in range(20):
            row, col = rng.integers(rows - height + 1), rng.integers(cols - width + 1)
            part = (slice(row, row + height), slice(col, col + width))
            if self._valid[part].mean() > 0.9:
                break
        valid = self._valid[part]
        ground = np.where(
            valid, self.ground_m[part], np.float32(np.mean(self.ground_m[part][valid]) if valid.any() else 0)
        )
        if self.surface_m is not None:
            surface = np.where(valid, self.surface_m[part], ground)
            above = np.maximum(surface - ground, 0.0)
        elif self.detail == 1:
            surface, above = above_ground(ground, self.pixel_size_m, Scenery.drawn(rng), rng)
        else:
            added, whole = self._scenes(rng)
            surface, above = ground + added[part], whole[part]
        above = np.where(valid, above, np.nan)
        pad = ((0, size_px - height), (0, size_px - width))
        surface, above = np.pad(surface, pad, mode="edge"), np.pad(above, pad, constant_values=np.nan)
        turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
        surface, above = np.rot90(surface, turns), np.rot90(above, turns)
        if mirrored:
            surface, above = surface[:, ::-1], above[:, ::-1]
        return np.ascontiguousarray(surface, np.float32), np.ascontiguousarray(above, np.float32)

    def _scenes(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """What is added to the whole ground, and the height of it; six sceneries are drawn and used again."""
        if len(self._bank) < _SCENERIES:
            mean = np.float32(np.mean(self.ground_m[self._valid]))
            ground = np.where(self._valid, self.ground_m, mean)
            fine = np.repeat(np.repeat(ground, self.detail, axis=0), self.detail, axis=1)
            surface, above = above_ground(fine, self.pixel_size_m / self.detail, Scenery.drawn(rng), rng)
            self._bank.append((_averaged(surface, self.detail) - ground, _averaged(above, self.detail)))
            return self._bank[-1]
        return self._bank[int(rng.integers(_SCENERIES))]


def _averaged(fine: np.ndarray, factor: int) -> np.ndarray:
    rows, cols = (size // factor for size in fine.shape)
    return fine.reshape(rows, factor, cols, factor).mean(axis=(1, 3)).astype(np.float32)


def load_sites(path: Path, pixel_size_m: float) -> list[Site]:
    """Read a YAML list of sites at one pixel size.

    Each entry has `name`, `ground` (bare earth) and, for measured surfaces, `surface` or `above` (heights above
    ground, the largest counts); optionally `part` (all, north, south, west, east), `weight` and `detail`. Paths are
    taken from the file's folder.

    Raises:
        ConfigError: the file is no such list.
        SourceMissing, SourceCorrupt, BandMismatch, NoOverlap, NoTrainingPixels: a raster is not usable.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        entries = document["sites"]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path} is no list of sites: {error!r}", remedy="give `sites:` with name and ground"
        ) from error
    return [_site(entry, path.parent, pixel_size_m) for entry in entries]


def _site(entry: dict[str, Any], folder: Path, pixel_size_m: float) -> Site:
    try:
        name, ground_path = str(entry["name"]), folder / entry["ground"]
        top, bottom, left, right = _PARTS[entry.get("part", "all")]
    except (KeyError, TypeError) as error:
        raise ConfigError(f"site {entry!r} lacks name or ground, or has an unknown part") from error
    main = folder / (
        entry["surface"] if "surface" in entry else entry["above"][0] if "above" in entry else entry["ground"]
    )
    grid = grid_at(main, pixel_size_m)
    rows, cols = grid.shape
    grid = grid[int(top * rows) : int(bottom * rows), int(left * cols) : int(right * cols)]
    ground = read_on(ground_path, grid)
    surface = None
    if "surface" in entry:
        surface = read_on(folder / entry["surface"], grid)
    elif "above" in entry:
        surface = ground + np.max([read_on(folder / part, grid) for part in entry["above"]], axis=0)
    return Site(name, pixel_size_m, ground, surface, float(entry.get("weight", 1.0)), int(entry.get("detail", 1)))


def grid_at(path: Path, pixel_size_m: float) -> GeoBox:
    """A raster's own extent at another pixel size (metres; the CRS must be projected in metres)."""
    with _opened(path) as dataset:
        if dataset.crs is None or not dataset.crs.is_projected:
            raise ConfigError(f"{path.name} has no projected CRS", remedy="warp it to one in metres")
        return GeoBox.from_bbox(tuple(dataset.bounds), str(dataset.crs), resolution=pixel_size_m, tight=True)


def read_on(path: Path, grid: GeoBox) -> np.ndarray:
    """One band on another grid, float32 with NaN for void: mean when it becomes coarser, bilinear when finer.

    Raises:
        SourceMissing: there is no such file.
        SourceCorrupt: it is no raster.
        BandMismatch: it has more bands than one.
        NoOverlap: it shares no ground with the grid.
    """
    target = np.full(grid.shape, np.nan, dtype=np.float32)
    with _opened(path) as dataset:
        if dataset.count != 1:
            raise BandMismatch(f"{path.name} has {dataset.count} bands, heights have one")
        coarser = abs(grid.resolution.x) > 1.2 * dataset.res[0]
        reproject(
            rasterio.band(dataset, 1),
            target,
            dst_transform=grid.affine,
            dst_crs=str(grid.crs),
            dst_nodata=np.nan,
            resampling=Resampling.average if coarser else Resampling.bilinear,
        )
    if not np.isfinite(target).any():
        raise NoOverlap(f"{path.name} shares no ground with the other raster", remedy="check both extents and CRSs")
    return target


def _opened(path: Path) -> Any:
    if not path.exists():
        raise SourceMissing(f"no raster {path}")
    try:
        return rasterio.open(path)
    except RasterioError as error:
        raise SourceCorrupt(f"{path.name} cannot be read as a raster: {error}") from error


def choose(sites: Sequence[Site], rng: np.random.Generator) -> Site:
    """One of the sites, in proportion to their weights."""
    weights = np.array([site.weight for site in sites])
    return sites[int(rng.choice(len(sites), p=weights / weights.sum()))]
