"""Sites and maps that judge bare earth at 30 m: bare terrain with wrong maps, simulated stands, and a town from lidar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import rasterio
from rasterio.warp import Resampling, reproject
from scipy.ndimage import gaussian_filter, gaussian_laplace

from orograph.pipeline.core.pixel_size import ground_pixel_size_m

GLO30 = {"canopy_share": 0.8, "footprint_m": 13.0}
SRTM = {"canopy_share": 0.55, "footprint_m": 33.0}
DEVELOPMENT = ("Norway", "Big Tujunga west")
HELD_OUT = ("Lisbon", "Armenia", "Denmark", "Big Tujunga east")
BORDER_PX = 596
"""Column between Big Tujunga's west, for development, and its east."""


@dataclass(frozen=True)
class Site:
    """A DSM without objects, and the sensor that it is taken to be seen by."""

    heights_m: np.ndarray
    pixel_size_m: tuple[float, float]
    sensor: dict[str, float]

    @classmethod
    def load(cls, shared, name):
        """Norway and Denmark are lidar averaged to 30 and 32 m, as if GLO-30; the others are real radar."""
        if name == "Norway":
            return cls(averaged(_read(shared("data/dtm/norway_10m.tif"))[0][:801, :801], 3), (30.0, 30.0), GLO30)
        if name == "Denmark":
            lidar = _read(shared("data/dtm/denmark_dhm_16m.tif"))[0][:188, :250]
            return cls(averaged(lidar, 2), (32.0, 32.0), GLO30)
        if name.startswith("Big Tujunga"):
            heights, _ = _read(shared("data/srtm/bigtujunga.tif"))
            heights[heights > 32000] = np.nan
            part = slice(BORDER_PX) if name.endswith("west") else slice(BORDER_PX, None)
            return cls(heights[:, part], (30.0, 30.0), SRTM)
        files = {
            "Armenia": "vertical/glo_30_left.tif",
            "Lisbon": "glo30/lisbon_north_pt_glo30_1arcsec_egm2008.tif",
        }
        heights, affine = _read(shared(f"data/{files[name]}"))
        return cls(heights, ground_pixel_size_m(affine, heights.shape[0], "EPSG:4326"), GLO30)


def _read(path):
    with rasterio.open(path) as dataset:
        heights = dataset.read(1, masked=True).astype(np.float64).filled(np.nan)
        return np.where(heights < -500.0, np.nan, heights), dataset.transform


def averaged(values, size):
    """Means over squares of `size` pixels."""
    rows, columns = (side // size for side in values.shape)
    return values[: rows * size, : columns * size].reshape(rows, size, columns, size).mean((1, 3))


def patches(shape, size_px, seed=0, share=0.25):
    """Map of random woods."""
    field = gaussian_filter(np.random.default_rng(seed).normal(0, 1, shape), size_px)
    return (field > np.quantile(field, 1.0 - share)).astype(np.float32)


def ridges(heights_m, size_px, share=0.35):
    """Map that draws the most convex terrain as woods."""
    filled = np.where(np.isfinite(heights_m), heights_m, np.nanmean(heights_m))
    convex = -gaussian_laplace(filled, size_px)
    return (convex > np.quantile(convex, 1.0 - share)).astype(np.float32)


def stands(woods, height_m, seed):
    """Canopy heights that vary by 35 % over 3 pixels and are lower by a quarter within two pixels of the edge."""
    vary = gaussian_filter(np.random.default_rng(seed).normal(0, 1, woods.shape), 3)
    inner = 0.75 + 0.25 * (gaussian_filter(woods, 2) > 0.9)
    return height_m * np.clip(1.0 + 0.35 * vary / vary.std(), 0.0, None) * woods * inner


@dataclass(frozen=True)
class Town:
    """Bilbao's lidar DSM averaged to 30 m, its shares of trees and buildings, and the terrain below, NaN outside."""

    heights_m: np.ndarray
    shares: np.ndarray
    terrain_m: np.ndarray
    above_m: np.ndarray

    @classmethod
    def load(cls, shared):
        with rasterio.open(shared("data/surface/bilbao_dem.tif")) as dataset:
            terrain, grid, crs = dataset.read(1, masked=True).astype(np.float64), dataset.transform, dataset.crs
        known = ~np.ma.getmaskarray(terrain) & (terrain.filled(-9999.0) > -9999.0)

        def above(name):
            with rasterio.open(shared(f"data/surface/{name}")) as dataset:
                heights, made = dataset.read(1).astype(np.float64), np.zeros(terrain.shape)
                heights = np.where((heights < 0) | (heights > 200), 0.0, heights)
                reproject(
                    heights,
                    made,
                    src_transform=dataset.transform,
                    src_crs=dataset.crs or crs,
                    dst_transform=grid,
                    dst_crs=crs,
                    resampling=Resampling.average,
                )
            return made

        roofs, canopy = above("bilbao_bdsm.tif"), above("bilbao_cdsm.tif")
        trees = (canopy > 2.0) & (canopy >= roofs)
        built = (roofs > 2.0) & (roofs > canopy)
        above_m = averaged(np.maximum(roofs, canopy), 6)
        terrain_m = averaged(np.where(known, terrain.filled(0.0), 0.0), 6)
        terrain_m = np.where(averaged(known.astype(float), 6) > 0.999, terrain_m, np.nan)
        shares = np.stack([averaged(part.astype(np.float64), 6) for part in (trees, built)]).astype(np.float32)
        return cls((terrain_m + above_m).astype(np.float32), shares, terrain_m, above_m)
