"""Errors of a bare-earth estimate: known answers, voids, no pixel."""

import numpy as np
import pytest

from orograph.pipeline.errors import NoTrainingPixels
from orograph.pipeline.learning.bare_earth.metrics import GroundMetrics

GROUND = np.zeros(5)
SURFACE = np.array([0.0, 0.2, 10.0, 20.0, np.nan])
ESTIMATE = np.array([0.0, 0.2, 1.0, -3.0, 99.0])


def test_covered_and_open_terrain_are_told_apart():
    found = GroundMetrics.between(ESTIMATE, GROUND, SURFACE)
    assert found.covered_mae_m == pytest.approx(2.0)
    assert found.open_mae_m == pytest.approx(0.1)
    assert found.bias_m == pytest.approx(-0.45)
    assert found.rmse_m == pytest.approx(np.sqrt((0.04 + 1 + 9) / 4))
    assert found.covered_fraction == 0.5


def test_only_chosen_pixels_count():
    found = GroundMetrics.between(ESTIMATE, GROUND, SURFACE, among=np.array([True, True, False, False, True]))
    assert np.isnan(found.covered_mae_m)
    assert found.rmse_m == pytest.approx(np.sqrt(0.02))


def test_without_pixels_there_is_a_typed_error():
    with pytest.raises(NoTrainingPixels):
        GroundMetrics.between(ESTIMATE, GROUND * np.nan, SURFACE)
