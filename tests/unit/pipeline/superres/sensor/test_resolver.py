"""The best linear filter for a sensor: unbiased, the same for any tiling, and better than interpolation where it should be."""

from __future__ import annotations

import numpy as np
import pytest

from orograph.pipeline.core.grid import Tile
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.job import Job
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.sources.refs import FileRef, SourceRef
from orograph.pipeline.sources.sensor import SensorModel, bundled_sensor
from orograph.pipeline.superres import resolver, takes_options, takes_sensor
from orograph.pipeline.superres.sensor.bank import LEVELS, filter_bank
from orograph.pipeline.superres.sensor.resolver import SensorFilter
from tests.support.made import source
from tests.support.sensors import power_law_terrain, seen_by

RADAR = SensorModel(footprint_m=30.0, noise_m=2.0, noise_per_slope_m=4.0, noise_range_m=20.0, step_m=1.0)
SAMPLES = SensorModel(footprint_m=0.0, noise_m=0.0)


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_filters_sum_to_one_and_follow_a_plane(factor):
    bank = filter_bank(RADAR, (20.0, 30.0), factor)
    assert bank.kernels.shape == (LEVELS.size, 169, factor * factor)
    np.testing.assert_allclose(bank.kernels.sum(axis=1), 1.0, atol=1e-9)
    rows, columns = np.mgrid[:160, :160]
    plane = (500.0 + 3.0 * columns - 2.0 * rows).astype(np.float32)
    fine, sigma = SensorFilter(RADAR)(plane, factor=factor, pixel_size_m=(20.0, 30.0))
    within = (np.arange(160 * factor) + 0.5) / factor - 0.5
    expected = 500.0 + 3.0 * within - 2.0 * within[:, None]
    inner = slice(30 * factor, -30 * factor)
    assert np.abs(fine - expected)[inner, inner].max() < 0.5
    assert sigma.min() > 0.0


def test_tilings_agree_to_the_bit_and_voids_stay():
    terrain = power_law_terrain(3 * 260, seed=4)
    coarse, _ = seen_by(RADAR, terrain, factor=3, seed=5)
    coarse[118:122, 130:139] = np.nan
    up = SensorFilter(RADAR)
    whole, sigma = up(coarse)
    np.testing.assert_array_equal(np.isnan(whole), np.kron(np.isnan(coarse), np.ones((3, 3))).astype(bool))
    halo = up.halo_px
    top, left = 101, 117
    part, part_sigma = up(
        np.ascontiguousarray(coarse[top - halo :, left - halo :]), origin_px=(top - halo, left - halo)
    )
    cut = (slice(3 * halo, None), slice(3 * halo, None))
    np.testing.assert_array_equal(part[cut], whole[3 * top :, 3 * left :])
    np.testing.assert_array_equal(part_sigma[cut], sigma[3 * top :, 3 * left :])


def test_a_radar_is_deblurred_and_its_error_is_stated():
    terrain = power_law_terrain(3 * 150, seed=1)
    coarse, inner = seen_by(RADAR, terrain, factor=3, seed=2)
    fine, sigma = resolver("sensor", sensor=RADAR)(coarse)
    cubic, _ = resolver("gdal-cubic")(coarse)
    error = np.abs(fine - terrain)[inner]
    assert rms(error) < 0.88 * rms((cubic - terrain)[inner])
    assert 0.62 < np.mean(error < sigma[inner]) < 0.76
    assert 0.92 < np.mean(error < 1.96 * sigma[inner]) < 0.98
    # Seen through the footprint again, the heights are the source's within its noise.
    again, _ = seen_by(RADAR.model_copy(update={"noise_m": 0.0, "noise_per_slope_m": 0.0, "step_m": 0.0}), fine, 3, 0)
    assert rms((again - coarse)[30:-30, 30:-30]) < 1.2 * 3.2


def test_flat_terrain_loses_its_noise():
    flat = np.full((360, 360), 400.0)
    coarse, inner = seen_by(RADAR, flat, factor=3, seed=7)
    fine, _ = SensorFilter(RADAR)(coarse)
    assert rms((fine - flat)[inner]) < 0.6 * 2.0
    denoised, _ = SensorFilter(RADAR)(coarse, factor=1)
    assert rms(denoised[30:-30, 30:-30] - 400.0) < 0.6 * 2.0


