"""Local statistics: noise from slope, amplitude from relief, the same for any tiling."""

import numpy as np
import pytest

from orograph.pipeline.sources.sensor import SensorModel
from orograph.pipeline.superres.sensor.bank import LEAST_NOISE_M
from orograph.pipeline.superres.sensor.relief import (
    HALO_PX,
    REACH_PX,
    band_energies,
    gaussian_taps,
    noise_by_slope,
    relief,
    slope_squared,
)

SENSOR = SensorModel(footprint_m=15.0, noise_m=1.5, noise_per_slope_m=4.0)
SIZE = (30.0, 30.0)


def statistics(context, origin=(0, 0)):
    inner = (context.shape[0] - 2 * REACH_PX, context.shape[1] - 2 * REACH_PX)
    return relief(context, np.ones(inner, bool), SENSOR, SIZE, origin)


def test_gaussian_taps_sum_to_one_and_are_symmetric():
    taps = gaussian_taps(2.0, 5)
    assert taps.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(taps, taps[::-1])


def test_noise_grows_with_the_slope():
    rows, cols = np.mgrid[0:60, 0:60]
    plane = 15.0 * cols + 0.0 * rows
    noise = noise_by_slope(slope_squared(plane, SIZE, 2.0), SENSOR)
    assert noise[30, 30] == pytest.approx(np.hypot(1.5, 4.0 * 0.5))
    silent = SensorModel(footprint_m=0.0, noise_m=0.0)
    np.testing.assert_array_equal(noise_by_slope(slope_squared(plane, SIZE, 2.0), silent), LEAST_NOISE_M)


def test_rougher_terrain_has_the_larger_amplitude():
    heights = np.random.default_rng(0).normal(0, 3, (80, 80)).cumsum(axis=0).cumsum(axis=1)
    small, large = statistics(heights), statistics(5 * heights)
    assert (large.amplitude > small.amplitude).all()
    assert (small.noise_m >= 1.5).all()
    assert min(band_energies(SENSOR, SIZE)) > 0


def test_a_level_floor_between_slopes_is_calmer_than_they_are():
    rng = np.random.default_rng(2)
    rough = rng.normal(0, 3, (120, 120)).cumsum(axis=0).cumsum(axis=1)
    wall = np.clip((np.abs(np.arange(120) - 60) - 14) / 10, 0.0, 1.0)
    found = statistics(rough * wall + 400.0 * wall)
    floor, side = (found.amplitude[30:60, column] for column in (60 - REACH_PX, 30 - REACH_PX))
    stated = found.stated_amplitude[30:60, 60 - REACH_PX]
    assert np.median(floor) < 0.05 * np.median(side)
    assert (floor < stated).all()
    assert np.median(stated) < np.median(found.stated_amplitude[30:60, 30 - REACH_PX])


def test_the_stated_error_sees_a_cliff_that_the_filter_smooths():
    cliff = 300.0 * (np.arange(120) > 60)[None, :] + np.random.default_rng(3).normal(0, 1, (120, 120))
    found = statistics(cliff)
    at_cliff = (slice(30, 60), slice(58 - REACH_PX, 63 - REACH_PX))
    assert found.stated_noise_m[at_cliff].max() > 1.5 * found.noise_m[at_cliff].max()
    assert found.stated_amplitude[at_cliff].mean() > 2.0 * found.amplitude[at_cliff].mean()


def test_terrain_that_is_level_everywhere_is_not_calmed():
    found = statistics(np.random.default_rng(4).normal(0, 2, (120, 120)))
    assert np.ptp(np.log(found.amplitude[20:-20, 20:-20] / found.stated_amplitude[20:-20, 20:-20])) < 1.0


def test_a_tiling_with_halo_gives_the_same_bits():
    heights = np.random.default_rng(1).normal(0, 3, (220, 200)).cumsum(axis=0).cumsum(axis=1)
    whole = statistics(heights)
    top = 24
    part = statistics(heights[top:], (top, 0))
    for name in ("amplitude", "noise_m", "stated_amplitude", "stated_noise_m", "error_factor"):
        np.testing.assert_array_equal(getattr(part, name)[HALO_PX:], getattr(whole, name)[top + HALO_PX :])
