"""Figures of merit of fine heights."""

import numpy as np
import pytest

from orograph.pipeline.learning.superres.metrics import (
    blocks_worse,
    counted,
    figures,
    pooled,
    slope_aspect_deg,
    squares_by_slope,
    ssim,
)
from tests.support.superres_fixtures import hills

ROWS, COLS = np.mgrid[0:60, 0:60].astype(np.float32)
SIZE_M = (10.0, 10.0)


def test_equal_heights_are_perfect_and_an_offset_is_its_own_error():
    truth = hills(60, 60)
    mask = counted(np.ones((60, 60), bool), 5)
    assert mask.sum() == 50 * 50
    perfect = figures(truth, truth, mask, SIZE_M)
    assert (perfect.rmse_m, perfect.max_m, perfect.slope_rmse_deg) == (0.0, 0.0, 0.0)
    assert perfect.ssim == pytest.approx(1.0)
    offset = figures(truth + np.float32(3), truth, mask, SIZE_M)
    assert (offset.rmse_m, offset.mae_m) == (pytest.approx(3.0, abs=1e-4), pytest.approx(3.0, abs=1e-4))
    assert offset.psnr_db == pytest.approx(20 * np.log10(3150 / 3), abs=1e-3)
    assert offset.slope_rmse_deg == pytest.approx(0.0, abs=1e-3)


def test_slope_and_aspect_of_a_plane():
    slope, aspect = slope_aspect_deg(10.0 * ROWS, SIZE_M)
    assert slope[5, 5] == pytest.approx(45.0)
    assert aspect[5, 5] == pytest.approx(0.0), "heights grow southwards, so the slope faces north"
    assert np.isnan(slope[0]).all()


def test_pixels_near_voids_do_not_count():
    valid = np.ones((60, 60), bool)
    valid[30, 30] = False
    assert not counted(valid, 5)[26:35, 26:35].any()


def test_blocks_in_which_cubic_was_better():
    truth = np.zeros((60, 60), np.float32)
    derived, cubic = truth.copy(), np.full_like(truth, 0.5)
    derived[:30, :30] = 2.0
    assert blocks_worse(derived, cubic, truth, np.ones((60, 60), bool)) == (1, 4)
    assert blocks_worse(derived, cubic, truth, np.zeros((60, 60), bool)) == (0, 0)


def test_classes_of_slope_and_pools_weigh_pixels():
    truth = 10.0 * ROWS
    mask = counted(np.ones((60, 60), bool), 2)
    by_class = squares_by_slope(truth + np.float32(1), truth, mask, SIZE_M)
    assert [count for _, count in by_class] == [0, 0, 0, 0, int(mask.sum())]
    assert by_class[-1][0] == pytest.approx(mask.sum(), rel=1e-3)
    small = figures(truth + np.float32(1), truth, counted(np.ones((60, 60), bool), 25), SIZE_M)
    large = figures(truth + np.float32(2), truth, mask, SIZE_M)
    both = pooled([small, large])
    assert both.pixels == small.pixels + large.pixels
    assert both.rmse_m == pytest.approx(np.sqrt((small.pixels + 4 * large.pixels) / both.pixels), rel=1e-3)
    assert both.max_m == pytest.approx(2.0, abs=1e-3)
    assert ssim(truth, truth, mask) == pytest.approx(1.0)
