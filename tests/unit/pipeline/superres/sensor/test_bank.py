"""Filters of a sensor: exact on planes, calmer where terrain is small against the noise."""

import numpy as np
import pytest

from orograph.pipeline.sources.sensor import SensorModel
from orograph.pipeline.superres.sensor.bank import LEVELS, RADIUS_PX, filter_bank, noise_correlation, step_share

RADAR = SensorModel(footprint_m=30.0, noise_m=2.0, noise_range_m=20.0, step_m=1.0)


@pytest.fixture(scope="module")
def bank():
    return filter_bank(RADAR, (30.0, 30.0), 1)


def test_filters_return_planes(bank):
    steps = np.arange(-RADIUS_PX, RADIUS_PX + 1.0)
    rows, cols = (part.ravel() for part in np.meshgrid(steps, steps, indexing="ij"))
    kernels = bank.kernels[..., 0]
    np.testing.assert_allclose(kernels.sum(axis=1), 1.0, atol=1e-8)
    np.testing.assert_allclose(kernels @ rows, 0.0, atol=1e-7)
    np.testing.assert_allclose(kernels @ cols, 0.0, atol=1e-7)


def test_more_relief_leaves_more_weight_to_the_centre(bank):
    centre = bank.kernels[:, bank.kernels.shape[1] // 2, 0]
    assert bank.kernels.shape[0] == LEVELS.size
    assert centre[0] < 0.1
    assert centre[-1] > 0.5
    assert (bank.terrain >= 0).all()
    assert (np.diff(bank.terrain[:, 0]) <= 1e-12).all(), "less smoothing misses less terrain"
    assert (np.diff(bank.noise[:, 0]) >= 0).all(), "and passes more noise"


def test_noise_is_correlated_over_its_range_and_rounding_is_white():
    share = step_share(RADAR)
    assert share == pytest.approx((1 / 12) / (4 + 1 / 12), rel=1e-6)
    distance = np.array([0.0, 1e-6, 20.0, 1e4])
    found = noise_correlation(RADAR, distance, np.zeros(4))
    np.testing.assert_allclose(found, [1.0, 1 - share, (1 - share) * 2 / np.e, 0.0], atol=1e-6)
    assert step_share(SensorModel(footprint_m=0.0, noise_m=0.0)) == 0.0
