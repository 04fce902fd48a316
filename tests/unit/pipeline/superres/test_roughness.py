"""Roughness: second differences by cell, voids, windows."""

import numpy as np
import pytest

from orograph.pipeline.superres.roughness import around, reach_px, roughness, slope_squared, spread


def test_a_parabola_has_constant_second_differences():
    columns = np.arange(40, dtype=np.float32)
    heights = np.broadcast_to(0.5 * columns**2, (30, 40)).astype(np.float32)
    one, two, _, _ = roughness(heights, (0, 0))
    assert one[15, 20] == pytest.approx(1.0**2 / 2.0), "along columns 1 m, along rows 0"
    assert two[15, 20] == pytest.approx(4.0**2 / 2.0)


def test_voids_are_skipped():
    heights = np.zeros((20, 20), np.float32)
    heights[5:9, 5:9] = np.nan
    one, two, _, _ = roughness(heights, (0, 0))
    assert (one == 0.0).all()
    assert (two == 0.0).all()


def test_a_void_changes_only_the_cells_that_see_it():
    heights = np.random.default_rng(2).normal(0, 1, (48, 56)).astype(np.float32)
    pierced = heights.copy()
    pierced[24, 29] = np.nan
    first, second = (roughness(plane, (2, 2), 4) for plane in (heights, pierced))
    far = np.ones(first[0].shape, bool)
    far[4:9, 5:10] = False
    for k in range(2):
        np.testing.assert_array_equal(second[k][far], first[k][far])
        assert (second[k][5:8, 6:9] != first[k][5:8, 6:9]).any()


@pytest.mark.parametrize("cell", [1, 4])
def test_windows_agree_bit_for_bit(cell):
    heights = np.random.default_rng(0).normal(0, 1, (60, 70)).astype(np.float32)
    whole = roughness(heights, (3, 5), cell)
    part = roughness(heights[10:, 7:], (13, 12), cell)
    reach = reach_px(cell) + cell
    for k in range(2):
        first = spread(whole[k], *whole[2:], cell)[10 + reach : -reach, 7 + reach : -reach]
        np.testing.assert_array_equal(spread(part[k], *part[2:], cell)[reach:-reach, reach:-reach], first)


def test_slopes_of_planes_are_exact_next_to_voids():
    rows, columns = np.mgrid[0:20, 0:24].astype(np.float32)
    heights = 12.0 * columns - 9.0 * rows
    heights[6:9, 7:10] = np.nan
    squared = slope_squared(heights, (30.0, 45.0))
    np.testing.assert_allclose(squared, 0.4**2 + 0.2**2, rtol=1e-6)


def test_means_around_skip_unknown_values():
    values = np.full((9, 9), 3.0)
    known = np.ones((9, 9), bool)
    values[4, 4], known[4, 4] = 1e6, False
    np.testing.assert_allclose(around(values, known), 3.0)
