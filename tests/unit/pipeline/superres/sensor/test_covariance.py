"""Terrain covariances in closed form against their spectra."""

from __future__ import annotations

import numpy as np
import pytest

from orograph.pipeline.superres.sensor.covariance import (
    OCTAVE_VARIANCE,
    SPECTRAL_SLOPE,
    Prior,
    matern,
    matern_power,
)

GRID = np.fft.fftfreq(512) * 512 * 10.0


def spectrum_of(covariance):
    """Power density of a covariance sampled every 10 m."""
    return np.fft.fft2(covariance).real * 100.0


def test_the_mixture_is_a_power_law_between_its_scales():
    frequency = 1.0 / np.array([20.0, 50.0, 100.0, 300.0])
    np.testing.assert_allclose(Prior.power_law().power(frequency), (100.0 * frequency) ** -SPECTRAL_SLOPE, rtol=1e-3)


@pytest.mark.parametrize("passes", [1, 2])
def test_a_covariance_has_the_spectrum_seen_through_the_footprint(passes):
    prior = Prior.power_law()
    covariance = prior.covariance(GRID[None, :], GRID[:, None], (30.0, 15.0), passes)
    frequency = np.fft.fftfreq(512, 10.0)
    across, along = frequency[None, :], frequency[:, None]
    footprint = np.exp(-2.0 * np.pi**2 * passes * ((30.0 * across) ** 2 + (15.0 * along) ** 2))
    expected = prior.power(np.hypot(across, along)) * footprint
    seen = expected > 1e-6
    np.testing.assert_allclose(spectrum_of(covariance)[seen], expected[seen], rtol=0.05, atol=1e-6)


def test_relief_is_the_variance_of_one_octave():
    frequency = np.linspace(1.0 / 200.0, 1.0 / 100.0, 2001)
    density = 2.0 * np.pi * frequency * Prior.power_law().power(frequency)
    assert np.trapezoid(density, frequency) == pytest.approx(OCTAVE_VARIANCE, rel=1e-3)


def test_noise_has_the_spectrum_of_its_correlation():
    covariance = matern(np.hypot(GRID[None, :], GRID[:, None]), 40.0)
    frequency = np.fft.fftfreq(512, 10.0)
    expected = matern_power(np.hypot(frequency[None, :], frequency[:, None]), 40.0)
    low = expected > 50.0
    np.testing.assert_allclose(spectrum_of(covariance)[low], expected[low], rtol=0.05)
    np.testing.assert_array_equal(matern(np.array([0.0, 10.0]), 0.0), [1.0, 0.0])
