from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from orograph.pipeline.core.grid import PixelWindow, Tile
from orograph.pipeline.job import Job
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.refs import FileRef, SourceRef
from orograph.pipeline.tile.stages import Context, Layer, TileWindow
from orograph.pipeline.tile.stages.blend import Blend
from tests.support.made import source

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


def test_what_bare_earth_lowered_is_told_where_its_source_shows(context):
    _, upper, lower = two_layers(3.0)
    share = np.linspace(0, 1, SIZE, dtype=np.float32) * np.ones((SIZE, 1), np.float32)
    assert Blend()(window(upper, lower), context).lowered is None
    out = Blend()(window(upper, replace(lower, lowered=share)), context)
    assert (out.lowered[:, :80] == 0).all()
    assert np.array_equal(out.lowered[:, 80:], share[:, 80:])
    out = Blend()(window(replace(upper, lowered=share), lower), context)
    assert np.array_equal(out.lowered[:, :80], share[:, :80])
    assert (out.lowered[:, 80:] == 0).all()
    best = replace(lower, index=1, lowered=share)
    assert np.array_equal(Blend()(window(best, upper), context).lowered, share)


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


def hole(size=80, left_m=1.0, right_m=-1.0, width=12):
    """A long hole in the better source, the lesser one too low on its left bank and too high on its right."""
    rows, cols = np.mgrid[0:size, 0:size].astype(np.float32)
    ground = (200 + 2 * np.sin(rows / 7) + 0.1 * cols).astype(np.float32)
    upper = ground.copy()
    start = size // 2 - width // 2
    upper[10:-10, start : start + width] = np.nan
    tilt = np.clip((cols - start) / width, 0, 1)
    return ground, upper, (ground - left_m * (1 - tilt) - right_m * tilt).astype(np.float32), start


def merged(context, upper, lower, at=(0, 0), halo=1):
    tile = Tile(4000, 3000)
    rows, cols = upper.shape
    core = PixelWindow(at[0] + halo, at[1] + halo, rows - 2 * halo, cols - 2 * halo)
    geobox = core.geobox(tile.geobox(10), halo)
    return Blend()(TileWindow(core, halo, geobox, layers=(Layer(1, upper, 0.2), Layer(2, lower, 2.0))), context)


def test_a_hole_is_crossed_without_a_crease(context):
    ground, upper, lower, start = hole()
    error = merged(context, upper, lower).heights_m - ground
    across = error[40]
    assert np.abs(np.diff(across)).max() < 0.25, "two metres of difference within twelve pixels, nowhere a jump"
    assert abs(across[start] - across[start - 1]) < 0.1
    nearest_only = np.where(np.arange(12) < 6, 1.0, -1.0)
    assert np.abs(np.diff(nearest_only)).max() == 2.0


def test_windows_agree_bit_for_bit(context):
    rng = np.random.default_rng(8)
    ground = rng.normal(0, 1, (320, 320)).cumsum(axis=0).astype(np.float32) + 300
    upper, lower = ground.copy(), ground + rng.normal(1, 0.5, ground.shape).astype(np.float32)
    upper[:, 170:] = np.nan
    upper[60:90, 90:140] = np.nan
    upper[rng.random(upper.shape) < 0.02] = np.nan
    whole = merged(context, upper, lower).heights_m
    halo = Blend().halo_px(context.job)
    for row, col in ((0, 0), (37, 81), (60, 101)):
        part = merged(
            context, upper[row : row + 200, col : col + 200], lower[row : row + 200, col : col + 200], (row, col)
        )
        inner = (slice(halo, 200 - halo),) * 2
        there = (slice(row + halo, row + 200 - halo), slice(col + halo, col + 200 - halo))
        np.testing.assert_array_equal(part.heights_m[inner], whole[there])


def test_the_sea_is_not_lifted_to_the_land(context):
    _, cols = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    land = np.maximum(0.2 * (90 - cols), 0).astype(np.float32)
    upper = np.where(cols < 80, land, np.nan).astype(np.float32)
    lower = np.where(land > 0, land + 3, 0).astype(np.float32)
    out = merged(context, upper, lower)
    assert (out.heights_m[:, 91:] == 0).all()
    assert np.abs(out.heights_m[:, 80] - land[:, 80]).max() < 0.15
    assert np.array_equal(out.heights_m[:, :80], upper[:, :80])


def test_one_sea_of_two_levels_is_joined_gently(context):
    _, cols = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    upper = np.where(cols < 80, np.float32(0.2), np.float32(np.nan)).astype(np.float32)
    out = merged(context, upper, np.zeros((SIZE, SIZE), np.float32))
    assert np.abs(np.diff(out.heights_m, axis=1)).max() < 0.02
    assert (out.heights_m[:, 101:] == 0).all()


def test_a_third_source_meets_two_that_were_bent(context):
    rows, cols = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    first = np.where(cols < 50, np.float32(10), np.nan).astype(np.float32)
    second = np.where((cols < 110) & (rows < 80), np.float32(12), np.nan).astype(np.float32)
    third = np.full((SIZE, SIZE), 7, np.float32)
    out = Blend()(window(Layer(1, first, 0.1), Layer(2, second, 0.2), Layer(3, third, 4.0)), context)
    assert np.isfinite(out.heights_m).all()
    for axis in (0, 1):
        assert np.abs(np.diff(out.heights_m, axis=axis)).max() < 0.75
    assert out.heights_m[155, 155] == 7
    assert set(np.unique(out.source_index)) == {1, 2, 3}


def test_three_sources_agree_between_windows_too():
    rng = np.random.default_rng(9)
    ref = SourceRef(source=source(Path("x.tif")), files=(FileRef(href="x.tif", etag="sha256:0", size_bytes=1),))
    job = Job(Tile(4000, 3000), (ref, ref, ref), ProcessingSettings(blend_width_m=100.0))
    ground = rng.normal(0, 1, (300, 300)).cumsum(axis=0).astype(np.float32) + 300
    tops = [ground + rng.normal(k, 0.5, ground.shape).astype(np.float32) for k in range(3)]
    tops[0][:, 140:] = np.nan
    tops[1][:, 165:] = np.nan
    tops[1][130:] = np.nan
    halo = Blend().halo_px(job)

    def made(row, col, size):
        core = PixelWindow(row + 1, col + 1, size - 2, size - 2)
        part = (slice(row, row + size), slice(col, col + size))
        layers = tuple(Layer(k + 1, top[part], 1.0) for k, top in enumerate(tops))
        window = TileWindow(core, 1, core.geobox(Tile(4000, 3000).geobox(10), 1), layers=layers)
        return Blend()(window, Context(job, reader=None)).heights_m

    whole = made(0, 0, 300)
    part = made(31, 47, 220)
    assert 2 * halo < 200
    np.testing.assert_array_equal(part[halo:-halo, halo:-halo], whole[31 + halo : 251 - halo, 47 + halo : 267 - halo])
