"""The spline passes through its heights, agrees with scipy's inside, and voids do not ring into data."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, spline_filter

from orograph.pipeline.coregistration.spline import coefficients


def ground():
    rng = np.random.default_rng(0)
    return (gaussian_filter(rng.normal(size=(90, 100)), 3) * 300 + 500).astype(np.float32)


def through(coefs):
    padded = np.vstack([2 * coefs[0] - coefs[1], coefs, 2 * coefs[-1] - coefs[-2]])
    padded = np.hstack([2 * padded[:, :1] - padded[:, 1:2], padded, 2 * padded[:, -1:] - padded[:, -2:-1]])
    taps = np.array([1, 4, 1]) / 6
    rows, cols = coefs.shape
    return sum(taps[i] * taps[j] * padded[i : i + rows, j : j + cols] for i in range(3) for j in range(3))


def test_the_spline_passes_through_the_heights_up_to_the_edges():
    heights = ground()
    assert np.abs(through(coefficients(heights).astype(float)) - heights).max() < 2e-4


def test_inside_it_is_scipys():
    heights = ground()
    expected = spline_filter(heights.astype(float), 3, mode="mirror")
    np.testing.assert_allclose(coefficients(heights)[24:-24, 24:-24], expected[24:-24, 24:-24], atol=1e-3)


def test_a_deep_void_changes_nothing_twelve_pixels_away():
    heights = ground()
    holed = heights.copy()
    holed[:, 60:] = np.nan
    whole, part = coefficients(heights), coefficients(holed)
    assert np.isfinite(part).all()
    np.testing.assert_allclose(part[:, :48], whole[:, :48], atol=1e-3)
