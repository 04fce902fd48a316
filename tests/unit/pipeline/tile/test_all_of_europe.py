"""Tiles far from the centre of EPSG:3035, and of coarse pixels."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import Transformer

from orograph.pipeline.core.grid import Tile
from orograph.pipeline.planning.planner import Planner
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.tile.run import run_tile
from tests.support.made import source, terrain, write_source
from tests.support.planned import _probe, paths_of

PLACES = {
    "Iceland": (-20.0, 64.5),
    "Azores": (-28.0, 38.5),
    "Madeira": (-16.9, 32.75),
    "Tenerife": (-16.5, 28.3),
    "Cyprus": (33.0, 35.0),
    "Svalbard": (16.0, 78.5),
    "Erzurum": (41.3, 39.9),
}


def glo_30(path, lon, lat, step=0.002):
    """120 x 120 heights around a point: a plane in longitude and latitude."""
    x, y = lon + step * (np.arange(120) - 59.5), lat - step * (np.arange(120) - 59.5)
    heights = 500 + 1000 * (x[None, :] - lon) - 2000 * (y[:, None] - lat)
    profile = {"driver": "GTiff", "dtype": "float32", "count": 1, "crs": "EPSG:4326", "width": 120, "height": 120}
    with rasterio.open(
        path, "w", transform=Affine(step, 0, lon - 60 * step, 0, -step, lat + 60 * step), **profile
    ) as file:
        file.write(heights.astype("f4"), 1)
    return path


@pytest.mark.parametrize("place", sorted(PLACES))
def test_glo_30_comes_out_in_its_own_frame(tmp_path, place):
    lon, lat = PLACES[place]
    east, north = Transformer.from_crs("EPSG:4258", "EPSG:3035", always_xy=True).transform(lon, lat)
    path = glo_30(tmp_path / "dem.tif", lon, lat)
    made = source(path, horizontal_crs="EPSG:4326", vertical_frame="EGM2008", resolution_m=200.0)
    settings = ProcessingSettings(pixel_size_m=250.0, target_frame="EGM2008", coregistration="none", superres="none")
    job = Planner([made], settings, _probe, grids_dir=tmp_path).job(Tile.containing(east, north))
    result = run_tile(job, paths_of(job), tmp_path, grids_dir=tmp_path)
    assert result.draft["vertical_frame"] == "EPSG:3855"
    with rasterio.open(result.products[0].path) as dataset:
        heights, affine = dataset.read(1, masked=True).filled(np.nan), dataset.transform
    rows, cols = np.nonzero(np.isfinite(heights))
    x, y = Transformer.from_crs("EPSG:3035", "EPSG:4258", always_xy=True).transform(
        *(affine * (cols + 0.5, rows + 0.5))
    )
    truth = 500 + 1000 * (x - lon) - 2000 * (y - lat)
    inner = (abs(x - lon) < 0.11) & (abs(y - lat) < 0.11)
    assert inner.sum() > 100
    # A hundredth of the rise per pixel: the widened kernel is not exact on planes.
    assert np.abs(heights[rows, cols] - truth)[inner].max() < 0.06


def test_icelandic_heights_reach_the_ellipsoid_by_the_national_geoid(tmp_path, shared):
    lon, lat = PLACES["Iceland"]
    east, north = Transformer.from_crs("EPSG:4258", "EPSG:3035", always_xy=True).transform(lon, lat)
    path = glo_30(tmp_path / "dem.tif", lon, lat)
    made = source(path, horizontal_crs="EPSG:4326", vertical_frame="ISH2004", resolution_m=200.0)
    settings = ProcessingSettings(pixel_size_m=1000.0, target_frame="EPSG:4937", coregistration="none", superres="none")
    grids = shared("proj-grids")
    job = Planner([made], settings, _probe, grids_dir=grids).job(Tile.containing(east, north))
    (record,) = run_tile(job, paths_of(job), tmp_path, grids_dir=grids).draft["operations"]
    assert "is_lmi_Icegeoid_ISN2016.tif" in record.grids
    assert 55 < record.shift_min_m < record.shift_max_m < 75


@pytest.mark.parametrize("pixel_m", [500.0, 1000.0, 2500.0])
def test_pixels_of_half_a_kilometre_and_more(tmp_path, pixel_m):
    path = write_source(tmp_path / "a.tif", "EPSG:3035", (4_000_000, 3_000_000, 4_050_000, 3_050_000), 250)
    made = source(path, resolution_m=250.0)
    job = Planner([made], ProcessingSettings(pixel_size_m=pixel_m), _probe).job(Tile(4000, 3000))
    result = run_tile(job, paths_of(job), tmp_path, grids_dir=tmp_path)
    with rasterio.open(result.products[0].path) as dataset:
        heights = dataset.read(1, masked=True)
    assert heights.shape == (50_000 / pixel_m, 50_000 / pixel_m)
    assert not np.ma.getmaskarray(heights).any()
    fine = terrain(*np.meshgrid(4_000_125 + 250 * np.arange(200), 3_049_875 - 250 * np.arange(200)))
    assert heights.mean() == pytest.approx(fine.mean(), abs=3.0)
