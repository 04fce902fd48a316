"""A raster is only made of parts that fit each other."""

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from orograph.pipeline.core.raster import Raster
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.errors import SourceGridError, VerticalFrameMissing

BOX = GeoBox((2, 3), Affine(10, 0, 0, 0, -10, 0), "EPSG:3035")
HEIGHTS = np.array([[1, np.nan, 3], [np.inf, 5, 6]], np.float32)


def test_valid_pixels_are_the_finite_ones():
    raster = Raster(HEIGHTS, BOX, "EPSG:5621", Surface.DTM)
    np.testing.assert_array_equal(raster.valid, [[True, False, True], [False, True, True]])


def test_other_heights_keep_grid_frame_and_kind():
    raster = Raster(HEIGHTS, BOX, "EPSG:5621", Surface.DSM)
    other = raster.with_heights(np.zeros((2, 3), np.float32))
    assert (other.geobox, other.frame, other.surface) == (BOX, "EPSG:5621", Surface.DSM)
    assert not other.heights_m.any()
    assert raster.heights_m is HEIGHTS


@pytest.mark.parametrize(
    ("heights", "box", "frame", "error", "message"),
    [
        (HEIGHTS.astype(np.float64), BOX, "EPSG:5621", SourceGridError, "float64"),
        (HEIGHTS.T, BOX, "EPSG:5621", SourceGridError, r"\(3, 2\)"),
        (HEIGHTS, GeoBox((2, 3), BOX.affine, None), "EPSG:5621", SourceGridError, "CRS"),
        (HEIGHTS, BOX, "", VerticalFrameMissing, "frame"),
    ],
)
def test_parts_that_do_not_fit_are_typed_errors(heights, box, frame, error, message):
    with pytest.raises(error, match=message):
        Raster(heights, box, frame, Surface.DTM)


def test_wrong_heights_are_rejected_on_replacement_too():
    with pytest.raises(SourceGridError):
        Raster(HEIGHTS, BOX, "EPSG:5621", Surface.DTM).with_heights(HEIGHTS[:1])
