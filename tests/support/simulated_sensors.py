"""Print gains over GDAL cubic on simulated sensors: `python -m tests.support.simulated_sensors [names or weights]`.

Every resolver that takes a sensor model is given the true one; a file of weights is one of `orograph train --sensors`.
Terrain models at hand are degraded by four sensors. The last lines are means of RMSE and slope over the four sensors on the
terrains that trained no network of sensors.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import rasterio
from scipy.ndimage import binary_erosion

from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.sources.sensor import SensorModel
from orograph.pipeline.superres import resolver
from orograph.pipeline.superres.edge_padding import with_context
from tests.support.davos import slope_deg
from tests.support.sensors import resolver_for, seen_by

FACTOR = 3
SENSORS = {
    "33, 2, 9, 25": SensorModel(footprint_m=33, noise_m=2, noise_per_slope_m=9, noise_range_m=25),
    "20 x 14, 1.5, 5, 20": SensorModel(
        footprint_m=20, footprint_rows_m=14, noise_m=1.5, noise_per_slope_m=5, noise_range_m=20
    ),
    "12, 0.5, 3, 15": SensorModel(footprint_m=12, noise_m=0.5, noise_per_slope_m=3, noise_range_m=15),
    "8.7, 0.2, 0, white": SensorModel(footprint_m=8.7, noise_m=0.2),
}
"""Footprint, noise on level terrain, noise per slope, and range of the noise's correlation, metres."""
TERRAINS = {
    "norway": ("norway_10m.tif", 1, 10.0),
    "lombardy": ("lombardia_lecco_it_5m.tif", 2, 5.0),
    "tirol-gar": ("tirol_gar_5m.tif", 2, 5.0),
    "tirol-kot": ("tirol_kot_5m.tif", 2, 5.0),
    "tirol-wog": ("tirol_wog_5m.tif", 2, 5.0),
    "bohemia": ("czech_elbe_lowland_8m.tif", 1, 8.0),
    "lower-austria": ("petzenkirchen_at_10m.tif", 1, 10.0),
    "bern": ("swissalti3d_2m.tif", 5, 2.0),
}
"""File, pixels averaged along a side, and pixel size in metres."""
HELD_OUT = ("norway", "tirol-kot", "lower-austria", "bern")
"""Terrains that are not among the training sites of `sensor-net`."""
RIM_PX = 10
"""Coarse pixels next to borders and voids that are not judged."""
REACH_PX = 40


class Terrain(NamedTuple):
    heights_m: np.ndarray
    judged: np.ndarray
    pixel_m: float

    @classmethod
    def load(cls, name):
        file, mean_of, native_m = TERRAINS[name]
        with rasterio.open(Path("../shared/data/dtm") / file) as dataset:
            heights = dataset.read(1, masked=True).astype(np.float64).filled(np.nan)
        if name == "lombardy":
            heights[heights <= 198] = np.nan  # The lake.
        rows, columns = (side // mean_of for side in heights.shape)
        heights = heights[: rows * mean_of, : columns * mean_of]
        heights = heights.reshape(rows, mean_of, columns, mean_of).mean(axis=(1, 3))
        rows, columns = (side // FACTOR * FACTOR for side in heights.shape)
        heights = heights[:rows, :columns]
        known = np.isfinite(heights)
        filled = with_context(heights, REACH_PX)[0][REACH_PX:-REACH_PX, REACH_PX:-REACH_PX]
        judged = binary_erosion(known, np.ones((3, 3)), iterations=RIM_PX * FACTOR)
        return cls(filled, judged, native_m * mean_of)


class Score(NamedTuple):
    rmse_m: float
    slope_deg: float
    narrow: float
    wide: float


def score(terrain, coarse, up):
    """Errors of a resolver's heights, and shares of them within its 68 and 95 % bands."""
    size = FACTOR * terrain.pixel_m
    fine, sigma = up(coarse, factor=FACTOR, thinning=Thinning.AVERAGED, pixel_size_m=(size, size))
    error = (fine - terrain.heights_m)[terrain.judged]
    scale = 10.0 / terrain.pixel_m
    slope = (slope_deg(fine * scale) - slope_deg(terrain.heights_m * scale))[terrain.judged]
    ratio = np.full(1, np.nan) if sigma is None else np.abs(error) / sigma[terrain.judged]
    return Score(
        float(np.sqrt(np.mean(error**2))),
        float(np.sqrt(np.mean(slope**2))),
        float(np.mean(ratio < 1)),
        float(np.mean(ratio < 1.96)),
    )


def gains(name, sensor, terrains):
    """Gain in RMSE and slope RMSE and both coverages, percent, by terrain."""
    rows = []
    for terrain in terrains:
        coarse, _ = seen_by(sensor, terrain.heights_m, FACTOR, seed=7, pixel_m=terrain.pixel_m)
        cubic = score(terrain, coarse, resolver("gdal-cubic"))
        own = score(terrain, coarse, resolver_for(name, sensor))
        rows.append((1 - own.rmse_m / cubic.rmse_m, 1 - own.slope_deg / cubic.slope_deg, own.narrow, own.wide))
    return 100 * np.array(rows)


def main(names):
    terrains = [Terrain.load(name) for name in TERRAINS]
    held_out = [name in HELD_OUT for name in TERRAINS]
    names = names or ("sensor", "sensor-net", "best-linear")
    unseen = {name: [] for name in names}
    for label, sensor in SENSORS.items():
        for name in names:
            table = gains(name, sensor, terrains)
            unseen[name].append(table[held_out, :2])
            mean = table.mean(axis=0)
            by_terrain = " ".join(f"{value:+.1f}" for value in table[:, 0])
            print(
                f"| {label} | {name} | {mean[0]:+.1f} | {mean[1]:+.1f} | {mean[2]:.0f} | {mean[3]:.0f} | {by_terrain}",
                flush=True,
            )
    for name, tables in unseen.items():
        rmse, slope = np.mean(tables, axis=(0, 1))
        print(f"| mean of {', '.join(HELD_OUT)} | {name} | {rmse:+.2f} | {slope:+.2f} |")


if __name__ == "__main__":
    main(sys.argv[1:])
