"""Cases that break coregistration, on a 300 x 300 crop of a real 20 m DEM: a right answer or a status for each.

The truth is 1.37 pixels east, -2.62 north, 3.2 m up unless a case says otherwise; both methods answer every case.
"""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS, Proj, Transformer
from rasterio.warp import calculate_default_transform
from scipy.ndimage import map_coordinates, spline_filter

from orograph.pipeline.core.raster import Raster
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.coregistration import CoregistrationStatus, fit
from orograph.pipeline.coregistration.prepare import prepare_pair
from orograph.pipeline.errors import NodataError

PX = 20.0
SIZE = 300
ROW, COL = 300, 500
TRUTH = (1.37, -2.62, 3.2)
BOTH = pytest.mark.parametrize("method", ["nuth-kaab", "blockwise(nuth-kaab)"])


@pytest.fixture(scope="module")
def ground(shared):
    with rasterio.open(shared("data/longyearbyen/DEM_1995_history.tif")) as file:
        heights = file.read(1).astype(float)
    return spline_filter(heights, 3)


def raster(heights, crs="EPSG:25833", affine=None, pixel_m=PX):
    affine = affine or Affine(pixel_m, 0, 512_810, 0, -pixel_m, 8_668_030)
    heights = np.ascontiguousarray(heights, np.float32)
    return Raster(heights, GeoBox(heights.shape, affine, crs), "undeclared", Surface.DTM)


def seen(ground, east=0.0, north=0.0, up=0.0, size=SIZE, step=1.0):
    """The ground moved by pixels of 20 m, on pixels `step` times as large."""
    place = (np.arange(size) + 0.5) * step - 0.5
    rows, cols = np.meshgrid(place + ROW, place + COL, indexing="ij")
    return map_coordinates(ground, [rows + north, cols - east], order=3, prefilter=False) + up


def check(result, truth=TRUTH, sideways_px=0.005, up_m=0.01):
    east, north, up = result.shift
    assert result.status is CoregistrationStatus.CONVERGED
    assert np.hypot(east / PX - truth[0], north / PX - truth[1]) <= sideways_px
    assert abs(up - truth[2]) <= up_m


@BOTH
def test_noise_free(ground, method):
    result = fit(raster(seen(ground, *TRUTH)), raster(seen(ground)), method=method)
    check(result)


@BOTH
def test_white_noise(ground, method):
    noise = np.random.default_rng(1).normal(0, 1, (SIZE, SIZE))
    check(fit(raster(seen(ground, *TRUTH) + noise), raster(seen(ground)), method=method), sideways_px=0.01, up_m=0.02)


@BOTH
@pytest.mark.parametrize("spoiled", ["reference", "moving"])
def test_ten_percent_blunders(ground, method, spoiled):
    rng = np.random.default_rng(2)
    heights = {"reference": seen(ground, *TRUTH), "moving": seen(ground)}
    where = rng.random((SIZE, SIZE)) < 0.1
    heights[spoiled][where] += rng.normal(0, 200, where.sum())
    check(fit(raster(heights["reference"]), raster(heights["moving"]), method=method), sideways_px=0.01)


@BOTH
def test_a_far_start(ground, method):
    check(fit(raster(seen(ground, 25, -18, 3.2)), raster(seen(ground)), method=method), (25, -18, 3.2))


@BOTH
@pytest.mark.parametrize("spoiled", ["reference", "moving"])
def test_thirty_percent_random_voids(ground, method, spoiled):
    heights = {"reference": seen(ground, *TRUTH), "moving": seen(ground)}
    heights[spoiled][np.random.default_rng(3).random((SIZE, SIZE)) < 0.3] = np.nan
    check(fit(raster(heights["reference"]), raster(heights["moving"]), method=method), sideways_px=0.01)


@BOTH
@pytest.mark.parametrize("spoiled", ["reference", "moving"])
def test_everything_at_once(ground, method, spoiled):
    """1 m noise, 10 % blunders of 200 m, 30 % voids and a start 25 pixels away."""
    rng = np.random.default_rng(4)
    heights = {"reference": seen(ground, 25, -18, 3.2) + rng.normal(0, 1, (SIZE, SIZE)), "moving": seen(ground)}
    bad = heights[spoiled]
    where = rng.random(bad.shape) < 0.1
    bad[where] += rng.normal(0, 200, where.sum())
    bad[rng.random(bad.shape) < 0.3] = np.nan
    result = fit(raster(heights["reference"]), raster(heights["moving"]), method=method)
    check(result, (25, -18, 3.2), sideways_px=0.01, up_m=0.05)


