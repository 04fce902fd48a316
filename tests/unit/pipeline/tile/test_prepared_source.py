"""One source on a window: zoom, shift, sampled heights, bounds."""

import numpy as np
import pytest

from orograph.pipeline.core.grid import PixelWindow
from orograph.pipeline.resampling.node_grid import Target
from orograph.pipeline.sources.sensor import bundled_sensor
from orograph.pipeline.superres.zoom import LARGEST_ZOOM, zoom_of
from orograph.pipeline.tile.assembly import TileAssembly
from orograph.pipeline.tile.prepared_source import SamplingPlan
from tests.support.planned import BOUNDS_M, job_of, paths_of


@pytest.fixture
def assembly(tmp_path):
    job = job_of(tmp_path)
    with TileAssembly(job, paths_of(job), tmp_path) as opened:
        yield opened


def target(assembly, window):
    return Target.of(window.geobox(assembly.job.tile.geobox(100.0), 0))


INSIDE = PixelWindow(260, 120, 20, 20)


@pytest.mark.parametrize(
    ("resolution_m", "pixel_size_m", "zoom"),
    [(10, 10, 1), (30, 10, 3), (25, 10, 3), (1, 10, 1), (1000, 10, LARGEST_ZOOM)],
)
def test_coarse_sources_are_upsampled_by_a_whole_factor(resolution_m, pixel_size_m, zoom):
    assert zoom_of(resolution_m, pixel_size_m) == zoom


def test_a_shift_moves_heights_and_widens_their_error(assembly):
    (source,) = assembly.sources
    before, sigma = source.layer(target(assembly, INSIDE)).heights_m, source.sigma_m
    source.shift((0.0, 0.0, 7.0), 3.0)
    np.testing.assert_allclose(source.layer(target(assembly, INSIDE)).heights_m, before + 7.0, atol=1e-3)
    assert source.sigma_m == pytest.approx(np.hypot(sigma, 3.0))


def test_outside_its_file_a_source_has_nothing(assembly):
    (source,) = assembly.sources
    away = target(assembly, PixelWindow(0, 400, 10, 10))
    assert source.layer(away) is None
    assert source.sampled(away) is None


def test_bounds_contain_the_file(assembly):
    west, south, east, north = assembly.sources[0].bounds_m()
    assert west <= BOUNDS_M[0]
    assert south <= BOUNDS_M[1]
    assert east >= BOUNDS_M[2]
    assert north >= BOUNDS_M[3]


def test_a_window_has_the_bits_of_a_larger_one(assembly):
    (source,) = assembly.sources
    source.horizontal_m = 3.0
    small = source.layer(target(assembly, PixelWindow(265, 125, 10, 8)))
    large = source.layer(target(assembly, INSIDE))
    cut = slice(5, 15), slice(5, 13)
    np.testing.assert_array_equal(small.sigma_m, large.sigma_m[cut])
    np.testing.assert_array_equal(small.heights_m, large.heights_m[cut])
    assert (small.sigma_m > source.sigma_m * 0.98).all()


def test_heights_of_the_same_pixels_have_no_resampling_error(tmp_path):
    job = job_of(tmp_path, described={"resolution_m": 50.0}, pixel_size_m=50.0)
    with TileAssembly(job, paths_of(job), tmp_path) as opened:
        (source,) = opened.sources
        geobox = job.tile.geobox(50.0)
        layer = source.layer(Target.of(PixelWindow(520, 240, 20, 20).geobox(geobox, 0)))
    assert layer.sigma_m == pytest.approx(source.sigma_m, rel=0.02)


def test_a_plan_names_the_resolver_below_the_stated_error():
    radar = bundled_sensor("srtm")
    upsampled = SamplingPlan.of((), 30.0, 10.0, "keys6", stated=radar)
    assert upsampled.resolver is upsampled.upscale.up
    assert upsampled.resolver.name == "keys6"
    kept = SamplingPlan.of((), 30.0, 30.0, "keys6", stated=radar)
    assert kept.upscale is not None, "it states the noise"
    assert kept.resolver is None
    assert SamplingPlan.of((), 30.0, 10.0, "sensor", sensor=radar).resolver.name == "sensor"
    assert SamplingPlan.of((), 10.0, 10.0, "keys6").resolver is None
