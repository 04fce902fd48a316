"""Print how often stated errors cover errors where the errors of sensors were developed: `python -m tests.support.error_sites`.

Real SRTM over chaparral (Big Tujunga west of 118.15 W, against 3DEP), and simulated SRTM and GLO-30 over lidar. Davos west is
in `tests.support.radar_tiles`.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import rasterio
from pyproj import Transformer
from rasterio.io import MemoryFile
from rasterio.warp import reproject
from scipy.ndimage import binary_erosion, distance_transform_edt, gaussian_filter, uniform_filter

from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.sources.sensor import SensorModel, bundled_sensor
from orograph.pipeline.superres import resolver
from orograph.pipeline.superres.interpolation_error import StatedError
from tests.support.davos import slope_deg
from tests.support.sensors import correlated_noise

SHARED = Path("../shared/data")
SITES = ("norway_10m", "tirol_kot_5m", "tirol_gar_5m", "swissalti3d_10m", "lombardia_lecco_it_5m")
SLOPES_DEG = ((0, 5), (5, 15), (15, 30), (30, 45), (45, 90))
HORIZONTAL_M = 4.1
BURST, BURST_RANGE_M = 0.6, 80.0
"""Standard deviation of the logarithm of the noise's level, and its range: a radar's noise comes in bursts."""
SRTM = SensorModel(footprint_m=30, footprint_rows_m=35, noise_m=1.9, noise_per_slope_m=8.6, noise_range_m=25)
GLO_30 = SensorModel(footprint_m=13, noise_m=0.4, noise_per_slope_m=0.6, noise_range_m=10)


def lidar(name):
    """Heights of a site at 10 m, voids continued, and the pixels far from voids and lakes."""
    with rasterio.open(SHARED / f"dtm/{name}.tif") as dataset:
        heights, size = dataset.read(1, masked=True).astype(np.float64).filled(np.nan), round(10 / dataset.res[0])
    rows, columns = (side // (3 * size) * 3 * size for side in heights.shape)
    heights = heights[:rows, :columns].reshape(rows // size, size, columns // size, size).mean(axis=(1, 3))
    void = ~np.isfinite(heights)
    nearest = distance_transform_edt(void, return_distances=False, return_indices=True)
    heights = heights[tuple(nearest)]
    lakes = uniform_filter((slope_deg(heights) < 0.2).astype(np.float64), 5) > 0.2
    return heights, binary_erosion(~void, iterations=12) & ~lakes


def seen(terrain, sensor, bursts, seed=1):
    """Heights that a sensor measures every 30 m of terrain at 10 m."""
    rng = np.random.default_rng(seed)
    across, along = sensor.sigmas_m
    blurred = gaussian_filter(terrain, (along / 10, across / 10))
    slopes = np.hypot(*np.gradient(gaussian_filter(blurred, 1.0), 10.0))
    level = np.hypot(sensor.noise_m, sensor.noise_per_slope_m * slopes)
    if bursts:
        burst = np.exp(BURST * correlated_noise(terrain.shape, BURST_RANGE_M, 10.0, rng))
        level *= burst / np.sqrt(np.mean(np.square(burst)))
    return (blurred + level * correlated_noise(terrain.shape, sensor.noise_range_m, 10.0, rng))[1::3, 1::3]


def simulated(site, name):
    """Error, stated error and slope by upsampling, of a sensor's simulation."""
    terrain, judged = lidar(site)
    heights = seen(terrain, SRTM if name == "srtm" else GLO_30, bursts=name == "srtm")
    heights = np.round(heights) if name == "srtm" else heights
    sensor = bundled_sensor(name).model_copy(update={"offset_per_slope_m": 0.0})
    for up in (StatedError(resolver("keys6"), sensor), resolver("sensor", sensor=sensor)):
        made, sigma = up(heights.astype(np.float32), factor=3, thinning=Thinning.AVERAGED)
        yield up.name, (made - terrain)[judged], sigma[judged], slope_deg(terrain)[judged]


def chaparral():
    """The same of real SRTM over the west of Big Tujunga, at its own 30 m."""
    with rasterio.open(SHARED / "srtm/bigtujunga.tif") as dataset:
        heights, grid, crs, size = dataset.read(1, masked=True), dataset.transform, dataset.crs, dataset.res
    heights = heights.astype(np.float32).filled(np.nan)
    truth = np.full(heights.shape, np.nan, np.float32)
    with zipfile.ZipFile(SHARED / "pairs/bigtujunga_us_3dep_bare_earth_28m_118_basins.zip") as basins:
        for basin in (name for name in basins.namelist() if name.endswith(".tif")):
            with MemoryFile(basins.read(basin)) as file, file.open() as dataset:
                own = dataset.read(1, masked=True).astype(np.float32).filled(np.nan)
                moved = np.full(heights.shape, np.nan, np.float32)
                reproject(
                    own, moved, src_transform=dataset.transform, src_crs=dataset.crs, src_nodata=np.nan,
                    dst_transform=grid, dst_crs=crs, dst_nodata=np.nan, resampling=1,
                )  # fmt: skip
            truth = np.where(np.isnan(truth), moved, truth)
    rows, columns = np.mgrid[0 : heights.shape[0], 0 : heights.shape[1]] + 0.5
    lon, _ = Transformer.from_crs(crs, 4326, always_xy=True).transform(
        grid.c + columns * grid.a, grid.f + rows * grid.e
    )
    slope = np.degrees(np.arctan(np.hypot(*np.gradient(truth.astype(np.float64), size[0]))))
    sensor = bundled_sensor("srtm")
    for up in (StatedError(resolver("keys6"), sensor), resolver("sensor", sensor=sensor)):
        made, sigma = up(heights, factor=1, thinning=Thinning.AVERAGED, pixel_size_m=size)
        positions = HORIZONTAL_M * np.hypot(*np.gradient(made.astype(np.float64), size[0]))
        judged = np.isfinite(slope) & np.isfinite(made) & (lon < -118.15)
        yield up.name, (made - truth)[judged], np.hypot(sigma, positions)[judged], slope[judged]


def main():
    columns = [("Big Tujunga west, SRTM", chaparral())]
    columns += [(f"{site}, simulated {name}", simulated(site, name)) for name in ("srtm", "glo-30") for site in SITES]
    for title, made in columns:
        for name, error, sigma, slope in made:
            ratio, cells = np.abs(error / sigma), []
            for low, high in SLOPES_DEG:
                here = ratio[(slope >= low) & (slope < high)]
                near, far = (f"{100 * np.mean(here < width):.0f}" if here.size > 500 else "-" for width in (1, 1.96))
                cells.append(f"{near} / {far}")
            print(f"| {title} | `{name}` | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
