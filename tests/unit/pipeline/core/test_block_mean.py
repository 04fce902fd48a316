"""Block means: known answers, voids, and remainders at the edge."""

import numpy as np
import pytest

from orograph.pipeline.core.block_mean import block_mean


def test_blocks_are_averaged_and_an_incomplete_rest_is_dropped():
    heights = np.arange(20, dtype=np.float32).reshape(4, 5)
    np.testing.assert_array_equal(block_mean(heights, 2), np.array([[3, 5], [13, 15]], np.float32))


@pytest.mark.parametrize(("voids", "expected"), [(0, 2.5), (1, 3.0), (2, 3.5), (3, np.nan), (4, np.nan)])
def test_a_block_needs_half_of_its_pixels(voids, expected):
    values = np.array([1, 2, 3, 4], np.float32)
    values[:voids] = np.nan
    np.testing.assert_array_equal(block_mean(values.reshape(2, 2), 2), np.array([[expected]], np.float32))


def test_factor_one_returns_the_heights():
    heights = np.array([[1.5, np.nan], [-3.0, 0.0]], np.float32)
    np.testing.assert_array_equal(block_mean(heights, 1), heights)


def test_fewer_pixels_than_a_block_give_no_rows():
    assert block_mean(np.ones((2, 7), np.float32), 3).shape == (0, 2)
