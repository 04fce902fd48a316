import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox

from orograph.pipeline.errors import NoVerticalOperation, OutsideAreaOfUse
from orograph.pipeline.vertical import VerticalCatalogue, delta_surface
from orograph.pipeline.vertical.harmonise import HarmoniseRequest, harmonise
from orograph.pipeline.vertical.windowed import WindowedShift

CATALOGUE = VerticalCatalogue.load()


def test_windows_have_the_shifts_of_the_whole(shared):
    operation = CATALOGUE.operation("DHHN2016", "ETRS89", grids_dir=shared("proj-grids"))
    whole = GeoBox((1200, 1500), Affine(20, 0, 400_000, 0, -20, 5_600_000), "EPSG:25832")
    surface, windowed = delta_surface(operation, whole), WindowedShift.of(operation, whole)
    assert windowed.error_m <= operation.surface_tolerance_m
    for rows, cols in ((slice(0, 300), slice(0, 400)), (slice(701, 1200), slice(900, 1500))):
        part = whole[rows, cols]
        heights = np.zeros(part.shape.shape, np.float32)
        windowed.add_to(heights, part)
        np.testing.assert_allclose(heights, surface.sample(part), atol=1e-4)


def test_coarse_pixels_are_evaluated_at_their_centres(tmp_path):
    operation = CATALOGUE.operation("GHA", "EVRF2007", grids_dir=tmp_path)
    whole = GeoBox((20, 60), Affine(0.1, 0, 10.0, 0, -0.1, 48.5), "EPSG:4326")
    windowed = WindowedShift.of(operation, whole)
    heights = np.zeros((20, 60), np.float32)
    windowed.add_to(heights, whole)
    assert windowed.error_m == 0
    assert heights[7, 33] == pytest.approx(operation.shift(13.35, 47.75), abs=1e-6)
    record = windowed.record("a")
    assert record.shift_min_m == pytest.approx(heights.min(), abs=1e-4)
    assert record.shift_max_m == pytest.approx(heights.max(), abs=1e-4)


def write(path, step, west, places):
    cols, rows = round(360 / step), round(180 / step)
    profile = {"driver": "GTiff", "dtype": "float32", "count": 1, "crs": "EPSG:4326", "nodata": -9999.0}
    grid = {"width": cols, "height": rows, "transform": Affine(step, 0, west, 0, -step, 90)}
    with rasterio.open(path, "w", tiled=True, sparse_ok=True, compress="deflate", **profile, **grid) as dataset:
        for lon, lat in places:
            col, row = round((lon - west) % 360 / step), round((90 - lat) / step)
            dataset.write(np.full((8, 8), 100, "f4"), 1, window=rasterio.windows.Window(col, row, 8, 8))


@pytest.mark.parametrize("west", [-180.0, 0.0])
def test_a_global_raster_is_harmonised_where_it_has_heights(tmp_path, west):
    write(tmp_path / "g.tif", 0.25, west, ((10, 50), (-5, 40)))
    done = harmonise(tmp_path / "g.tif", tmp_path / "h.tif", HarmoniseRequest("EVRF2007", "EGM2008"), tmp_path)
    assert (done.moved, done.outside) == (128, 0)
    with rasterio.open(tmp_path / "h.tif") as dataset:
        heights = dataset.read(1, masked=True).compressed()
    assert heights == pytest.approx(100.19, abs=1e-4)


def test_heights_outside_are_counted_in_the_record(tmp_path):
    write(tmp_path / "g.tif", 0.25, 0.0, ((10, 50), (-70, 40)))
    request = HarmoniseRequest("EVRF2007", "EGM2008", allow_outside=True)
    done = harmonise(tmp_path / "g.tif", tmp_path / "h.tif", request, tmp_path)
    assert (done.moved, done.outside, done.record.heights_outside) == (64, 64, 64)
    write(tmp_path / "w.tif", 0.25, -180.0, ((-70, 40),))
    with pytest.raises(OutsideAreaOfUse, match="outside the area of use"):
        harmonise(tmp_path / "w.tif", tmp_path / "h.tif", request, tmp_path)


def test_pairs_without_an_operation_name_the_frames_to_pass_through(tmp_path, shared):
    with pytest.raises(NoVerticalOperation, match="--via") as caught:
        CATALOGUE.operation("EVRF2007", "EPSG:4937", grids_dir=tmp_path)
    assert "EPSG:7837" in str(caught.value.remedy)
    assert "EPSG:7837" in CATALOGUE.ways("EPSG:5621", "EPSG:4937")
    grids = shared("proj-grids")
    up = CATALOGUE.operation("EVRF2007", "EPSG:4937", grids_dir=grids, via="DHHN2016")
    down = CATALOGUE.operation("EPSG:4937", "EVRF2007", grids_dir=grids, via="DHHN2016")
    geoid = CATALOGUE.operation("DHHN2016", "EPSG:4937", grids_dir=grids).shift(10.0, 50.0)
    assert up.shift(10.0, 50.0) == pytest.approx(geoid - 0.014, abs=0.03)
    assert up.shift(10.0, 50.0) + down.shift(10.0, 50.0) == pytest.approx(0.0, abs=1e-6)


_PEAK = """
import sys
from pathlib import Path
import orograph.pipeline.vertical.harmonise as module
from orograph.pipeline.vertical import VerticalCatalogue
VerticalCatalogue.load()

def status_kb(name):
    # Of this program alone: ru_maxrss also counts the process that started it.
    return int(next(line for line in open("/proc/self/status") if line.startswith(name)).split()[1])

base = status_kb("VmRSS")
request = module.HarmoniseRequest("EVRF2007", "EGM2008")
module.harmonise(Path(sys.argv[1]), Path(sys.argv[2]), request, Path(sys.argv[3]))
print((status_kb("VmHWM") - base) / 1024)
"""


@pytest.mark.slow
def test_memory_follows_windows_and_not_the_extent(tmp_path):
    write(tmp_path / "g.tif", 0.05, -180.0, ((10, 50),))
    words = [sys.executable, "-c", _PEAK, str(tmp_path / "g.tif"), str(tmp_path / "h.tif"), str(tmp_path)]
    environment = os.environ | {"GDAL_CACHEMAX": "64", "OMP_NUM_THREADS": "1"}
    made = subprocess.run(words, env=environment, cwd=Path(__file__).parents[4], capture_output=True, check=True)
    assert float(made.stdout) < 300