@BOTH
@pytest.mark.parametrize("spoiled", ["reference", "moving"])
def test_eighty_percent_contiguous_void(ground, method, spoiled):
    heights = {"reference": seen(ground, *TRUTH), "moving": seen(ground)}
    heights[spoiled][:240] = np.nan
    check(fit(raster(heights["reference"]), raster(heights["moving"]), method=method), sideways_px=0.02, up_m=0.02)


@BOTH
@pytest.mark.parametrize("case", ["void reference", "void moving", "empty mask", "no overlap"])
def test_nothing_to_compare(ground, method, case):
    reference, moving, mask = seen(ground, *TRUTH), seen(ground), np.ones((SIZE, SIZE), bool)
    affine = Affine(PX, 0, 900_000, 0, -PX, 8_668_030) if case == "no overlap" else None
    if case == "void reference":
        reference[:] = np.nan
    if case == "void moving":
        moving[:] = np.nan
    if case == "empty mask":
        mask[:] = False
    result = fit(raster(reference), raster(moving, affine=affine), mask, method)
    assert (result.status, result.shift, result.sample_count) == (CoregistrationStatus.TOO_FEW, (0.0, 0.0, 0.0), 0)


@BOTH
@pytest.mark.parametrize("case", ["flat", "flat and noise", "plane", "plane and noise"])
def test_ground_that_tells_no_shift(method, case):
    rng = np.random.default_rng(5)
    rows, cols = np.mgrid[0:SIZE, 0:SIZE].astype(float)
    ground = 3 * cols + 2 * rows if "plane" in case else 50 + 0 * rows
    noise = 0.3 if "noise" in case else 0.0
    reference = ground + 3.2 + rng.normal(0, noise, ground.shape)
    result = fit(raster(reference), raster(ground + rng.normal(0, noise, ground.shape)), method=method)
    assert result.status is CoregistrationStatus.UNOBSERVABLE
    assert result.shift[:2] == (0.0, 0.0)
    assert result.shift[2] == pytest.approx(3.2, abs=0.02)


@BOTH
def test_an_overlap_of_twelve_columns(ground, method):
    moving = seen(ground)
    moving[:, 12:] = np.nan
    result = fit(raster(seen(ground, *TRUTH)), raster(moving), method=method)
    check(result, sideways_px=0.02, up_m=0.02)


def in_degrees(ground, east=0.0, north=0.0, up=0.0):
    """The ground on a geographic grid, each pixel read where it truly lies."""
    source = raster(np.zeros((SIZE, SIZE))).geobox.affine
    bounds = rasterio.transform.array_bounds(SIZE, SIZE, source)
    transform, width, height = calculate_default_transform("EPSG:25833", "EPSG:4326", SIZE, SIZE, *bounds)
    lon, lat = np.meshgrid(
        transform.c + transform.a * (np.arange(width) + 0.5), transform.f + transform.e * (np.arange(height) + 0.5)
    )
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:25833", always_xy=True).transform(lon, lat)
    rows, cols = (source.f - y) / PX - 0.5, (x - source.c) / PX - 0.5
    heights = map_coordinates(ground, [rows + ROW + north, cols + COL - east], order=3, prefilter=False) + up
    return raster(heights, "EPSG:4326", transform)


def along_true_north(east, north):
    """A shift along the axes of EPSG:25833 as east and north on the ground, at the grid's centre."""
    affine = raster(np.zeros((SIZE, SIZE))).geobox.affine
    lon, lat = Transformer.from_crs(25833, 4258, always_xy=True).transform(*(affine * (SIZE / 2, SIZE / 2)))
    factors = Proj(CRS.from_epsg(25833)).get_factors(lon, lat)
    turn = np.radians(factors.meridian_convergence)
    scale = factors.meridional_scale
    return (east * np.cos(turn) + north * np.sin(turn)) / scale, (north * np.cos(turn) - east * np.sin(turn)) / scale


@BOTH
@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:4326"])
def test_another_crs(ground, method, crs):
    moving = raster(seen(ground), crs) if crs == "EPSG:32633" else in_degrees(ground)
    pair = prepare_pair(raster(seen(ground, *TRUTH)), moving)
    assert pair.notes
    result = fit(pair.reference, pair.moving, method=method)
    check(result, sideways_px=0.005 if crs == "EPSG:32633" else 0.02, up_m=0.05)


@BOTH
def test_two_geographic_rasters(ground, method):
    pair = prepare_pair(in_degrees(ground, *TRUTH), in_degrees(ground))
    result = fit(pair.reference, pair.moving, method=method)
    check(result, (*along_true_north(*TRUTH[:2]), TRUTH[2]), sideways_px=0.02, up_m=0.05)


