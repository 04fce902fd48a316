"""Ground sizes of pixels, and the bands of latitude they are told by."""

from __future__ import annotations

import math

import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from orograph.pipeline.core.pixel_size import BAND_DEG, degree_lengths_m, row_bands

SECOND = 1.0 / 3600.0
GLO_30 = Affine(SECOND, 0, 0, 0, -SECOND, 0)


@pytest.mark.parametrize("latitude", [-61.0, 0.0, 38.2, 47.0, 60.0, 71.3])
def test_degrees_are_as_long_as_geodesics_say(latitude: float) -> None:
    geod = Geod(ellps="WGS84")
    parallel, meridian = degree_lengths_m(latitude)
    across = geod.inv(10.0, latitude, 10.0 + 1e-3, latitude)[2] * 1e3
    along = geod.inv(10.0, latitude - 5e-4, 10.0, latitude + 5e-4)[2] * 1e3
    assert parallel == pytest.approx(across, rel=1e-6)
    assert meridian == pytest.approx(along, rel=1e-6)


@given(st.floats(-80, 80), st.integers(1, 40_000), st.sampled_from([SECOND, 3 * SECOND, 1.7 * SECOND]), st.booleans())
def test_bands_cover_all_rows_once_and_do_not_depend_on_the_window(
    top_deg: float, height: int, step: float, south_up: bool
) -> None:
    affine = Affine(step, 0, 0, 0, step if south_up else -step, 0)
    row = round(top_deg / affine.e)
    bands = list(row_bands(affine, "EPSG:4326", 30.0, row, height))
    rows = [r for band in bands for r in range(band.row, band.row + band.height)]
    assert rows == list(range(row, row + height))
    assert len(bands) <= height * step / BAND_DEG + 2
    for probe in (row, row + height // 2, row + height - 1):
        alone = next(row_bands(affine, "EPSG:4326", 30.0, probe, 1))
        assert alone.pixel_size_m == next(b for b in bands if b.row <= probe < b.row + b.height).pixel_size_m
        latitude = (probe + 0.5) * affine.e
        parallel, meridian = degree_lengths_m(latitude)
        if abs(latitude) < 72:
            assert abs(math.log(alone.pixel_size_m[0] / (step * parallel))) < 0.06
            assert alone.pixel_size_m[1] == pytest.approx(step * meridian, rel=2e-3)


def test_projected_grids_have_one_size() -> None:
    (band,) = row_bands(Affine(20, 0, 0, 0, -30, 0), "EPSG:3035", 30.0, -5, 4000)
    assert (band.row, band.height, band.pixel_size_m) == (-5, 4000, (20.0, 30.0))


def test_glo_30_in_prague_is_half_as_long_again_as_wide() -> None:
    (band,) = row_bands(GLO_30, "EPSG:4326", 30.0, round(-49.5 / SECOND), 10)
    assert band.pixel_size_m == pytest.approx((20.3, 30.9), abs=0.3)
