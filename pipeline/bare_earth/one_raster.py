"""Bare earth of one raster, with the map and the terrain model that the user names: command and Python API."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from rasterio.warp import Resampling, reproject

from orograph.pipeline.bare_earth.filters import EDGES, EDGES_SIZES_M, FUSION
from orograph.pipeline.bare_earth.reader import AUTO
from orograph.pipeline.bare_earth.remove import BareEarth, bare_earth, pixel_sizes_m
from orograph.pipeline.bare_earth.terrain_fusion import TerrainModel
from orograph.pipeline.core.bundled_weights import bundled_index
from orograph.pipeline.core.precision import DEFAULT_PRECISION, Precision
from orograph.pipeline.core.raster import FloatArray, Raster
from orograph.pipeline.coregistration.prepare import UNDECLARED
from orograph.pipeline.errors import ConfigError, NoOverlap, VerticalError
from orograph.pipeline.sources.land_cover import LandCover
from orograph.pipeline.sources.sensor import read_sensor
from orograph.pipeline.vertical import VerticalCatalogue, delta_surface

TERRAIN_ACCURACY_M: Final = 7.8
"""Standard deviation of GEDTM30 by its authors' control points, metres."""
_SAME_LEVEL_M: Final = 30.0
"""A median difference beyond this is one of vertical frames or units, not canopy."""


@dataclass(frozen=True, slots=True)
class Sight:
    """The DSM's sensor as bare earth sees it.

    Attributes:
        canopy_share: Share of the canopy's height that it measures.
        footprint_m: Standard deviation of its footprint, metres.
        noise_m: Standard deviation of its noise, metres.
    """

    canopy_share: float = 1.0
    footprint_m: float = 0.0
    noise_m: float = 0.0

    @classmethod
    def of(
        cls,
        sensor: str | None = None,
        canopy_share: float | None = None,
        footprint_m: float | None = None,
        noise_m: float | None = None,
    ) -> Sight:
        """Values of a sensor model by name or file, replaced by those that are given.

        Raises:
            ConfigError: no such sensor model, or a value that is not possible.
        """
        sight = cls()
        if sensor is not None:
            model = read_sensor(sensor)
            share = 1.0 if model.canopy_share is None else model.canopy_share
            sight = cls(share, sum(model.sigmas_m) / 2.0, model.typical_variance**0.5)
        given = {"canopy_share": canopy_share, "footprint_m": footprint_m, "noise_m": noise_m}
        sight = replace(sight, **{name: value for name, value in given.items() if value is not None})
        if not 0.0 <= sight.canopy_share <= 1.0 or sight.footprint_m < 0.0 or sight.noise_m < 0.0:
            raise ConfigError(f"canopy share is 0 to 1, footprint and noise are at least 0 m, given are {sight}")
        return sight


def bare_earth_of(
    raster: Raster,
    pixel_size_m: tuple[float, float],
    *,
    model: str = AUTO,
    probability: float | None = None,
    land_cover: Path | None = None,
    terrain: Raster | None = None,
    terrain_accuracy_m: float = TERRAIN_ACCURACY_M,
    sight: Sight | None = None,
    grids_dir: Path,
    device: str = "cpu",
    precision: Precision = DEFAULT_PRECISION,
) -> tuple[BareEarth, str]:
    """Remove canopy and buildings from a DSM; return the result and the model's name.

    Args:
        raster: The DSM.
        pixel_size_m: Size of its pixels along columns and along rows, metres.
        model: Name of a model or filter, path of weights, or `auto`: at 15 to 60 m `fusion` with a terrain model, else
            `edges` with a map; otherwise the bundled network for these pixels.
        probability: Threshold of networks.
        land_cover: Map with the classes of ESA WorldCover.
        terrain: Bare-earth terrain model on any grid.
        terrain_accuracy_m: Standard deviation of its heights under canopy, metres.
        sight: The DSM's sensor.
        grids_dir: Folder of geoid grids, for a terrain model in another vertical frame.
        device: Torch device of networks.
        precision: Of networks.

    Raises:
        ConfigError: no such model, none for this pixel size, or a terrain model without `fusion`.
        VerticalError: the terrain model's vertical frame is another one, and only one is declared or none leads there.
        NoOverlap: the terrain model has no heights on the DSM.
    """
    chosen = (
        model if model != AUTO else _model_for(pixel_size_m, mapped=land_cover is not None, fused=terrain is not None)
    )
    if (chosen == FUSION) != (terrain is not None):
        needs = "needs a terrain model" if chosen == FUSION else "uses no terrain model"
        raise ConfigError(f"{chosen} {needs}", remedy="give a terrain model and model fusion, or neither")
    grid, sight = raster.geobox, sight or Sight()
    shares = None
    if land_cover is not None:
        shares = LandCover.of(land_cover).shares(grid.affine, str(grid.crs), raster.heights_m.shape)
    below = None if terrain is None else _on_grid(terrain, raster, terrain_accuracy_m, grids_dir)
    result = bare_earth(
        raster.heights_m, pixel_size_m, chosen, probability=probability, shares=shares,
        canopy_share=sight.canopy_share, footprint_m=sight.footprint_m, terrain=below, noise_m=sight.noise_m,
        device=device, precision=precision,
    )  # fmt: skip
    return result, chosen


