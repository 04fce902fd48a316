"""Two files like GLO-30's north and south of 50 N, where its spacing in longitude changes, over a known terrain."""

from __future__ import annotations

import numpy as np
import rasterio
from affine import Affine
from pyproj import Transformer

from orograph.pipeline.core.grid import Tile
from orograph.pipeline.planning.planner import Planner
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.tile.run import run_tile
from tests.support.made import source
from tests.support.planned import _probe, paths_of

SECOND = 1 / 3600


def heights(lon, lat):
    """Slopes of up to 40 per cent, in degrees."""
    return 800 + 400 * np.sin(lat * 111_000 / 900) + 120 * np.sin(lon * 71_500 / 700)


def write_rows(path, north_rows, lon_seconds):
    """A file like GLO-30's: pixel centres on whole arc-seconds of latitude, `north_rows` counted from 50 N upwards."""
    rows = np.arange(*north_rows)[::-1]
    cols = round(120 / lon_seconds)
    lon = 10 + (np.arange(cols)) * lon_seconds * SECOND
    lat = 50 + rows * SECOND
    values = heights(*np.meshgrid(lon, lat)).astype(np.float32)
    affine = Affine(lon_seconds * SECOND, 0, 10 - lon_seconds * SECOND / 2, 0, -SECOND, 50 + (rows[0] + 0.5) * SECOND)
    profile = {"driver": "GTiff", "dtype": "float32", "count": 1, "crs": "EPSG:4326", "nodata": -9999.0}
    with rasterio.open(path, "w", transform=affine, width=cols, height=rows.size, **profile) as dataset:
        dataset.write(values, 1)
        dataset.update_tags(AREA_OR_POINT="Point")
    return path


def two_files(folder):
    """South and north of the parallel."""
    return write_rows(folder / "n49.tif", (-60, 1), 1.0), write_rows(folder / "n50.tif", (1, 61), 1.5)


def one_source(files):
    """Both files as one source."""
    return source(files, horizontal_crs="EPSG:4326", resolution_m=30.0, pixel="point", vertical_frame="EPSG:5621")


def elevation_of(files, folder, **settings):
    """The elevation product of the tile around the parallel; its path."""
    east, north = Transformer.from_crs("EPSG:4326", "EPSG:3035", always_xy=True).transform(10.015, 50.0)
    asked = ProcessingSettings(coregistration="none", **settings)
    job = Planner([one_source(files)], asked, _probe).job(Tile.containing(east, north))
    return run_tile(job, paths_of(job), folder, grids_dir=folder).products[0].path


def errors_by_distance(found, affine):
    """Errors of heights in EPSG:3035 near the parallel, and those of five to twelve arc-seconds off, metres."""
    rows, cols = np.nonzero(np.isfinite(found))
    lon, lat = Transformer.from_crs("EPSG:3035", "EPSG:4326", always_xy=True).transform(
        *(affine * (cols + 0.5, rows + 0.5))
    )
    error = np.abs(found[rows, cols] - heights(lon, lat))
    inner = (lon > 10.003) & (lon < 10.03)
    seam = inner & (np.abs(lat - 50) < SECOND)
    inside = inner & (np.abs(lat - 50) > 5 * SECOND) & (np.abs(lat - 50) < 12 * SECOND)
    return error[seam], error[inside]
