"""Footprint and noise from spectra alone, on simulated sensors."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine

from orograph.pipeline.errors import InputError
from orograph.pipeline.learning.sensors.alone import characterise_alone
from orograph.pipeline.learning.sensors.characterise import characterise
from orograph.pipeline.learning.sensors.grids import HeightGrid
from orograph.pipeline.sources.sensor import SensorModel
from tests.support.sensors import power_law_terrain, seen_by

GRID = Affine(30, 0, 4_300_000, 0, -30, 3_100_000)


RADAR = SensorModel(footprint_m=33.0, noise_m=2.0, noise_per_slope_m=4.0, noise_range_m=25.0, step_m=1.0)
QUIET = SensorModel(footprint_m=14.0, noise_m=0.5, noise_per_slope_m=1.0, noise_range_m=15.0)


def characterised(sensor, amplitude):
    terrain = power_law_terrain(3 * 230, seed=21, amplitude=amplitude)
    coarse, _ = seen_by(sensor, terrain, factor=3, seed=22)
    valid = np.ones(coarse.shape, bool)
    return characterise_alone(HeightGrid(coarse.astype(float), valid, (30.0, 30.0), GRID, "EPSG:3035", sensor.step_m))


def footprint(parameters):
    return np.sqrt(parameters.footprint_m * parameters.footprint_rows_m)


def noise(parameters, slope):
    return np.hypot(parameters.noise_m, slope * parameters.noise_per_slope_m)


@pytest.mark.parametrize(("sensor", "amplitude"), [pytest.param(RADAR, 6e4, marks=pytest.mark.slow), (QUIET, 2e4)])
def test_the_footprint_is_found_where_terrain_stands_out_of_the_noise(sensor, amplitude):
    found = characterised(sensor, amplitude)
    assert footprint(found.parameters) == pytest.approx(sensor.footprint_m, rel=0.1)
    assert found.errors.footprint_m < 0.5 * sensor.footprint_m


@pytest.mark.parametrize(
    ("sensor", "amplitude", "slope"), [pytest.param(RADAR, 6e4, 0.3, marks=pytest.mark.slow), (QUIET, 1e2, 0.05)]
)
def test_noise_is_found_where_it_stands_out_of_the_terrain(sensor, amplitude, slope):
    found = characterised(sensor, amplitude)
    assert noise(found.parameters, slope) == pytest.approx(noise(sensor, slope), rel=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("amplitude", [1e2, 2e4])
def test_the_stated_error_covers_what_spectra_do_not_hold(amplitude):
    found = characterised(QUIET, amplitude)
    assert abs(footprint(found.parameters) - QUIET.footprint_m) < 2.0 * found.errors.footprint_m + 1.0
    assert abs(found.parameters.noise_m - QUIET.noise_m) < 2.0 * found.errors.noise_m


@pytest.mark.slow
def test_a_radar_over_mountains_says_that_its_footprint_is_not_determined(shared):
    found = characterise(shared("data/pairs/davos_west_srtm1.tif"))
    assert "do not determine its footprint" in found.origin
    for footprint, lidar in zip(found.sigmas_m, (30.3, 35.5), strict=True):
        assert abs(footprint - lidar) < 1.5 * found.errors.footprint_m


def test_water_and_small_rasters_give_no_windows():
    flat = np.zeros((200, 200))
    water = HeightGrid(flat, np.zeros(flat.shape, bool), (30.0, 30.0), GRID, "EPSG:3035", 1.0)
    with pytest.raises(InputError, match="0 windows of 32 pixels"):
        characterise_alone(water)
