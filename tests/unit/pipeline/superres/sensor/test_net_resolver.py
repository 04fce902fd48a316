"""The network on top of a sensor's filter: the same for any tiling, turning with the terrain, and bounded."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from orograph.pipeline.core.bundled_weights import bundled_index
from orograph.pipeline.core.grid import Tile
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.job import Job
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.refs import FileRef, SourceRef
from orograph.pipeline.sources.sensor import SensorModel
from orograph.pipeline.superres import resolver, takes_options, takes_sensor
from orograph.pipeline.superres.sensor.network import BOUND
from orograph.pipeline.superres.sensor.resolver import SensorFilter
from tests.support.made import source
from tests.support.sensors import power_law_terrain, seen_by

RADAR = SensorModel(
    footprint_m=30.0, footprint_rows_m=24.0, noise_m=2.0, noise_per_slope_m=4.0, noise_range_m=20.0, step_m=1.0
)


@pytest.fixture(scope="module")
def coarse():
    heights, _ = seen_by(RADAR, power_law_terrain(3 * 200, seed=4), factor=3, seed=5)
    heights[138:142, 150:159] = np.nan
    return heights


@pytest.fixture(scope="module")
def whole(coarse):
    return resolver("sensor-net", sensor=RADAR)(coarse)


def test_tilings_agree_to_the_bit_and_voids_stay(coarse, whole):
    fine, sigma = whole
    np.testing.assert_array_equal(np.isnan(fine), np.kron(np.isnan(coarse), np.ones((3, 3))).astype(bool))
    up = resolver("sensor-net", sensor=RADAR)
    halo = up.halo_px
    top, left = 113, 131
    start = (top - halo, left - halo)
    part, part_sigma = up(np.ascontiguousarray(coarse[start[0] :, start[1] :]), origin_px=start)
    cut = (slice(3 * halo, None), slice(3 * halo, None))
    np.testing.assert_array_equal(part[cut], fine[3 * top :, 3 * left :])
    np.testing.assert_array_equal(part_sigma[cut], sigma[3 * top :, 3 * left :])


def test_corrections_are_bounded_and_fade_at_voids_and_borders(coarse, whole):
    filtered, sigma = SensorFilter(RADAR)(coarse)
    np.testing.assert_array_equal(whole[1], sigma)
    change = np.abs(whole[0] - filtered)
    assert 0.05 < np.nanmean(change / sigma) < np.nanmax(change / sigma) < 3.0 * BOUND
    assert np.nanmax(change[:6]) == 0.0
    assert np.nanmax(change[138 * 3 - 6 : 142 * 3 + 6, 450:477]) == 0.0


def test_it_turns_with_the_terrain(coarse, whole):
    turned = RADAR.model_copy(update={"footprint_m": 24.0, "footprint_rows_m": 30.0})
    fine, _ = resolver("sensor-net", sensor=turned)(np.ascontiguousarray(np.rot90(coarse)))
    inner = (slice(300, -30), slice(300, -30))
    # Cells of the amplitude do not turn, so heights agree to a small share of the error only.
    np.testing.assert_allclose(np.rot90(fine, -1)[inner], whole[0][inner], atol=0.6)


def test_outside_of_its_training_it_is_the_filter(caplog):
    heights, _ = seen_by(RADAR, power_law_terrain(3 * 60, seed=2), factor=3, seed=3)
    wide = RADAR.model_copy(update={"footprint_m": 80.0})
    with caplog.at_level(logging.WARNING):
        fine, _ = resolver("sensor-net", sensor=wide)(heights)
        twice, _ = resolver("sensor-net", sensor=RADAR)(heights, factor=2)
    np.testing.assert_array_equal(fine, SensorFilter(wide)(heights)[0])
    np.testing.assert_array_equal(twice, SensorFilter(RADAR)(heights, factor=2)[0])
    assert [record.getMessage().split(": ")[0] for record in caplog.records] == [
        "sensor-net was not trained for a footprint of 80 m",
        "sensor-net was not trained for a factor of 2",
    ]


def test_it_needs_a_sensor_model_and_takes_its_options_only():
    assert takes_sensor("sensor-net")
    assert not takes_options("sensor-net")
    with pytest.raises(ConfigError, match="sensor-net needs a sensor model"):
        resolver("sensor-net")
    with pytest.raises(ConfigError, match="takes only the options device, precision, sensor, weights, given are gate"):
        resolver("sensor-net", sensor=RADAR, gate=True)
    assert resolver("sensor-net", sensor=RADAR).sha256 == bundled_index("sensor-net")["sensor-net"]["sha256"]


def test_the_sensor_model_is_in_the_run_key(tmp_path):
    file = FileRef(href="a.tif", etag="x", size_bytes=1)

    def key(sensor):
        ref = SourceRef(source=source(tmp_path / "a.tif", resolution_m=30.0, sensor=sensor), files=(file,))
        return Job(tile=Tile(4200, 3000), sources=(ref,), settings=ProcessingSettings(superres="sensor-net")).run_key

    assert key(RADAR) != key(RADAR.model_copy(update={"noise_m": 2.5}))
