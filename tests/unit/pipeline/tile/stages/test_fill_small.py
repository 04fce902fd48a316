"""Small voids: the harmonic membrane, its uncertainty, and the voids that stay."""

import numpy as np
import pytest
from scipy.ndimage import label

from orograph.pipeline.tile.stages.fill_small import LARGEST_PX, fill_small


def filled(heights, limit_px=100):
    sigma = np.where(np.isnan(heights), np.nan, 1.0).astype(np.float32)
    done = np.zeros(heights.shape, bool)
    labels, _ = label(np.isnan(heights))
    larger = fill_small(labels.astype(np.int32), heights, sigma, done, limit_px, 0.5)
    return larger, sigma, done


def plane(rows=20, columns=20):
    y, x = np.mgrid[0:rows, 0:columns]
    return (100.0 + 2.0 * x - y).astype(np.float32)


def test_a_plane_is_restored_and_the_uncertainty_grows_from_the_rim():
    heights = plane()
    heights[5:10, 5:10] = np.nan
    heights[15, 3] = np.nan
    larger, sigma, done = filled(heights)
    assert larger.size == 0
    np.testing.assert_allclose(heights, plane(), atol=1e-4)
    assert done.sum() == 26
    assert sigma[15, 3] == pytest.approx(np.hypot(1.0, 0.5))
    assert sigma[7, 7] == pytest.approx(np.hypot(1.0, 1.5))


def test_a_filled_height_stays_between_its_neighbours():
    heights = np.random.default_rng(0).normal(0, 10, (9, 9)).astype(np.float32)
    heights[3:6, 3:6] = np.nan
    rim = heights[2:7, 2:7]
    low, high = np.nanmin(rim), np.nanmax(rim)
    filled(heights)
    assert low <= heights[3:6, 3:6].min() <= heights[3:6, 3:6].max() <= high


def test_voids_at_the_border_and_longer_than_the_limit_stay():
    heights = plane()
    heights[0, 4] = np.nan
    heights[10, 5:12] = np.nan
    larger, _, done = filled(heights, limit_px=6)
    assert larger.size == 0
    assert not done.any()
    assert np.isnan(heights).sum() == 8


def test_larger_voids_are_left_to_do():
    heights = plane()
    heights[2 : 2 + 9, 2 : 2 + 9] = np.nan
    assert LARGEST_PX < 81
    larger, _, done = filled(heights)
    assert larger.tolist() == [1]
    assert not done.any()


def test_without_voids_nothing_is_to_do():
    heights = plane()
    larger, _, done = filled(heights)
    assert larger.size == 0
    assert not done.any()


def test_voids_of_both_kinds_in_a_large_raster():
    """Small voids are filled and large ones are named, also where counting goes by several parts."""
    heights = plane(900, 700)
    heights[100:110, 100:110] = np.nan
    heights[400:403, 300:304] = np.nan
    heights[700, 500] = np.nan
    heights[880:, 600:] = np.nan
    larger, _, done = filled(heights)
    labels, _ = label(np.isnan(plane(900, 700)) | np.isnan(heights) | done)
    assert sorted(larger.tolist()) == sorted({int(labels[105, 105]), int(labels[890, 650])})
    assert done.sum() == 13
    np.testing.assert_allclose(heights[400:403, 300:304], plane(900, 700)[400:403, 300:304], atol=1e-3)
