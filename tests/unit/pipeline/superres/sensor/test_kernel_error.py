"""Closed-form errors of kernels against simulated terrain and noise."""

import numpy as np
import pytest

from orograph.pipeline.sources.sensor import SensorModel
from orograph.pipeline.superres import resolver
from orograph.pipeline.superres.interpolants import interpolant_kernels
from orograph.pipeline.superres.sensor.kernel_error import kernel_error
from tests.support.sensors import power_law_terrain

AMPLITUDE = 2e4


def test_the_error_of_an_interpolant_is_that_on_simulated_terrain():
    terrain = power_law_terrain(600, seed=4, amplitude=AMPLITUDE)
    coarse = terrain[1::3, 1::3].astype(np.float32)
    fine, _ = resolver("keys6")(coarse, factor=3)
    error = (fine - terrain)[30:-30, 30:-30]
    expected = np.sqrt(AMPLITUDE * kernel_error("keys6", SensorModel.declared(30.0, False), (30.0, 30.0), 3).terrain)
    for phase in range(9):
        made = error[phase // 3 :: 3, phase % 3 :: 3]
        assert made.std() == pytest.approx(expected[phase], rel=0.08, abs=0.02), phase


def test_white_noise_passes_by_the_sum_of_squared_weights():
    noise = kernel_error("gdal-cubic", SensorModel(footprint_m=0.0, noise_m=1.0), (30.0, 30.0), 3).noise
    squares = np.square(interpolant_kernels("gdal-cubic", 3)).sum(axis=(1, 2))
    np.testing.assert_allclose(noise, squares)
