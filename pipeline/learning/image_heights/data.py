"""Images and heights for training and evaluation: any pair of rasters, and the ISPRS benchmark's layouts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import numpy as np
from odc.geo.geobox import GeoBox

from orograph.pipeline.errors import (
    BandMismatch,
    ConfigError,
    HeightsNotFinite,
    NoOverlap,
    NoTrainingPixels,
    SourceMissing,
)
from orograph.pipeline.learning.bare_earth.rasters import opened, read_on
from orograph.pipeline.sources.single_raster import opened_heights


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """An image and its heights on one grid.

    Attributes:
        name: Name of the scene.
        image: float32, (bands, rows, columns), 0 to 1 for 8-bit images.
        heights_m: float32, (rows, columns); NaN is unknown.
    """

    name: str
    image: np.ndarray
    heights_m: np.ndarray

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[1:] != self.heights_m.shape:
            raise NoOverlap(f"{self.name}: image {self.image.shape} and heights {self.heights_m.shape} differ")
        if np.isinf(self.heights_m).any() or not np.isfinite(self.image).all():
            raise HeightsNotFinite(f"{self.name}: infinite heights or image values", remedy="mark them as nodata")
        if not np.isfinite(self.heights_m).any():
            raise NoTrainingPixels(f"{self.name}: no pixel has a height")

    def crop(self, size_px: int, rng: np.random.Generator, relative: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """A random square; heights count from its own lowest point, as the paper's do, when `relative`.

        Squares without a height are drawn again, twenty times at most.
        """
        rows, cols = self.heights_m.shape
        if min(rows, cols) < size_px:
            raise ConfigError(f"{self.name} of {rows} x {cols} px is smaller than a crop of {size_px}")
        for _ in range(20):
            row, col = rng.integers(rows - size_px + 1), rng.integers(cols - size_px + 1)
            part = (slice(row, row + size_px), slice(col, col + size_px))
            if np.isfinite(self.heights_m[part]).any():
                break
        heights = self.heights_m[part]
        return self.image[(slice(None), *part)], heights - np.nanmin(heights) if relative else heights


def image_scene(image: Path, heights: Path, bands: int | None = None) -> Scene:
    """A scene of two rasters on different grids; heights are warped to the image's.

    Raises:
        SourceMissing: a file is missing.
        SourceCorrupt: a file is not a raster.
        BandMismatch: the image has another number of bands than `bands`, or the heights more than one.
        NoOverlap: the two do not overlap.
    """
    with opened(image) as dataset:
        if bands is not None and dataset.count != bands:
            raise BandMismatch(
                f"{image.name} has {dataset.count} bands, not {bands}", remedy="choose bands with gdal_translate -b"
            )
        pixels = _scaled(dataset.read(), dataset.dtypes[0])
        grid = GeoBox(dataset.shape, dataset.transform, dataset.crs)
    return Scene(image.stem, pixels, read_on(heights, grid))


def read_image(path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    """All bands, float32 (0 to 1 for integers), and the profile of the raster.

    Raises:
        SourceMissing, SourceCorrupt: the raster is missing or unreadable.
    """
    with opened(path) as dataset:
        profile = {name: dataset.profile[name] for name in ("width", "height", "crs", "transform")}
        return _scaled(dataset.read(), dataset.dtypes[0]), profile


def surface_scene(surface: Path, ground: Path) -> Scene:
    """A scene whose image is derived from the DSM (relief and gradients), and whose heights are above terrain."""
    with opened_heights(surface) as raster:
        dsm = raster.read_all()
        grid = GeoBox(raster.shape, raster.transform, raster.crs)
    return Scene(surface.stem, surface_image(dsm), _heights_above(dsm, read_on(ground, grid)))


def surface_image(dsm_m: np.ndarray) -> np.ndarray:
    """A DSM as three bands that are invariant to a constant: gradients and relief; voids are flat."""
    known = np.isfinite(dsm_m)
    filled = np.where(known, dsm_m, np.nanmean(dsm_m)).astype(np.float32)
    from scipy import ndimage

    down, right = np.gradient(filled)
    relief = filled - ndimage.uniform_filter(filled, 31, mode="nearest")
    return np.arcsinh(np.stack([down, right, relief / 3.0])).astype(np.float32)


def _heights_above(dsm_m: np.ndarray, ground_m: np.ndarray) -> np.ndarray:
    return np.maximum(dsm_m - ground_m, 0.0).astype(np.float32)


def _scaled(pixels: np.ndarray, dtype: str) -> np.ndarray:
    limit = {"uint8": 255.0, "uint16": 65535.0}.get(dtype, 1.0)
    return (pixels / np.float32(limit)).astype(np.float32)


class Benchmark(StrEnum):
    """The ISPRS 2D semantic labelling sets."""

    VAIHINGEN = "vaihingen"
    POTSDAM = "potsdam"


_IMAGES: Final = {
    Benchmark.VAIHINGEN: (re.compile(r"top_mosaic_09cm_area(\d+)\.tif"), "dsm_09cm_matching_area{0}.tif"),
    Benchmark.POTSDAM: (re.compile(r"top_potsdam_(\d+_\d+)_(?:RGB|IRRG)\.tif"), "dsm_potsdam_{0}.tif"),
}
# The published semantic split; the paper drew 22 / 11 and 25 / 13 at random and did not publish which.
_TRAINING: Final = {
    Benchmark.VAIHINGEN: frozenset(
        ["1", "3", "5", "7", "11", "13", "15", "17", "21", "23", "26", "28", "30", "32", "34", "37"]
    ),
    Benchmark.POTSDAM: frozenset(
        [
            "2_10",
            "2_11",
            "2_12",
            "3_10",
            "3_11",
            "3_12",
            "4_10",
            "4_11",
            "4_12",
            "5_10",
            "5_11",
            "5_12",
            "6_7",
            "6_8",
            "6_9",
            "6_10",
            "6_11",
            "6_12",
            "7_7",
            "7_8",
            "7_9",
            "7_10",
            "7_11",
            "7_12",
        ]
    ),
}
_PAPER_TRAINING_TILES: Final = {Benchmark.VAIHINGEN: 22, Benchmark.POTSDAM: 25}


@dataclass(frozen=True, slots=True)
class IsprsTile:
    """One tile of a benchmark: its name, image and height file."""

    name: str
    image: Path
    heights: Path


def isprs_tiles(folder: Path, benchmark: Benchmark) -> list[IsprsTile]:
    """The tiles of an unpacked ISPRS set; image and DSM may lie in different subfolders.

    Raises:
        SourceMissing: there is no image of that set, or one without its DSM.
    """
    pattern, template = _IMAGES[benchmark]
    files = {path.name: path for path in sorted(folder.rglob("*.tif"))}
    tiles = []
    for name, path in files.items():
        match = pattern.fullmatch(name)
        if match is None:
            continue
        heights = next((files[w] for w in _spellings(template, match[1]) if w in files), None)
        if heights is None:
            raise SourceMissing(f"no DSM found for {name}", remedy="unpack the set's DSM archive into the folder")
        tiles.append(IsprsTile(match[1], path, heights))
    if not tiles:
        raise SourceMissing(f"no image of ISPRS {benchmark} below {folder}", remedy="unpack the set there")
    return tiles


def _spellings(template: str, tile: str) -> tuple[str, ...]:
    """The archives write 02_10 where image names have 2_10."""
    padded = "_".join(part.zfill(2) for part in tile.split("_"))
    return template.format(tile), template.format(padded)


def split_tiles(
    tiles: Sequence[IsprsTile], benchmark: Benchmark, seed: int | None = None
) -> tuple[list[IsprsTile], list[IsprsTile]]:
    """Training and test tiles: the published semantic split, or with a seed the paper's random 22 / 11 and 25 / 13."""
    if seed is not None:
        order = np.random.default_rng(seed).permutation(len(tiles))
        count = min(_PAPER_TRAINING_TILES[benchmark], len(tiles) - 1)
        return [tiles[k] for k in order[:count]], [tiles[k] for k in order[count:]]
    chosen = _TRAINING[benchmark]
    return [t for t in tiles if t.name in chosen], [t for t in tiles if t.name not in chosen]


def isprs_scene(tile: IsprsTile) -> Scene:
    """One tile as a scene; its heights are on the image's own pixels, whatever the files' georeference."""
    with opened(tile.image) as dataset:
        pixels = _scaled(dataset.read(), dataset.dtypes[0])
    with opened(tile.heights) as dataset:
        heights = dataset.read(1, masked=True, out_dtype="float32").filled(np.nan)
    if heights.shape != pixels.shape[1:]:
        rows, cols = (min(a, b) for a, b in zip(heights.shape, pixels.shape[1:], strict=True))
        if max(abs(heights.shape[0] - rows), abs(heights.shape[1] - cols)) > 8:
            raise NoOverlap(f"tile {tile.name}: image {pixels.shape[1:]} and DSM {heights.shape} differ")
        # One Potsdam DSM has one row and one column less than its image.
        pixels, heights = pixels[:, :rows, :cols], heights[:rows, :cols]
    return Scene(tile.name, pixels, heights)
