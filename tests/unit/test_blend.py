import numpy as np
import pytest

from pipeline.config import ProcessingSettings
from pipeline.grid import PixelWindow, Tile
from pipeline.job import Job
from pipeline.stages import Context, Layer, TileWindow
from pipeline.stages.blend import Blend

SIZE = 160


@pytest.fixture
def context():
    job = Job(Tile(4000, 3000), (), ProcessingSettings(blend_width_m=200.0))
    return Context(job, reader=None)  # type: ignore[arg-type]


def window(*layers):
    tile = Tile(4000, 3000)
    core = PixelWindow(0, 0, SIZE - 2, SIZE - 2)
    return TileWindow(core, 1, core.geobox(tile.geobox(10), 1), layers=layers)


def two_layers(step_m, rng=None):
    rows, cols = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    ground = 100 + 0.3 * cols + 5 * np.sin(rows / 9)
    upper = ground.copy()
    upper[:, 80:] = np.nan
    lower = ground + step_m
    if rng is not None:
        lower += rng.normal(0, 0.5, lower.shape)
    return ground, Layer(1, upper.astype(np.float32), 0.2), Layer(2, lower.astype(np.float32), 2.0)


def test_the_better_source_is_untouched_and_the_other_meets_it(context):
    ground, upper, lower = two_layers(3.0)
    out = Blend()(window(upper, lower), context)
    assert np.array_equal(out.heights_m[:, :80], upper.heights_m[:, :80])
    error = out.heights_m - ground
    assert np.abs(error[:, 80] - error[:, 79]).max() < 0.03
    assert np.abs(np.diff(error, axis=1)).max() < 3.0 * 1.5 / 20 + 0.01
    assert np.allclose(error[:, 105:], 3.0, atol=1e-4)
    assert (out.source_index[:, :80] == 1).all()
    assert (out.source_index[:, 80:] == 2).all()


def test_no_step_is_larger_at_the_seam_than_inside(context):
    ground, upper, lower = two_layers(2.0, np.random.default_rng(3))
    out = Blend()(window(upper, lower), context)
    steps = np.abs(np.diff(out.heights_m - ground, axis=1)).mean(axis=0)
    assert steps[79] <= steps[110:150].mean()


def test_voids_are_never_blended_in(context):
    _, upper, lower = two_layers(2.0)
    lower.heights_m[40:60, 90:100] = np.nan
    out = Blend()(window(upper, lower), context)
    assert np.isnan(out.heights_m[40:60, 90:100]).all()
    assert (out.source_index[40:60, 90:100] == 0).all()
    assert np.isfinite(out.heights_m).sum() == SIZE * SIZE - 200


def test_a_lone_layer_passes_as_it_is(context):
    _, _, lower = two_layers(0.0)
    out = Blend()(window(lower), context)
    assert np.array_equal(out.heights_m, lower.heights_m)
    assert (out.sigma_m == 2.0).all()
