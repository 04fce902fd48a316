"""Grids and frames are settled or refused before anything is estimated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.warp import Resampling, calculate_default_transform, reproject
from scipy.ndimage import gaussian_filter, map_coordinates, spline_filter

from orograph.pipeline.core.raster import Raster
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.coregistration import CoregistrationStatus, fit
from orograph.pipeline.coregistration.prepare import prepare_pair, read_heights, read_mask
from orograph.pipeline.errors import NodataError, SourceGridError, SourceMissing, VerticalError

PIXEL_M = 20.0
SIZE = 220
WEST, NORTH = 500_000.0, 8_600_000.0


def raster(heights, crs="EPSG:25833", frame="undeclared", affine=None):
    affine = affine or Affine(PIXEL_M, 0, WEST, 0, -PIXEL_M, NORTH)
    return Raster(np.ascontiguousarray(heights, np.float32), GeoBox(heights.shape, affine, crs), frame, Surface.DTM)


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(7)
    size = SIZE + 40
    heights = sum(
        a * gaussian_filter(rng.standard_normal((size, size)), s, mode="wrap") * s for a, s in ((900, 30), (250, 10))
    )
    spline = spline_filter(heights + 500.0, 3)
    rows, cols = np.mgrid[0:SIZE, 0:SIZE] + 20.0
    moved = map_coordinates(spline, [rows - 2.62, cols - 1.37], order=3, prefilter=False) + 3.2
    return moved, map_coordinates(spline, [rows, cols], order=3, prefilter=False)


def error_px(result):
    east, north, _ = result.shift
    return np.hypot(east / PIXEL_M - 1.37, north / PIXEL_M + 2.62)


def test_crs_that_agree_in_place_are_one(pair):
    ready = prepare_pair(raster(pair[0]), raster(pair[1], crs="EPSG:32633"))
    assert "taken as one" in ready.notes[0]
    assert error_px(fit(ready.reference, ready.moving)) < 0.005


def warp_to(heights, crs, resampling=Resampling.cubic):
    source = Affine(PIXEL_M, 0, WEST, 0, -PIXEL_M, NORTH)
    bounds = rasterio.transform.array_bounds(*heights.shape, source)
    transform, width, height = calculate_default_transform(
        "EPSG:25833", crs, heights.shape[1], heights.shape[0], *bounds
    )
    out = np.full((height, width), np.nan, np.float32)
    reproject(
        heights.astype(np.float32), out, src_transform=source, src_crs="EPSG:25833", src_nodata=np.nan,
        dst_transform=transform, dst_crs=crs, dst_nodata=np.nan, resampling=resampling, tolerance=0.0,
    )  # fmt: skip
    return raster(out, crs, affine=transform)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32635", "EPSG:3035"])
def test_a_raster_in_another_crs_is_brought_over(pair, crs):
    ready = prepare_pair(raster(pair[0]), warp_to(pair[1], crs))
    result = fit(ready.reference, ready.moving)
    assert result.status is CoregistrationStatus.CONVERGED
    # GDAL made the other raster, and its cubic warp to degrees moves this ground by up to a tenth of a pixel.
    assert error_px(result) < 0.12


def test_two_geographic_rasters_are_measured_in_metres(pair):
    reference, moving = warp_to(pair[0], "EPSG:4326"), warp_to(pair[1], "EPSG:4326")
    mask = np.isfinite(reference.heights_m)
    ready = prepare_pair(reference, moving, mask)
    assert "transverse Mercator" in str(ready.reference.geobox.crs)
    assert ready.inliers.shape == ready.reference.heights_m.shape
    result = fit(ready.reference, ready.moving, ready.inliers)
    assert result.status is CoregistrationStatus.CONVERGED
    # The truth was made on the grid of UTM 33 near its central meridian, where north is true as well.
    assert error_px(result) < 0.05


def test_vertical_frames_must_agree(pair):
    reference = raster(pair[0], frame="EPSG:5621")
    with pytest.raises(VerticalError, match="undeclared"):
        prepare_pair(reference, raster(pair[1]))
    with pytest.raises(VerticalError, match="EPSG:3855"):
        prepare_pair(reference, raster(pair[1], frame="EPSG:3855"))
    ready = prepare_pair(reference, raster(pair[1]), same_heights=True)
    assert ready.moving.frame == "EPSG:5621"
    assert "as asked" in ready.notes[0]


def test_rotated_grids_are_refused(pair):
    turned = raster(pair[1], affine=Affine(20, 1, WEST, 1, -20, NORTH))
    with pytest.raises(SourceGridError, match="north-up"):
        prepare_pair(raster(pair[0]), turned)


def write(path, source, crs, area_or_point="Area", **extra):
    profile = {
        "driver": "GTiff", "height": source.heights_m.shape[0], "width": source.heights_m.shape[1], "count": 1,
        "dtype": "float32", "crs": crs, "transform": source.geobox.affine, "nodata": -9999.0,
    } | extra  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.update_tags(AREA_OR_POINT=area_or_point)
        file.write(np.nan_to_num(source.heights_m, nan=-9999.0), 1)


def test_area_and_point_files_of_one_ground_lie_on_one_grid(pair, tmp_path):
    write(tmp_path / "area.tif", raster(pair[1]), "EPSG:25833")
    write(tmp_path / "point.tif", raster(pair[1]), "EPSG:25833", "Point")
    area, area_notes = read_heights(tmp_path / "area.tif")
    point, point_notes = read_heights(tmp_path / "point.tif")
    assert area_notes == ()
    assert "half a pixel" in point_notes[0]
    assert area.geobox == point.geobox
    east, north, _ = fit(area, point).shift
    assert np.hypot(east, north) < 1e-3
    # A point file whose tie point is written as an area file's is half a pixel away, and is found there.
    text = (tmp_path / "point.tif").read_bytes()
    with rasterio.Env(GTIFF_POINT_GEO_IGNORE=True):
        write(tmp_path / "wrong.tif", raster(pair[1]), "EPSG:25833", "Point")
    assert (tmp_path / "wrong.tif").read_bytes() != text
    wrong, _ = read_heights(tmp_path / "wrong.tif")
    east, north, _ = fit(area, wrong).shift
    assert (east, north) == pytest.approx((10.0, -10.0), abs=0.05)


def test_files_bring_their_vertical_frame_and_nodata(pair, tmp_path):
    holed = raster(pair[1])
    holed.heights_m[5:9, 5:9] = np.nan
    write(tmp_path / "compound.tif", holed, "EPSG:25833+5621")
    read, _ = read_heights(tmp_path / "compound.tif")
    assert read.frame == "EPSG:5621"
    assert read.geobox.crs.epsg == 25833
    assert np.isnan(read.heights_m).sum() == 16
    with pytest.raises(SourceMissing):
        read_heights(tmp_path / "absent.tif")


def test_masks_may_lie_on_another_grid(pair, tmp_path):
    reference = raster(pair[0])
    affine = Affine(40, 0, WEST, 0, -40, NORTH)
    stable = np.zeros((SIZE // 2, SIZE // 2), np.uint8)
    stable[:, :55] = 1
    with rasterio.open(
        tmp_path / "mask.tif", "w", driver="GTiff", height=stable.shape[0], width=stable.shape[1], count=1,
        dtype="uint8", crs="EPSG:25833", transform=affine,
    ) as file:  # fmt: skip
        file.write(stable, 1)
    mask = read_mask(tmp_path / "mask.tif", reference)
    assert mask[:, :110].all()
    assert not mask[:, 110:].any()
    assert replace(reference).heights_m.shape == mask.shape


def test_feet_are_measured_in_metres(pair):
    feet = Affine(PIXEL_M / 0.3048006096, 0, 1e6, 0, -PIXEL_M / 0.3048006096, 2e5)
    ready = prepare_pair(raster(pair[0], "EPSG:2263", affine=feet), raster(pair[1], "EPSG:2263", affine=feet))
    assert ready.reference.geobox.affine.a == pytest.approx(PIXEL_M, rel=1e-6)
    assert "US survey foot" in ready.notes[0]
    assert error_px(fit(ready.reference, ready.moving)) < 0.005
    with pytest.raises(SourceGridError, match="US survey foot"):
        fit(raster(pair[0], "EPSG:2263", affine=feet), raster(pair[1], "EPSG:2263", affine=feet))


def test_the_band_of_heights_is_found_or_asked_for(pair, tmp_path):
    heights = raster(pair[1])
    for name, descriptions in (("named.tif", ("error", "Height")), ("bare.tif", (None, None))):
        write(tmp_path / name, heights, "EPSG:25833", count=2)
        with rasterio.open(tmp_path / name, "r+") as file:
            file.write(np.zeros_like(heights.heights_m), 1)
            file.write(heights.heights_m, 2)
            file.descriptions = descriptions
    found, notes = read_heights(tmp_path / "named.tif")
    np.testing.assert_array_equal(found.heights_m, heights.heights_m)
    assert "band 2 of 2" in notes[0]
    with pytest.raises(SourceGridError, match="2 bands"):
        read_heights(tmp_path / "bare.tif")
    asked, _ = read_heights(tmp_path / "bare.tif", band=2)
    np.testing.assert_array_equal(asked.heights_m, heights.heights_m)


def test_scale_offset_and_unit_of_a_band_are_applied(pair, tmp_path):
    tenths = raster(np.round(pair[1] * 10))
    write(tmp_path / "scaled.tif", tenths, "EPSG:25833", dtype="int16")
    with rasterio.open(tmp_path / "scaled.tif", "r+") as file:
        file.scales, file.offsets, file.units = (0.1,), (5.0,), ("US survey foot",)
    read, notes = read_heights(tmp_path / "scaled.tif")
    np.testing.assert_allclose(read.heights_m, (np.round(pair[1] * 10) * 0.1 + 5) * 1200 / 3937, rtol=1e-5)
    assert "scaled by 0.1" in notes[0]


def test_zeros_that_end_in_a_cliff_are_undeclared_voids(pair, tmp_path):
    holed = raster(pair[1])
    holed.heights_m[:, :40] = 0.0
    write(tmp_path / "zeros.tif", holed, "EPSG:25833", nodata=None)
    with pytest.raises(NodataError, match="18%"):
        read_heights(tmp_path / "zeros.tif")
    declared, _ = read_heights(tmp_path / "zeros.tif", nodata=0.0)
    assert np.isnan(declared.heights_m[:, :40]).all()
    sea = raster(np.maximum(pair[1] - np.median(pair[1]), 0.0))
    write(tmp_path / "sea.tif", sea, "EPSG:25833", nodata=None)
    assert (read_heights(tmp_path / "sea.tif")[0].heights_m == 0.0).mean() > 0.4
