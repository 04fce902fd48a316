"""A sensor's footprint and noise are found again against the terrain they were simulated on."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine

from orograph.pipeline.errors import InputError
from orograph.pipeline.learning.sensors.grids import HeightGrid
from orograph.pipeline.learning.sensors.pair import Overlap, characterise_pair
from orograph.pipeline.sources.sensor import SensorModel
from tests.support.sensors import power_law_terrain, seen_by


def heights(values, pixel_m, step_m=0.0, offset_m=0.0):
    grid = Affine(pixel_m, 0, 4_300_000 + offset_m, 0, -pixel_m, 3_100_000)
    valid = np.ones(values.shape, bool)
    return HeightGrid(values.astype(np.float64), valid, (pixel_m, pixel_m), grid, "EPSG:3035", step_m)


@pytest.mark.parametrize(
    "sensor",
    [
        SensorModel(footprint_m=33.0, noise_m=2.4, noise_per_slope_m=10.0, noise_range_m=25.0, step_m=1.0),
        SensorModel(footprint_m=12.0, footprint_rows_m=18.0, noise_m=0.5, noise_per_slope_m=3.0, noise_range_m=15.0),
    ],
)
def test_footprint_within_a_tenth_and_noise_within_15_percent(sensor):
    terrain = power_law_terrain(3 * 130, seed=11)
    coarse, _ = seen_by(sensor, terrain, factor=3, seed=12)
    # The source lies 4 m east of where its grid says.
    overlap = Overlap.of(heights(coarse, 30.0, sensor.step_m, offset_m=4.0), heights(terrain, 10.0))
    found = characterise_pair(overlap)
    assert (found.parameters.footprint_m, found.parameters.footprint_rows_m) == pytest.approx(sensor.sigmas_m, rel=0.1)
    assert found.parameters.noise_per_slope_m == pytest.approx(sensor.noise_per_slope_m, rel=0.15)
    noise = np.hypot(found.parameters.noise_m, 0.3 * found.parameters.noise_per_slope_m)
    assert noise == pytest.approx(np.hypot(sensor.noise_m, 0.3 * sensor.noise_per_slope_m), rel=0.15)
    assert found.parameters.noise_range_m == pytest.approx(sensor.noise_range_m, rel=0.15)
    assert 0.0 < found.errors.footprint_m < 4.0


@pytest.mark.slow
def test_the_real_radar_over_lidar_has_a_footprint_of_30_to_36_m(shared):
    source = HeightGrid.read(shared("data/pairs/davos_west_srtm1.tif"))
    terrain = HeightGrid.read(shared("data/dtm/davos_10m.tif"))
    found = characterise_pair(Overlap.of(source, terrain, terrain.heights_m > 2050.0))
    assert found.step_m == 1.0
    assert found.parameters.footprint_m == pytest.approx(33.0, abs=5.0)
    assert found.parameters.footprint_rows_m == pytest.approx(33.0, abs=5.0)
    assert found.errors.footprint_m < 3.0


def test_too_small_an_overlap_is_rejected():
    terrain = power_law_terrain(90, seed=1)
    with pytest.raises(InputError, match="are on the finer model"):
        Overlap.of(heights(terrain[1::3, 1::3], 30.0), heights(terrain, 10.0))
