"""Held-out residuals of a chequerboard."""

import math

import numpy as np
import pytest

from orograph.pipeline.coregistration.cross_validation import chequerboard, held_out
from tests.support.pairs import plane_raster, relief_pair


def test_cells_of_a_chequerboard_have_the_asked_side():
    board = chequerboard(plane_raster(9, 8), 30.0)
    assert board[:3, :3].all()
    assert not board[:3, 3:6].any()
    assert board[3:6, 3:6].all()
    assert board[:3, 6:].all()
    # Cells smaller than a pixel are one pixel.
    np.testing.assert_array_equal(chequerboard(plane_raster(2, 2), 1.0), [[True, False], [False, True]])


def test_a_constant_difference_is_predicted_on_unseen_cells():
    reference, moving = relief_pair(up_m=4.0, noise_m=0.1)
    left = held_out(reference, moving, None, "vertical-shift", cell_m=200.0)
    assert left.median_m == pytest.approx(0.0, abs=0.01)
    assert left.nmad_m == pytest.approx(0.1, rel=0.1)
    assert left.sample_count == reference.heights_m.size


def test_only_inliers_are_looked_at():
    reference, moving = relief_pair(up_m=4.0, noise_m=0.1)
    inliers = np.zeros(reference.heights_m.shape, bool)
    inliers[:60] = True
    assert held_out(reference, moving, inliers, "vertical-shift", cell_m=200.0).sample_count == inliers.sum()


def test_without_common_heights_nothing_is_known():
    reference, moving = relief_pair()
    moving.heights_m[:] = np.nan
    moving.heights_m[0, :3] = 1.0
    left = held_out(reference, moving, None, "nuth-kaab", cell_m=200.0)
    assert left.sample_count == 0
    assert math.isnan(left.nmad_m)
    assert math.isnan(left.median_m)
