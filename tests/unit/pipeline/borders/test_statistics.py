"""Robust figures of height differences."""

import json

import numpy as np
import pytest

from orograph.pipeline.borders.statistics import DifferenceStatistics


def test_figures_of_differences():
    figures = DifferenceStatistics.of(np.array([0.1, -0.1, 0.3, np.nan]))
    assert figures.count == 3
    assert figures.median_m == pytest.approx(0.1)
    assert figures.mean_absolute_m == pytest.approx(0.5 / 3)
    assert figures.nmad_m == pytest.approx(1.4826 * 0.2)
    with pytest.raises(ValueError, match="no differences"):
        DifferenceStatistics.of(np.array([np.nan]))


def test_rounded_figures_are_json():
    rounded = DifferenceStatistics.of(np.array([1.00004, -2.0])).rounded()
    assert json.loads(json.dumps(rounded)) == rounded
    assert (rounded["count"], rounded["largest_m"], rounded["mean_m"]) == (2, 2.0, -0.5)
