"""Read the DTM below a DSM source, window by window like a DTM source.

A bare-earth model works at the pixel sizes it was trained at. A fine DSM is therefore reduced to bare earth at such a
pixel size first and averaged to the requested lattice afterwards: the mean of a roof and a street is neither.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from orograph.pipeline.bare_earth.filters import EDGES, EDGES_SIZES_M, FUSION
from orograph.pipeline.bare_earth.remove import bare_earth, halo_px, pixel_sizes_m, takes_land_cover, weights_sha256
from orograph.pipeline.bare_earth.square_pixels import halo_px as oblong_halo_px
from orograph.pipeline.bare_earth.terrain_fusion import TerrainModel
from orograph.pipeline.bare_earth.terrain_reader import TerrainReader
from orograph.pipeline.core.block_mean import block_mean
from orograph.pipeline.core.grid import PixelWindow
from orograph.pipeline.core.pixel_size import RowBand, row_bands
from orograph.pipeline.core.precision import DEFAULT_PRECISION, Precision
from orograph.pipeline.core.raster import FloatArray, HeightPatch
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.core.weights_uri import Read
from orograph.pipeline.sources.catalogue import Source
from orograph.pipeline.sources.land_cover import LandCover
from orograph.pipeline.sources.reader import SourceGrid, SourceReader

AUTO: Final = "auto"
FINE_MODEL: Final = "bare-earth-2m"
"""Network that `auto` selects for fine DSMs."""


def model_for(source: Source, setting: str, pixel_size_m: float, *, fused: bool = False) -> str | None:
    """Return the bare-earth model of a source; None for DTMs and if bare earth is off.

    `auto` selects the models that were shown to improve heights: the network at 2 m, for pixels of its size or a whole
        fraction of it up to the
    size of the target pixel, and for coarse DSMs `fusion` with a terrain model (`fused`), else `edges` with a
    land-cover map. `fusion` without its terrain model is `edges`. The network at 30 m follows wrong maps
    and is used only if named. A DSM without a suitable model is used as is, and the manifest records it.
    """
    if source.surface is not Surface.DSM or setting == "none":
        return None
    if setting not in (AUTO, FUSION):
        return setting
    low, high = EDGES_SIZES_M
    if low <= source.resolution_m <= high or setting == FUSION:
        return FUSION if fused else EDGES if source.land_cover is not None else None
    if source.resolution_m > high:
        return None
    # Imports torch: a second and 240 MB that a tile without bare earth must not pay.
    most = max(1, int(pixel_size_m / source.resolution_m))
    return FINE_MODEL if (averaged_px(FINE_MODEL, source.resolution_m) or most + 1) <= most else None


def bare_earth_choice(source: Source, pixel_size_m: float, *, fused: bool = False) -> str:
    """Describe the choice of `auto` for a DSM, with the reason."""
    name = model_for(source, AUTO, pixel_size_m, fused=fused)
    low, high = EDGES_SIZES_M
    if name == FUSION:
        mapped = "with" if source.land_cover is not None else "without"
        return (
            f"{FUSION}, its pixels are coarse and {source.terrain} is the terrain below it, {mapped} a land-cover map"
        )
    if name == EDGES:
        return f"{EDGES}, its pixels are coarse and it has a land-cover map"
    if name is not None:
        return f"{name}, trained at its pixels"
    if low <= source.resolution_m <= high:
        return "kept, without a land-cover map or a terrain model nothing was shown to help at its pixels"
    return f"kept, no bundled bare-earth model fits pixels of {source.resolution_m:g} m in tiles of {pixel_size_m:g} m"


def canopy_share_of(source: Source) -> float:
    """Share of the canopy's height in a DSM's heights; 1 unless its sensor model states less."""
    share = None if source.sensor is None else source.sensor.canopy_share
    return 1.0 if share is None else share


def footprint_of(source: Source) -> float:
    """Standard deviation of a DSM's footprint, metres; zero unless its sensor model gives one."""
    return 0.0 if source.sensor is None else sum(source.sensor.sigmas_m) / 2.0


def noise_of(source: Source) -> float:
    """Standard deviation of a DSM's noise on hills, metres, by its sensor model or as declared."""
    return source.noise_m if source.sensor is None else math.sqrt(source.sensor.typical_variance)


def averaged_px(model: str, resolution_m: float, fetch: Read | None = None) -> int | None:
    """Smallest number of source pixels per axis whose mean has a pixel size the model works at; None without one."""
    low, high = pixel_sizes_m(model, fetch)
    fewest = max(1, math.ceil(low / resolution_m))
    return fewest if fewest * resolution_m <= high else None


