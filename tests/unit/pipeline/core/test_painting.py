"""Colours of maps: ends of ramps, voids, light from the north-west, ranges without outliers."""

import numpy as np
import pytest

from orograph.pipeline.core.painting import RED_BLUE, VOID, ramp, relief, span


def test_a_ramp_ends_in_its_colours_and_shows_voids():
    painted = ramp(np.array([[-5.0, 0.0, 5.0, 99.0, np.nan]]), RED_BLUE, -5.0, 5.0)
    np.testing.assert_allclose(
        painted[0, [0, 1, 2, 3]], [RED_BLUE[0], RED_BLUE[2], RED_BLUE[-1], RED_BLUE[-1]], atol=0.6
    )
    np.testing.assert_array_equal(painted[0, 4], VOID)


def test_slopes_that_face_north_west_are_brighter():
    rows, columns = np.mgrid[0:20, 0:20].astype(float)
    facing, turned = (relief(sign * 5.0 * (rows + columns), (10.0, 10.0), -500.0, 500.0) for sign in (1.0, -1.0))
    assert facing[10, 10].mean() > 1.5 * turned[10, 10].mean()


def test_a_range_leaves_out_outliers_and_is_never_empty():
    values = np.arange(1000.0)
    values[3] = 1e6
    assert span(values)[1] < 1000.0
    assert span(np.full(5, 7.0)) == (6.5, 7.5)
    assert span(np.array([np.nan])) == pytest.approx((0.0, 1.0))
