"""Warping a plane moves it exactly; voids stay where they are read from."""

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from orograph.pipeline.coregistration import warp as module
from orograph.pipeline.coregistration.field import DisplacementField
from orograph.pipeline.coregistration.warp import warp
from tests.support.pairs import PIXEL_M, plane_raster, still_with


def test_without_displacement_the_heights_come_back():
    raster = plane_raster(60, 50)
    np.testing.assert_allclose(
        warp(raster, DisplacementField(raster.geobox), raster.geobox), raster.heights_m, atol=1e-3
    )


def test_a_plane_is_read_where_it_came_from():
    raster = plane_raster(60, 50, east=0.2, north=-0.1)
    moved = warp(raster, still_with(raster.geobox, east_m=7.0, north_m=-4.0, up_m=2.0), raster.geobox)
    expected = raster.heights_m - 0.2 * 7.0 - 0.1 * 4.0 + 2.0
    np.testing.assert_allclose(moved[3:-3, 3:-3], expected[3:-3, 3:-3], atol=2e-3)


def test_a_void_moves_with_the_terrain_and_keeps_its_size():
    raster = plane_raster(60, 50)
    raster.heights_m[20:24, 10:15] = np.nan
    moved = warp(raster, still_with(raster.geobox, east_m=2 * PIXEL_M, north_m=-3 * PIXEL_M), raster.geobox)
    void = np.isnan(moved[4:-4, 4:-4])
    expected = np.zeros((60, 50), bool)
    expected[23:27, 12:17] = True
    np.testing.assert_array_equal(void, expected[4:-4, 4:-4])


@pytest.mark.parametrize("threads", [1, 2])
def test_bands_give_the_bits_of_the_whole(monkeypatch, threads):
    raster = plane_raster(60, 50)
    raster.heights_m[:] += np.random.default_rng(0).normal(0, 3, raster.heights_m.shape).astype(np.float32)
    field = still_with(raster.geobox, east_m=3.3, north_m=1.7)
    whole = warp(raster, field, raster.geobox)
    monkeypatch.setattr(module, "BAND_ROWS", 20)
    # The recursive filter of the spline forgets what is outside a band to single precision.
    np.testing.assert_allclose(warp(raster, field, raster.geobox, threads=threads), whole, atol=1e-3)


def test_a_grid_elsewhere_is_void():
    raster = plane_raster(30, 30)
    away = GeoBox((5, 6), Affine.translation(0, 1e6) @ raster.geobox.affine, "EPSG:3035")
    assert np.isnan(warp(raster, DisplacementField(raster.geobox), away)).all()


@pytest.mark.parametrize(("row", "col"), [(0, 0), (-3, 4), (5, -2), (90, 0)])
def test_a_field_that_moves_nothing_copies_pixels_of_the_same_grid(row, col):
    raster = plane_raster(40, 30)
    box = GeoBox((20, 35), raster.geobox.affine @ Affine.translation(col, row), raster.geobox.crs)
    out = warp(raster, DisplacementField(raster.geobox), box)
    expected = np.full((20, 35), np.nan, np.float32)
    for r in range(20):
        for c in range(35):
            if 0 <= r + row < 40 and 0 <= c + col < 30:
                expected[r, c] = raster.heights_m[r + row, c + col]
    np.testing.assert_array_equal(out, expected)
