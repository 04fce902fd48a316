"""Voids are filled by a smooth surface; existing heights stay."""

import numpy as np
import pytest

from orograph.pipeline.errors import AllVoid, HeightsNotFinite
from orograph.pipeline.implicit.fill import fill_voids


def test_a_void_in_a_plane_is_filled_with_the_plane():
    rows, cols = np.mgrid[0:40, 0:50]
    plane = (100 + 2.0 * rows - 1.5 * cols).astype(np.float32)
    holed = plane.copy()
    holed[15:22, 20:30] = np.nan
    holed[0, 0] = np.nan
    filled = fill_voids(holed)
    np.testing.assert_allclose(filled, plane, atol=0.1)
    known = np.isfinite(holed)
    np.testing.assert_array_equal(filled[known], plane[known])


def test_nothing_to_fill_from_is_an_error():
    with pytest.raises(AllVoid):
        fill_voids(np.full((5, 5), np.nan, np.float32))
    with pytest.raises(HeightsNotFinite):
        fill_voids(np.array([[np.inf, np.nan], [0.0, 0.0]], np.float32))
