"""Compiled loops of the writers: known answers, voids, odd sizes."""

import math

import numpy as np
import pytest

from orograph.pipeline.formats import kernels, numpy_forms


def test_sealing_replaces_what_is_not_finite_and_measures_the_rest():
    values = np.array([[1, np.nan, 3], [np.inf, -2, 0]], np.float32)
    sealed = np.empty_like(values)
    assert kernels.seal_float(values, -32768.0, sealed) == (4.0, -2.0, 3.0, 2.0, 14.0)
    np.testing.assert_array_equal(sealed, [[1, -32768, 3], [-32768, -2, 0]])


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_numpy_form_seals_to_the_same_bits(share):
    rng = np.random.default_rng(7)
    values = rng.normal(1000, 300, (60, 70)).astype(np.float32)
    values[rng.random(values.shape) < share] = np.nan
    sealed, plain = np.empty_like(values), np.empty_like(values)
    assert numpy_forms.seal_float(values, -32768.0, plain) == kernels.seal_float(values, -32768.0, sealed)
    np.testing.assert_array_equal(plain, sealed)


def test_a_void_block_counts_nothing():
    count, low, high, total, squares = kernels.seal_float(
        np.full((2, 2), np.nan, np.float32), -1.0, np.empty((2, 2), np.float32)
    )
    assert (count, total, squares) == (0, 0, 0)
    assert low == math.inf
    assert high == -math.inf


@pytest.mark.parametrize(
    ("has_nodata", "expected"), [(True, (2.0, 3.0, 5.0, 8.0, 34.0)), (False, (3.0, 0.0, 5.0, 8.0, 34.0))]
)
def test_integers_are_measured_with_and_without_nodata(has_nodata, expected):
    assert kernels.measure_integers(np.array([[0, 3, 5]], np.uint8), 0, has_nodata) == expected


def test_the_slope_of_a_plane_is_its_angle_and_voids_stay():
    cols = np.arange(6.0) * np.ones((5, 1))
    heights = (10.0 * cols).astype(np.float32)
    heights[2, 2] = np.nan
    slope = np.empty((3, 4), np.float32)
    scale = np.float32(1 / (8 * 10))
    kernels.slope_degrees(heights, scale, scale, slope)
    assert np.isnan(slope[1, 1])
    assert slope[1, 3] == pytest.approx(45.0, abs=1e-4)
    assert slope.shape == (3, 4)


@pytest.mark.parametrize(
    ("kernel", "values", "expected"),
    [
        (kernels.halve_average_integer, [[1, 2, 9], [0, 4, 9], [0, 0, 7]], [[2, 9], [0, 7]]),
        (kernels.halve_nearest, [[0, 2, 0], [3, 4, 9], [0, 0, 7]], [[2, 9], [0, 7]]),
        (kernels.halve_mode, [[5, 6, 0], [6, 5, 3], [1, 0, 7]], [[5, 3], [1, 7]]),
    ],
)
def test_halving_leaves_voids_out_and_keeps_odd_rims(kernel, values, expected):
    halved = np.empty((2, 2), np.uint8)
    kernel(np.array(values, np.uint8), np.uint8(0), True, halved)
    np.testing.assert_array_equal(halved, expected)


def test_halving_heights_averages_what_is_valid():
    void = np.float32(-32768)
    values = np.array([[1, 3, 5], [void, 2, void], [void, void, 8]], np.float32)
    halved = np.empty((2, 2), np.float32)
    kernels.halve_average_float(values, void, True, halved)
    np.testing.assert_array_equal(halved, np.array([[2, 5], [void, 8]], np.float32))


def test_level_terrain_is_shaded_alike_and_voids_are_zero():
    heights = np.full((4, 4), 100, np.float32)
    heights[1, 1] = np.nan
    shade = np.empty((2, 2), np.uint8)
    angle = math.radians(45)
    arguments = (np.float32(0.1), np.float32(0.1), np.float32(math.sin(angle)), np.float32(math.cos(angle)))
    kernels.hillshade_multidirectional(heights, *arguments, shade)
    assert shade[0, 0] == 0
    assert len(set(shade.ravel()[1:].tolist())) == 1
    # A sun at 45 degrees gives level terrain the sine of its altitude: 1 + 254 sin 45.
    assert shade[1, 1] == pytest.approx(181, abs=1)
