"""Spikes are replaced, small voids filled, and clean rasters returned as they are."""

import numpy as np
import pytest

from orograph.pipeline.coregistration.despike import despike, spike_threshold_m
from tests.support.pairs import plane_raster


def noisy(rows=60, columns=50):
    heights = plane_raster(rows, columns).heights_m
    return heights + np.random.default_rng(1).normal(0, 0.1, heights.shape).astype(np.float32)


def test_a_clean_raster_is_its_own_mended_one():
    heights = noisy()
    assert despike(heights) is heights


def test_a_spike_is_replaced_by_its_surroundings():
    clean = noisy()
    spoiled = clean.copy()
    spoiled[20, 30] += 400.0
    despiked = despike(spoiled)
    assert despiked[20, 30] == pytest.approx(clean[20, 30], abs=0.5)
    np.testing.assert_array_equal(np.delete(despiked.ravel(), 20 * 50 + 30), np.delete(clean.ravel(), 20 * 50 + 30))
    assert despike(spoiled, spikes=False)[20, 30] == spoiled[20, 30]


def test_a_cliff_is_not_a_spike():
    heights = noisy()
    heights[:, 25:] += 300.0
    np.testing.assert_array_equal(despike(heights), heights)


def test_voids_are_filled_from_two_pixels_and_deep_ones_stay():
    plane = plane_raster(40, 40).heights_m
    heights = plane.copy()
    heights[10, 10] = np.nan
    heights[20:30, 20:30] = np.nan
    despiked = despike(heights)
    assert despiked[10, 10] == pytest.approx(plane[10, 10], abs=0.05)
    assert np.isfinite(despiked[20:22]).all()
    assert np.isnan(despiked[23:27, 23:27]).all()


def test_only_voids_stay_void():
    heights = np.full((5, 6), np.nan, np.float32)
    assert np.isnan(despike(heights)).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (3, 3)])
def test_small_rasters_have_no_spikes(shape):
    heights = np.full(shape, 5.0, np.float32)
    assert spike_threshold_m(heights) == np.inf
    np.testing.assert_array_equal(despike(heights), heights)


def test_the_threshold_is_at_least_a_metre_and_grows_with_noise():
    assert spike_threshold_m(plane_raster(60, 60).heights_m) == pytest.approx(1.0)
    rough = np.random.default_rng(0).normal(0, 10, (60, 60)).astype(np.float32)
    assert spike_threshold_m(rough) > 200.0


def test_threads_do_not_change_a_bit():
    heights = noisy(150, 50)
    heights[70:72, 5:9] = np.nan
    np.testing.assert_array_equal(despike(heights, threads=2), despike(heights))
