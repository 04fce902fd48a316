"""Stated errors of interpolated heights: coverage on terrain with known errors, windows, noise."""

import numpy as np
import pytest

from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.sources.sensor import SensorModel
from orograph.pipeline.superres import resolver
from orograph.pipeline.superres.interpolation_error import StatedError, resampling_error, resampling_reach_px
from tests.support.sensors import power_law_terrain, seen_by

INNER = (slice(40, -40), slice(40, -40))


@pytest.fixture(scope="module")
def terrain():
    return power_law_terrain(600, seed=7)


def within(error, sigma):
    return float((np.abs(error) < sigma).mean()), float((np.abs(error) < 1.96 * sigma).mean())


@pytest.mark.parametrize("averaged", [False, True])
def test_bands_cover_the_errors_of_an_interpolant(terrain, averaged):
    coarse = terrain.reshape(200, 3, 200, 3).mean(axis=(1, 3)) if averaged else terrain[1::3, 1::3]
    mode = Thinning.AVERAGED if averaged else Thinning.DECIMATED
    fine, sigma = StatedError(resolver("keys6"))(coarse.astype(np.float32), factor=3, thinning=mode)
    error = (fine - terrain)[INNER]
    off_samples = np.abs(error) > (-1.0 if averaged else 1e-3)
    inner, outer = within(error[off_samples], sigma[INNER][off_samples])
    assert 0.62 <= inner <= 0.74
    assert 0.92 <= outer <= 0.98


def test_the_noise_of_a_sensor_is_in_the_error(terrain):
    sensor = SensorModel(footprint_m=20.0, noise_m=2.0, noise_per_slope_m=5.0, noise_range_m=20.0)
    coarse, inner = seen_by(sensor, terrain, 3, seed=3)
    fine, sigma = StatedError(resolver("keys6"), sensor)(coarse, factor=3)
    near, far = within((fine - terrain)[inner], sigma[inner])
    assert 0.62 <= near <= 0.76
    assert 0.92 <= far <= 0.98


def test_planes_have_no_error_and_windows_agree():
    plane = (np.add.outer(np.arange(30), 2 * np.arange(30)) * 4.0).astype(np.float32)
    assert StatedError(resolver("keys6"))(plane)[1][9:-9, 9:-9].max() < 1e-3
    rough = np.random.default_rng(0).normal(0, 1, (40, 40)).astype(np.float32)
    up = StatedError(resolver("bilinear"))
    whole, part = up(rough)[1], up(rough[8:, 5:], origin_px=(8, 5))[1]
    halo = up.halo_px * 3
    np.testing.assert_array_equal(part[halo:-halo, halo:-halo], whole[24 + halo : -halo, 15 + halo : -halo])


def test_a_resampling_by_half_a_pixel_stays_within_its_error(terrain):
    coarse = terrain[::4, ::4].astype(np.float32)
    fine, _ = resolver("gdal-cubic")(coarse, factor=2)
    # Fine pixels of a factor of two are a quarter of a coarse pixel, 10 m, away from its centre.
    error = fine[1::2, 1::2] - terrain[1::4, 1::4]
    sigma = resampling_error(fine[1::2, 1::2], 40.0, averaged=False, origin_px=(0, 0))
    reach = resampling_reach_px()
    core = (slice(reach, -reach), slice(reach, -reach))
    assert np.sqrt(np.mean(np.square(error[core]))) < np.sqrt(np.mean(np.square(sigma[core]))) < 3 * error[core].std()


def test_a_resolvers_own_error_grows_on_cliffs_only_without_a_sensor():
    slope = (np.arange(40, dtype=np.float32) * 30.0)[None, :] + np.zeros((40, 1), np.float32)
    sensor = SensorModel(footprint_m=20.0, noise_m=2.0)
    for up, factor in ((resolver("sensor"), np.sqrt(1.3)), (resolver("sensor", sensor=sensor), 1.0)):
        own, stated = up(slope)[1], StatedError(up)(slope)[1]
        np.testing.assert_allclose(stated[20:-20, 20:-20] / own[20:-20, 20:-20], factor, rtol=2e-3)
