"""Local errors on a target window: slope, rounding."""

import numpy as np
import pytest

from orograph.pipeline.resampling.node_grid import Target
from orograph.pipeline.tile.errors import add_local_errors, local_reach_px, rounded

WINDOW = Target(10.0, 7, 9, 30, 30)


def test_positions_count_by_the_slope():
    plane = np.add.outer(3.0 * np.arange(30), 4.0 * np.arange(30)).astype(np.float32)
    plane[10, 10] = np.nan
    sigma = add_local_errors(plane, 1.2, WINDOW, None, 2.0)
    np.testing.assert_allclose(sigma[np.isfinite(plane)], np.hypot(1.2, 2.0 * 0.5), rtol=1e-5)
    assert local_reach_px(False, 2.0) == 1


def test_without_local_errors_nothing_changes():
    assert add_local_errors(np.zeros((30, 30), np.float32), 0.7, WINDOW, None, 0.0) == 0.7
    assert local_reach_px(False, 0.0) == 0
    level = add_local_errors(np.zeros((30, 30), np.float32), 0.7, WINDOW, True, 0.0)
    np.testing.assert_array_equal(level, np.float32(0.7))


def test_rounding_keeps_two_per_cent_and_voids():
    values = np.array([1e-3, 0.137, 3.21, 250.0, np.nan], np.float32)
    kept = rounded(values)
    np.testing.assert_allclose(kept, values, rtol=0.016)
    assert np.unique(rounded(np.linspace(1, 2, 1000).astype(np.float32))).size <= 33
    assert rounded(0.137) == pytest.approx(0.137, rel=0.016)