def _on_grid(terrain: Raster, raster: Raster, accuracy_m: float, grids_dir: Path) -> TerrainModel:
    """A terrain model on the DSM's pixels and in its vertical frame."""
    if not accuracy_m > 0.0:
        raise ConfigError(f"the terrain model's accuracy must be positive, given is {accuracy_m} m")
    moved, sigma = _in_frame(terrain, raster.frame, grids_dir)
    heights: FloatArray = np.full(raster.heights_m.shape, np.nan, np.float32)
    reproject(
        moved, heights, src_transform=terrain.geobox.affine, src_crs=str(terrain.geobox.crs), src_nodata=np.nan,
        dst_transform=raster.geobox.affine, dst_crs=str(raster.geobox.crs), dst_nodata=np.nan,
        resampling=Resampling.bilinear, num_threads=1,
    )  # fmt: skip
    apart = (raster.heights_m - heights)[np.isfinite(raster.heights_m) & np.isfinite(heights)]
    if not apart.size:
        raise NoOverlap("the terrain model has no heights on the DSM", remedy="give one of the same place")
    if abs(float(np.median(apart))) > _SAME_LEVEL_M:
        raise VerticalError(
            f"the DSM is {float(np.median(apart)):.0f} m above the terrain model in the median",
            remedy="declare unit and vertical frame of both; `orograph inspect` lists them",
        )
    return TerrainModel(heights, np.full(heights.shape, np.hypot(accuracy_m, sigma), np.float32))


def _in_frame(terrain: Raster, frame: str, grids_dir: Path) -> tuple[FloatArray, float]:
    """Heights of a terrain model in a frame, and the operation's accuracy; undeclared frames are taken as equal."""
    if UNDECLARED in (terrain.frame, frame) or terrain.frame == frame:
        return terrain.heights_m, 0.0
    operation = VerticalCatalogue.load().operation(terrain.frame, frame, grids_dir=grids_dir)
    moved = terrain.heights_m.copy()
    delta_surface(operation, terrain.geobox).add_to(moved, terrain.geobox)
    return moved, operation.accuracy_m


def _model_for(pixel_size_m: tuple[float, float], *, mapped: bool, fused: bool) -> str:
    size_m = max(pixel_size_m)
    if (mapped or fused) and EDGES_SIZES_M[0] <= size_m <= EDGES_SIZES_M[1]:
        return FUSION if fused else EDGES
    ranges = {name: pixel_sizes_m(name) for name in bundled_index("bare-earth")}
    for name, (smallest, largest) in ranges.items():
        if smallest <= size_m <= largest:
            return name
    known = ", ".join(f"{name} ({low:g} to {high:g} m)" for name, (low, high) in ranges.items())
    raise ConfigError(
        f"no bundled bare-earth model for pixels of {size_m:.1f} m",
        remedy=f"bundled: {known}; resample, or use opening",
    )
