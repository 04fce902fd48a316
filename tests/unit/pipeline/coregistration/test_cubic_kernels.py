"""Cubic kernels: weights, derivatives, and reading beyond the edges."""

import numpy as np
import pytest

from orograph.pipeline.coregistration import cubic_kernels as taps

FRACTIONS = np.linspace(0, 1, 9, dtype=np.float32)


@pytest.mark.parametrize("t", FRACTIONS)
def test_weights_sum_to_one_and_derivatives_to_zero(t):
    assert sum(taps.keys_weights(t)) == pytest.approx(1.0, abs=1e-6)
    assert sum(taps.keys_derivatives(t)) == pytest.approx(0.0, abs=1e-6)
    assert sum(taps.spline_weights(t)) == pytest.approx(6.0, abs=1e-5)


@pytest.mark.parametrize("t", FRACTIONS)
def test_keys_kernel_reproduces_a_quadratic_and_its_slope(t):
    places = np.arange(-1, 3)
    assert np.dot(taps.keys_weights(t), places**2) == pytest.approx(t * t, abs=1e-5)
    assert np.dot(taps.keys_derivatives(t), places) == pytest.approx(1.0, abs=1e-5)


def test_keys_kernel_interpolates():
    np.testing.assert_allclose(taps.keys_weights(np.float32(0)), [0, 1, 0, 0], atol=1e-7)
    np.testing.assert_allclose(taps.keys_weights(np.float32(1)), [0, 0, 1, 0], atol=1e-7)


def test_inside_a_raster_a_plane_comes_back_with_its_slopes():
    rows, cols = np.mgrid[0:4, 0:5]
    heights = (100 + 3.0 * cols - 2.0 * rows).astype(np.float32)
    s, t = np.float32(0.25), np.float32(0.75)
    place, width = np.uint64(0), np.uint64(5)
    assert taps.keys(heights.ravel(), place, width, s, t) == pytest.approx(100 + 3 * 1.75 - 2 * 1.25, abs=1e-4)
    rest, along_columns, along_rows = taps.keys_with_slopes(heights.ravel(), place, width, s, t)
    assert heights[1, 1] + rest == pytest.approx(102.75, abs=1e-4)
    assert along_columns == pytest.approx(3.0, abs=1e-4)
    assert along_rows == pytest.approx(-2.0, abs=1e-4)


@pytest.mark.parametrize(("y", "x"), [(-0.4, -0.4), (0.0, 3.7), (3.4, 1.2), (3.4, 4.4)])
def test_beyond_the_edges_slopes_continue(y, x):
    rows, cols = np.mgrid[0:4, 0:5]
    plane = 10.0 + 2.0 * cols + 5.0 * rows
    assert taps.keys_at_edge(plane, y, x) == pytest.approx(10 + 2 * x + 5 * y, abs=1e-4)
    # A plane is its own coefficients.
    assert taps.spline_at_edge(plane, y, x) == pytest.approx(10 + 2 * x + 5 * y, abs=1e-4)


def test_a_single_pixel_is_constant():
    assert taps.keys_at_edge(np.array([[7.0]]), -0.3, 0.4) == pytest.approx(7.0, abs=1e-5)
