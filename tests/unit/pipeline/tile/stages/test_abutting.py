from dataclasses import replace

import numpy as np
import pytest

from orograph.pipeline.core.grid import PixelWindow, Tile
from orograph.pipeline.job import Job
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.tile.stages import Context, Layer, TileWindow
from orograph.pipeline.tile.stages.abutting import halo_px, rim_differences
from orograph.pipeline.tile.stages.blend import Blend

SIZE = 160
EDGE = 80


def context(**settings):
    return Context(Job(Tile(4000, 3000), (), ProcessingSettings(blend_width_m=200.0, **settings)), reader=None)  # type: ignore[arg-type]


def window(*layers):
    core = PixelWindow(2, 2, SIZE - 4, SIZE - 4)
    return TileWindow(core, 2, core.geobox(Tile(4000, 3000).geobox(10), 2), layers=layers)


def terrain():
    """Hills with a slope and a curvature across the border."""
    rows, cols = np.mgrid[0:SIZE, 0:SIZE].astype(np.float64)
    return 100 + 1.5 * cols + 0.02 * (cols - EDGE) ** 2 + 8 * np.sin(rows / 11) + 3 * np.sin(cols / 13)


def abutting(step_m, sigma_m=0.2, gap=0, noise_m=0.0):
    ground = terrain() + np.random.default_rng(2).normal(0, noise_m, (SIZE, SIZE))
    upper, lower = ground.copy(), ground + step_m
    upper[:, EDGE:] = np.nan
    lower[:, : EDGE + gap] = np.nan
    layers = (upper.astype(np.float32), lower.astype(np.float32))
    return ground, Layer(1, layers[0], sigma_m), Layer(2, layers[1], sigma_m)


@pytest.mark.parametrize("gap", [0, 1])
def test_the_lesser_of_two_abutting_models_meets_the_better(gap):
    ground, upper, lower = abutting(0.5, gap=gap)
    told = context()
    out = Blend()(window(upper, lower), told)
    assert np.array_equal(out.heights_m[:, :EDGE], upper.heights_m[:, :EDGE])
    error = out.heights_m - ground
    assert np.abs(error[:, EDGE + gap]).max() < 0.03
    assert np.nanmax(np.abs(np.diff(error[:, EDGE + gap :], axis=1))) < 0.5 * 1.5 / 20 + 0.01
    assert np.allclose(error[:, EDGE + 25 :], 0.5, atol=1e-3)
    (pixels, bounded) = told.details["joined"][1, 2]
    assert pixels == SIZE - 4
    assert bounded == 0


@pytest.mark.parametrize(("sigma_m", "left_m"), [(1.0, 0.15), (0.2, 0.35)])
def test_with_noise_the_accuracies_decide_how_much_is_corrected(sigma_m, left_m):
    _, upper, lower = abutting(0.5, sigma_m=sigma_m, noise_m=0.3)
    out = Blend()(window(upper, lower), context())
    step = np.median(np.diff(out.heights_m - terrain(), axis=1), axis=0)
    assert abs(step[EDGE - 1]) < left_m


def test_a_difference_beyond_both_accuracies_is_bounded_and_counted():
    ground, upper, lower = abutting(8.0, sigma_m=0.1)
    told = context()
    out = Blend()(window(upper, lower), told)
    bound = 3 * np.hypot(0.1, 0.1)
    assert out.heights_m[:, EDGE] - ground[:, EDGE] == pytest.approx(8.0 - bound, abs=0.02)
    pixels, bounded = told.details["joined"][1, 2]
    assert bounded == pixels > 0


def test_it_can_be_turned_off():
    ground, upper, lower = abutting(0.5)
    told = context(join_abutting=False)
    out = Blend()(window(upper, lower), told)
    assert out.heights_m[:, EDGE:] - ground[:, EDGE:] == pytest.approx(0.5, abs=1e-4)
    assert not told.details


def test_overlaps_are_not_estimated():
    ground, upper, lower = abutting(0.5)
    lower = replace(lower, heights_m=(ground + 0.5).astype(np.float32))
    told = context()
    Blend()(window(upper, lower), told)
    assert not told.details


def test_on_rough_terrain_relief_is_not_taken_for_a_difference():
    """The same model on both sides of a border through noise of a metre: nearly nothing is corrected."""
    _, upper, lower = abutting(0.0, noise_m=1.0)
    plain = Blend()(window(upper, lower), context(join_abutting=False))
    joined = Blend()(window(upper, lower), context())
    correction = joined.heights_m - plain.heights_m
    assert np.sqrt(np.mean(correction[:, EDGE:] ** 2)) < 0.06
    assert np.abs(correction).max() < 0.4


def test_windows_agree_bit_for_bit():
    _, upper, lower = abutting(0.5, noise_m=0.2)
    sigma = np.full((SIZE, SIZE), 0.3, np.float32)
    new = np.isfinite(lower.heights_m) & np.isnan(upper.heights_m)
    whole = rim_differences(upper.heights_m, lower.heights_m, new, sigma, 20.0)
    cut = slice(20, 120)
    part = rim_differences(upper.heights_m[cut], lower.heights_m[cut], new[cut], sigma[cut], 20.0)
    assert whole is not None
    assert part is not None
    halo = halo_px(20.0)
    np.testing.assert_array_equal(part.difference_m[halo:-halo], whole.difference_m[20 + halo : 120 - halo])
    np.testing.assert_array_equal(part.known[halo:-halo], whole.known[20 + halo : 120 - halo])
    assert part.known.any()


def test_sources_too_narrow_for_an_estimate_are_left_alone():
    upper = np.full((9, 9), np.nan, np.float32)
    upper[:, :4] = 1.0
    lower = np.full((9, 9), np.nan, np.float32)
    lower[:, 4] = 5.0
    assert rim_differences(upper, lower, np.isfinite(lower), np.full((9, 9), 1.0, np.float32), 20.0) is None