@dataclass(frozen=True, slots=True)
class GroundReader:
    """Reads a DTM from a DSM source.

    Attributes:
        reader: Reader of the source.
        model: Name of the bare-earth model.
        land_cover: Land-cover map for the model, if the source has one and the model uses one.
        terrain: Reads the terrain model for `fusion`.
        device: Torch device the model runs on.
        precision: Of its convolutions.
        fetch: Reads weights that are named by their content.
    """

    reader: SourceReader
    model: str
    land_cover: LandCover | None = None
    terrain: TerrainReader | None = None
    device: str = "cpu"
    precision: Precision = DEFAULT_PRECISION
    fetch: Read | None = None

    @property
    def weights_sha256(self) -> str | None:
        """Digest of the model's weights; None for filters."""
        return weights_sha256(self.model, self.fetch)

    @property
    def map_sha256(self) -> str | None:
        """Digest of the land-cover map that the model uses, if any."""
        return self.land_cover.sha256 if self.land_cover and takes_land_cover(self.model, self.fetch) else None

    def read(self, lattice: SourceGrid, window: PixelWindow) -> HeightPatch:
        """Return the DTM in a lattice window."""
        size_m = self.reader.source.resolution_m * lattice.factor
        bands = row_bands(lattice.scaled_affine, self.reader.source.horizontal_crs, size_m, window.row, window.height)
        return stacked([self._band(lattice, window, band) for band in bands])

    def _band(self, lattice: SourceGrid, window: PixelWindow, band: RowBand) -> HeightPatch:
        """The rows of a window whose pixels have one shape."""
        worked = replace(lattice, factor=self._factor(lattice.factor))
        ratio = lattice.factor // worked.factor
        size_m = (band.pixel_size_m[0] / ratio, band.pixel_size_m[1] / ratio)
        above, aside = oblong_halo_px(halo_px(self.model, self.fetch), size_m)
        row, col = band.row * ratio - above, window.col * ratio - aside
        rows, cols = band.height * ratio + 2 * above, window.width * ratio + 2 * aside
        surface = self.reader.read(worked, row, col, rows, cols)
        inner = slice(above, rows - above), slice(aside, cols - aside)
        if np.isnan(surface[inner]).all():
            return HeightPatch(_reduced(surface[inner], ratio))
        ground = bare_earth(
            surface,
            size_m,
            self.model,
            origin_px=(row, col),
            shares=self._shares(worked, row, col, rows, cols),
            canopy_share=canopy_share_of(self.reader.source),
            footprint_m=footprint_of(self.reader.source),
            terrain=self._terrain(worked, row, col, (rows, cols)),
            noise_m=noise_of(self.reader.source),
            device=self.device,
            precision=self.precision,
            fetch=self.fetch,
        )
        # Keep voids NaN: zeros would dilute the neighbours' uncertainty and share when averaged.
        void = np.isnan(ground.heights_m)
        sigma_m, lowered = (np.where(void, np.float32(np.nan), plane) for plane in (ground.sigma_m, ground.mask))
        planes = (ground.heights_m, sigma_m, lowered)
        return HeightPatch(*(_reduced(plane[inner], ratio) for plane in planes))

    @property
    def multiple(self) -> int:
        """Return the number that a lattice's factor must be a multiple of for the model to work below it."""
        return averaged_px(self.model, self.reader.source.resolution_m, self.fetch) or 1

    def _factor(self, factor: int) -> int:
        """Largest divisor of the lattice's factor with a pixel size the model works at; else the factor itself."""
        low, high = pixel_sizes_m(self.model, self.fetch)
        fits = [
            k for k in range(1, factor + 1) if factor % k == 0 and low <= self.reader.source.resolution_m * k <= high
        ]
        return max(fits, default=factor)

    def _terrain(self, lattice: SourceGrid, row: int, col: int, shape: tuple[int, int]) -> TerrainModel | None:
        if self.terrain is None:
            return None
        return self.terrain.read(lattice, self.reader.source.resolution_m * lattice.factor, row, col, shape)

    def _shares(self, lattice: SourceGrid, row: int, col: int, rows: int, cols: int) -> FloatArray | None:
        if self.land_cover is None or not takes_land_cover(self.model, self.fetch):
            return None
        affine = lattice.scaled_affine * lattice.affine.translation(col, row)
        return self.land_cover.shares(affine, self.reader.source.horizontal_crs, (rows, cols))


def _reduced(plane: FloatArray, ratio: int) -> FloatArray:
    whole = np.ascontiguousarray(plane)
    return whole if ratio == 1 else block_mean(whole, ratio)


def stacked(windows: list[HeightPatch]) -> HeightPatch:
    """Stack windows vertically; a plane missing from some of them is zero there."""
    if len(windows) == 1:
        return windows[0]

    def joined(planes: list[FloatArray | None]) -> FloatArray | None:
        if all(plane is None for plane in planes):
            return None
        nothing = [np.zeros_like(window.heights_m) for window in windows]
        return np.concatenate([zero if plane is None else plane for plane, zero in zip(planes, nothing, strict=True)])

    return HeightPatch(
        np.concatenate([window.heights_m for window in windows]),
        joined([window.sigma_m for window in windows]),
        joined([window.lowered for window in windows]),
    )
