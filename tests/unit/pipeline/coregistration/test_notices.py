"""Residuals say when they follow height, and when a mask keeps the wrong side."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from orograph.pipeline.coregistration.notices import height_bias, mask_use


def test_a_bias_that_follows_height_is_noticed():
    rng = np.random.default_rng(1)
    height = rng.uniform(0, 1000, 20_000)
    found = height_bias(0.01 * height + rng.normal(0, 2, height.size), height)
    assert abs(found.per_km_m - 10.0) < 0.3
    assert found.notable
    assert 0.0 < found.error_per_km_m < 0.3
    assert found.describe()["significance"] > 30
    assert "per 1000 m" in str(found)
    assert not height_bias(rng.normal(0, 2, height.size), height).notable
    assert height_bias(np.full(50, 1.0), np.arange(50.0)) is None


def test_one_odd_strip_is_no_bias_by_height():
    rng = np.random.default_rng(3)
    height = np.tile(np.linspace(0, 1000, 200), 100)
    residual = rng.normal(0, 0.5, height.size)
    residual[:2000] += np.where(height[:2000] > 500, 30.0, -30.0)
    found = height_bias(residual, height)
    assert found.significance < 3
    assert not found.notable


def test_a_bias_is_found_although_a_smooth_field_took_most_of_it():
    rng = np.random.default_rng(5)
    rows, columns = np.mgrid[:300, :300]
    height = 400 * np.sin(rows / 90) + 60 * np.sin(rows / 6) * np.cos(columns / 7)
    residual = 0.01 * (height - gaussian_filter(height, 25)) + rng.normal(0, 0.5, height.shape)
    assert abs(height_bias(residual, height, 60).per_km_m - 10.0) < 1.5
    assert abs(height_bias(residual, height).per_km_m - 10.0) > 4.0


def test_an_inverted_mask_is_noticed():
    rng = np.random.default_rng(2)
    stable = rng.random((200, 200)) < 0.85
    residual = np.where(stable, rng.normal(0, 1, stable.shape), rng.normal(-12, 5, stable.shape))
    assert not mask_use(residual, stable).inverted
    use = mask_use(residual, ~stable)
    assert use.inverted
    assert abs(use.share - 0.15) < 0.02