@BOTH
def test_undeclared_nodata_is_refused(ground, method):
    moving = seen(ground)
    moving[np.random.default_rng(6).random(moving.shape) < 0.05] = -9999
    with pytest.raises(NodataError, match="-9999"):
        fit(raster(seen(ground, *TRUTH)), raster(moving), method=method)


@BOTH
def test_whole_metres(ground, method):
    result = fit(raster(np.round(seen(ground, *TRUTH))), raster(np.round(seen(ground))), method=method)
    check(result, sideways_px=0.005, up_m=0.02)


@pytest.mark.parametrize("method", ["nuth-kaab", "nuth-kaab+deramp(1)", "affine", "blockwise(nuth-kaab)"])
def test_a_ramp_of_six_metres(ground, method):
    reference = seen(ground, *TRUTH) + np.linspace(0, 6, SIZE)
    result = fit(raster(reference), raster(seen(ground)), method=method)
    check(result, (1.37, -2.62, 6.2), sideways_px=0.01, up_m=0.1)
    if method != "nuth-kaab":
        assert result.nmad_after_m < 0.15


@pytest.mark.parametrize("method", ["affine", "blockwise(nuth-kaab)"])
def test_a_rotation_of_a_tenth_of_a_degree(ground, method):
    angle = np.deg2rad(0.1)
    rows, cols = np.mgrid[0:SIZE, 0:SIZE].astype(float)
    dy, dx = rows - 149.5, cols - 149.5
    turned_rows = rows + ROW + TRUTH[1] + np.sin(angle) * dx + (np.cos(angle) - 1) * dy
    turned_cols = cols + COL - TRUTH[0] + (np.cos(angle) - 1) * dx - np.sin(angle) * dy
    reference = map_coordinates(ground, [turned_rows, turned_cols], order=3, prefilter=False) + TRUTH[2]
    result = fit(raster(reference), raster(seen(ground)), method=method)
    check(result, sideways_px=0.01)
    assert result.nmad_after_m < 0.15


@BOTH
def test_unlike_pixel_sizes(ground, method):
    coarse = raster(seen(ground, *TRUTH, size=200, step=1.5), pixel_m=30.0)
    check(fit(coarse, raster(seen(ground)), method=method), sideways_px=0.01)


NINE = "blockwise(nuth-kaab, block=2000)"


def left_over(reference, moving, result):
    dh = (reference.heights_m - result.apply(moving).heights_m)[8:-8, 8:-8]
    dh = dh[np.isfinite(dh)]
    return 1.4826 * np.median(np.abs(dh - np.median(dh))), np.median(dh)


@pytest.mark.parametrize("shift", [(3.0, -2.0), TRUTH[:2]])
def test_a_uniform_shift_over_nine_blocks(ground, shift):
    reference, moving = raster(seen(ground, *shift, 3.2)), raster(seen(ground))
    result = fit(reference, moving, method=NINE)
    spread, middle = left_over(reference, moving, result)
    assert result.blocks.shape == (3, 3)
    assert set(result.blocks.status) == {CoregistrationStatus.CONVERGED}
    assert spread < 0.01
    assert abs(middle) < 0.01


@pytest.mark.parametrize("hole", ["void", "sea"])
def test_one_of_nine_blocks_knows_nothing(ground, hole):
    target, other = seen(ground, 3, -2, 3.2), seen(ground)
    rng = np.random.default_rng(8)
    if hole == "void":
        other[95:205, 95:205] = np.nan
    else:
        other[100:200, 100:200] = rng.normal(0, 0.3, (100, 100))
        target[100:200, 100:200] = 3.2 + rng.normal(0, 0.3, (100, 100))
    reference, moving = raster(target), raster(other)
    result = fit(reference, moving, method=NINE)
    status = np.array(result.blocks.status, object).reshape(3, 3)
    assert status[1, 1] is (CoregistrationStatus.TOO_FEW if hole == "void" else CoregistrationStatus.UNOBSERVABLE)
    assert np.isnan(result.blocks.own_m[4, 0])
    assert (status == CoregistrationStatus.CONVERGED).sum() == 8
    check(result, (3, -2, 3.2), sideways_px=0.02, up_m=0.02)
    assert left_over(reference, moving, result)[0] < 0.03


def test_a_void_strip_keeps_its_width(ground):
    other = seen(ground)
    other[:, 140:160] = np.nan
    moving = raster(other)
    reference = raster(seen(ground, 3, -2, 3.2))
    result = fit(reference, moving, method=NINE)
    aligned = result.apply(moving)
    void = np.isnan(aligned.heights_m[10:-10, 20:-20])
    np.testing.assert_array_equal(void.sum(axis=1), np.full(SIZE - 20, 20))
    assert left_over(reference, moving, result)[0] < 0.01
