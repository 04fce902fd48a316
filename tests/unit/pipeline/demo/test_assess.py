"""Figures of the demo's errors."""

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from orograph.pipeline.demo.assess import _at, _centres, _error, _snapped
from orograph.pipeline.formats.cog import NODATA


def test_errors_are_of_valid_pixels_and_open_terrain_apart():
    difference = np.array([1.0, 1.0, 5.0, np.nan], np.float32)
    found = _error("x", difference, np.array([False, False, True, True]))
    assert found.rmse_m == pytest.approx(3.0)
    assert found.median_m == 1.0
    assert found.rmse_open_m == 1.0


def test_points_are_read_from_the_pixels_that_contain_them():
    affine = Affine(10, 0, 100, 0, -10, 200)
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    values[2, 3] = NODATA
    east, north = _snapped(np.array([101.0, 139.9]), np.array([199.0, 170.1]))
    assert (east.tolist(), north.tolist()) == ([105.0, 135.0], [195.0, 175.0])
    found = _at(values, affine, east, north)
    assert found[0] == 0.0
    assert np.isnan(found[1])
    x, y = _centres(GeoBox((3, 4), affine, "EPSG:3035"))
    np.testing.assert_array_equal(_at(np.arange(12.0).reshape(3, 4), affine, x, y), np.arange(12.0).reshape(3, 4))
