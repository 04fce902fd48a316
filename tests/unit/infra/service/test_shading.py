"""Relief, tints and terrain-RGB of one map tile."""

import numpy as np
import pytest

from orograph.infra.service.shading import (
    HEIGHT_STOPS,
    categories,
    extended,
    height_stops,
    ramp,
    relief,
    shaded,
    terrarium,
)


def test_flat_terrain_has_one_shade_and_slopes_towards_the_light_are_brighter():
    flat = relief(np.full((5, 6), 100, np.float32), 10.0, 1.0)
    np.testing.assert_allclose(flat, 0.67, atol=0.01)
    cols = np.tile(np.arange(6, dtype=np.float32) * 5, (5, 1))
    assert relief(cols, 10.0, 1.0).mean() > relief(cols[:, ::-1], 10.0, 1.0).mean() + 0.1, "light comes from the west"


def test_a_void_has_no_shade_and_is_transparent():
    heights = np.full((5, 5), 100, np.float32)
    heights[0, 0] = np.nan
    shade = relief(heights, 10.0, 1.0)
    assert np.argwhere(np.isnan(shade)).tolist() == [[0, 0]]
    assert np.argwhere(shaded(np.zeros((3, 3, 3), np.float32), shade)[..., 3] == 0).tolist() == [[0, 0]]


def test_terrarium_decodes_to_a_thirty_second_of_a_metre():
    heights = np.array([[-430.5, 0.0, 12.34, 4808.72]], np.float32)
    red, green, blue = np.moveaxis(terrarium(heights).astype(float), -1, 0)
    np.testing.assert_allclose(red * 256 + green + blue / 256 - 32768, heights, atol=1 / 64 + 1e-3)


def test_tints_are_linear_between_stops_and_compressed_for_lowlands():
    assert ramp(np.array([[50.0]], np.float32), HEIGHT_STOPS)[0, 0] == pytest.approx((94, 137.5, 124.5))
    assert height_stops(4000.0) == HEIGHT_STOPS
    assert height_stops(300.0)[-1][0] == pytest.approx(2600.0 / 8)


def test_numbers_have_their_colours_and_voids_the_nearest_height():
    assert categories(np.array([[1.0, np.nan]]), {1: (1, 2, 3)})[0].tolist() == [[1, 2, 3], [70, 70, 70]]
    assert extended(np.array([[1.0, np.nan, np.nan]], np.float32)).tolist() == [[1.0, 1.0, 1.0]]
    assert extended(np.full((1, 2), np.nan, np.float32)).tolist() == [[0.0, 0.0]]
