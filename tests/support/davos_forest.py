"""A real radar DSM over lidar under forest: SRTM 1" over Davos, with woods and open terrain mapped from an orthophoto."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import rasterio
from pyproj import Transformer
from scipy.ndimage import map_coordinates, uniform_filter

from orograph.pipeline.core.pixel_size import ground_pixel_size_m
from orograph.pipeline.sources.land_cover import LandCover
from tests.support.davos import SHIFT_M

CASE = "cases/science/05-bare-earth-real-forest"
WEST_OF = 9.82736
"""Longitude that parts the western half, for development, from the eastern, for judging."""
TREES, OPEN = 10, 30


@dataclass(frozen=True)
class DavosForest:
    """Truth and masks on the lidar's grid of 10 m, the radar's heights and its land cover on its own grid."""

    truth_m: np.ndarray
    radar_m: np.ndarray
    shares: np.ndarray
    pixel_size_m: tuple[float, float]
    places: tuple[np.ndarray, np.ndarray]
    forest: np.ndarray
    open_terrain: np.ndarray
    west: np.ndarray

    @classmethod
    def load(cls, shared):
        with rasterio.open(shared("data/dtm/davos_10m.tif")) as dataset:
            truth, grid = dataset.read(1, masked=True).astype(np.float64).filled(np.nan), dataset.transform
        with rasterio.open(shared(f"{CASE}/srtm_davos.tif")) as dataset:
            radar, own, crs = dataset.read(1).astype(np.float32), dataset.transform, dataset.crs.to_string()
        cover = shared(f"{CASE}/davos_lc.tif")
        with rasterio.open(cover) as dataset:
            classes = dataset.read(1)
        columns, rows = np.meshgrid(np.arange(truth.shape[1]), np.arange(truth.shape[0]))
        east, north = grid.c + (columns + 0.5) * grid.a, grid.f + (rows + 0.5) * grid.e
        lon, lat = Transformer.from_crs(21781, 4326, always_xy=True).transform(east - SHIFT_M[0], north - SHIFT_M[1])
        inside = np.isfinite(truth)
        inside[:20], inside[-20:], inside[:, :20], inside[:, -20:] = False, False, False, False
        return cls(
            truth,
            radar,
            LandCover.of(cover).shares(own, crs, radar.shape),
            ground_pixel_size_m(own, radar.shape[0], crs),
            ((lat - own.f) / own.e - 0.5, (lon - own.c) / own.a - 0.5),
            inside & (_share(classes == TREES) > 0.8),
            inside & (_share(classes == OPEN) > 0.98),
            lon < WEST_OF,
        )

    def error_m(self, heights_m):
        """Heights on the radar's grid less the lidar's, on the lidar's grid."""
        return map_coordinates(heights_m.astype(np.float64), self.places, order=1) + SHIFT_M[2] - self.truth_m


def _share(mask):
    return uniform_filter(mask.astype(np.float64), 7)
