"""A real radar surface over lidar: the western half of Davos, open terrain above the tree line; for development."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import rasterio
from pyproj import Transformer
from scipy.ndimage import map_coordinates, uniform_filter

from orograph.pipeline.core.pixel_size import ground_pixel_size_m

SHIFT_M = (-1.45, 2.85, 2.5)
"""East, north and up from the radar to the lidar heights, estimated once on open terrain."""
TREE_LINE_M = 2050.0
WEST = "data/pairs/davos_west_srtm1.tif"
WHOLE = "cases/science/03-superres-real-sensor/srtm_davos.tif"


@dataclass(frozen=True)
class Errors:
    rmse_m: float
    mae_m: float
    slope_rmse_deg: float


@dataclass(frozen=True)
class Davos:
    truth_m: np.ndarray
    radar_m: np.ndarray
    pixel_size_m: tuple[float, float]
    places: tuple[np.ndarray, np.ndarray]
    judged: np.ndarray

    @classmethod
    def load_east(cls, shared):
        """The eastern half, for judging: nothing is chosen on it."""
        whole = cls.load(shared, WHOLE)
        with rasterio.open(shared(WEST)) as dataset:
            east_of = dataset.bounds.right
        with rasterio.open(shared(WHOLE)) as dataset:
            border_px = (east_of - dataset.bounds.left) / dataset.res[0]
        return replace(whole, judged=whole.judged & (whole.places[1] > border_px))

    @classmethod
    def load(cls, shared, radar_file=WEST):
        with rasterio.open(shared("data/dtm/davos_10m.tif")) as dataset:
            truth, grid = dataset.read(1).astype(np.float64), dataset.transform
            truth[truth == dataset.nodata] = np.nan
        with rasterio.open(shared(radar_file)) as dataset:
            radar, own = dataset.read(1), dataset.transform
            size = ground_pixel_size_m(own, dataset.height, "EPSG:4326")
        columns, rows = np.meshgrid(np.arange(truth.shape[1]), np.arange(truth.shape[0]))
        east, north = grid.c + (columns + 0.5) * grid.a - SHIFT_M[0], grid.f + (rows + 0.5) * grid.e - SHIFT_M[1]
        lon, lat = Transformer.from_crs(21781, 4326, always_xy=True).transform(east, north)
        places = (lat - own.f) / own.e - 0.5, (lon - own.c) / own.a - 0.5
        judged = np.isfinite(truth) & (truth > TREE_LINE_M)
        for place, side in zip(places, radar.shape, strict=True):
            judged &= (place > 8) & (place < side - 9)
        level = slope_deg(truth) < 0.2
        judged &= uniform_filter(level.astype(np.float64), 5) <= 0.2
        judged[:20], judged[-20:], judged[:, :20], judged[:, -20:] = False, False, False, False
        return cls(truth, radar.astype(np.float32), size, places, judged)

    def fine(self, up, thinning, factor=3):
        """A resolver's heights on the lidar's grid."""
        heights, _ = up(self.radar_m, factor=factor, thinning=thinning, pixel_size_m=self.pixel_size_m)
        places = [(place + 0.5) * factor - 0.5 for place in self.places]
        return map_coordinates(heights.astype(np.float64), places, order=3, mode="nearest") + SHIFT_M[2]

    def errors(self, up, thinning):
        """Errors over open terrain against lidar."""
        heights = self.fine(up, thinning)
        error = (heights - self.truth_m)[self.judged]
        slope = (slope_deg(heights) - slope_deg(self.truth_m))[self.judged]
        return Errors(
            float(np.sqrt(np.mean(error**2))), float(np.abs(error).mean()), float(np.sqrt(np.nanmean(slope**2)))
        )


def slope_deg(heights):
    rows, columns = np.gradient(heights, 10.0)
    return np.degrees(np.arctan(np.hypot(rows, columns)))
