"""Figures of predicted heights: perfect ones, known ratios, classes, voids."""

import numpy as np
import pytest

from orograph.pipeline.errors import NoTrainingPixels
from orograph.pipeline.learning.image_heights.metrics import HeightMetrics, rmse_by_height

TRUE = np.array([1.0, 4.0, 10.0, np.nan])


def test_perfect_heights_have_no_error():
    found = HeightMetrics.between(TRUE, TRUE)
    assert (found.rel, found.rmse_m, found.delta1, found.pixels) == (0.0, 0.0, 1.0, 3)


def test_a_constant_ratio_is_that_ratio():
    found = HeightMetrics.between(1.5 * TRUE, TRUE)
    assert found.rel == pytest.approx(0.5)
    assert found.rel_log10 == found.rmse_log10 == pytest.approx(np.log10(1.5))
    assert (found.delta1, found.delta2) == (0.0, 1.0)


def test_low_heights_count_as_the_floor_in_ratios():
    assert HeightMetrics.between(np.array([0.0]), np.array([0.05])).rel == 0.0
    with pytest.raises(NoTrainingPixels):
        HeightMetrics.between(TRUE * np.nan, TRUE)


def test_errors_are_grouped_by_true_height():
    found = rmse_by_height(np.array([2.0, 5.0, 13.0, 1.0]), TRUE)
    assert found == pytest.approx({"0": 1.0, "2": 1.0, "10": 3.0})