def test_a_valley_floor_does_not_get_the_relief_of_its_walls():
    wall = np.clip((np.abs(np.arange(450) - 225) - 45) / 60, 0.0, 1.0)
    terrain = 1000.0 + (power_law_terrain(450, seed=8) - 600.0) * wall
    coarse, inner = seen_by(RADAR, terrain, factor=3, seed=9)
    floor = (slice(inner[0].start, inner[0].stop), slice(195, 255))
    made = {
        name: resolver(name, **options)(coarse) for name, options in (("gdal-cubic", {}), ("sensor", {"sensor": RADAR}))
    }
    steep = {name: np.median(np.hypot(*np.gradient(fine[floor], 10.0))) for name, (fine, _) in made.items()}
    assert steep["sensor"] < 0.4 * steep["gdal-cubic"]
    fine, sigma = made["sensor"]
    assert np.mean(np.abs(fine - terrain)[floor] < sigma[floor]) > 0.6


def test_noise_free_samples_are_returned_and_means_are_sharpened():
    terrain = power_law_terrain(360, seed=3)
    samples = terrain[1::3, 1::3].astype(np.float32)
    fine, _ = SensorFilter()(samples, thinning=Thinning.DECIMATED)
    inner = slice(60, -60)
    assert np.abs(fine[1::3, 1::3] - samples)[20:-20, 20:-20].max() < 0.05
    means = terrain.reshape(120, 3, 120, 3).mean(axis=(1, 3)).astype(np.float32)
    fine, _ = SensorFilter()(means, thinning=Thinning.AVERAGED)
    cubic, _ = resolver("gdal-cubic")(means)
    assert rms((fine - terrain)[inner, inner]) < 0.9 * rms((cubic - terrain)[inner, inner])


def test_it_beats_cubic_and_the_filter_for_means_on_real_radar_heights(shared):
    from tests.support.davos import Davos

    davos = Davos.load(shared)
    made = {
        "cubic": resolver("gdal-cubic"),
        "means": resolver("best-linear"),
        "sensor": resolver("sensor", sensor=bundled_sensor("srtm")),
    }
    errors = {name: davos.errors(up, Thinning.AVERAGED) for name, up in made.items()}
    assert errors["sensor"].rmse_m < 0.9 * errors["cubic"].rmse_m
    assert errors["sensor"].slope_rmse_deg < 0.88 * errors["cubic"].slope_rmse_deg
    assert errors["sensor"].rmse_m < 0.9 * errors["means"].rmse_m


def test_options_are_those_a_filter_has():
    assert takes_sensor("sensor")
    assert not takes_options("sensor")
    assert not takes_sensor("keys6")
    assert resolver("sensor", noise_m=2.0)(np.zeros((40, 40), np.float32))[1].shape == (120, 120)
    with pytest.raises(ConfigError, match="'sensor' takes only the options noise_m, sensor, given are gate"):
        resolver("sensor", gate=True)
    with pytest.raises(ConfigError, match="'keys6' takes no options, given are sensor"):
        resolver("keys6", sensor=RADAR)


def test_the_sensor_is_in_the_run_key_where_it_is_used(tmp_path):
    file = FileRef(href="a.tif", etag="x", size_bytes=1)

    def key(superres, **described):
        ref = SourceRef(source=source(tmp_path / "a.tif", resolution_m=30.0, **described), files=(file,))
        job = Job(tile=Tile(4200, 3000), sources=(ref,), settings=ProcessingSettings(superres=superres))
        return job.run_key

    noted = bundled_sensor("srtm").model_copy(update={"origin": "elsewhere"})
    assert key("keys6") != key("keys6", sensor=RADAR), "its noise is in the stated error"
    assert key("sensor") != key("sensor", sensor=RADAR) != key("sensor", sensor=bundled_sensor("srtm"))
    assert key("sensor", sensor=bundled_sensor("srtm")) == key("sensor", sensor=noted)
