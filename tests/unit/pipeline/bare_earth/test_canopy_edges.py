"""Bare earth from the steps along mapped edges: right maps, wrong maps, ridges, windows, limits."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, gaussian_laplace

from orograph.pipeline.bare_earth.canopy_edges import HALO_PX, LARGEST_M, lower_by_edges, weigh
from orograph.pipeline.bare_earth.edge_scene import NO_EVIDENCE_M, Steps
from orograph.pipeline.bare_earth.remove import bare_earth, halo_px, takes_land_cover, weights_sha256
from tests.support.sensors import power_law_terrain

SIDE = 300


def patches(seed, size=8.0, share=0.4):
    field = gaussian_filter(np.random.default_rng(seed).standard_normal((SIDE, SIDE)), size)
    return (field > np.quantile(field, 1 - share)).astype(np.float32)


def mapped(trees):
    return np.stack([trees, np.zeros_like(trees)])


@pytest.fixture(scope="module")
def terrain():
    noise = np.random.default_rng(9).normal(0, 1.5, (SIDE, SIDE))
    return (power_law_terrain(SIDE, seed=2, pixel_m=30.0) + noise).astype(np.float32)


@pytest.mark.parametrize(("canopy_m", "share"), [(15.0, 1.0), (9.0, 0.55)])
def test_a_wood_that_stands_is_taken_off(terrain, canopy_m, share):
    trees = patches(1)
    heights = terrain + np.float32(canopy_m) * gaussian_filter(trees, 0.5)
    made = lower_by_edges(heights, mapped(trees), share)
    error = (made.heights_m - terrain)[trees > 0.5]
    assert abs(error.mean()) < 0.12 * canopy_m
    assert np.abs(error).mean() < 0.2 * canopy_m
    assert np.median(made.sigma_m[trees > 0.5]) > 0.4 * canopy_m, "trees differ in height within a wood"
    assert (made.heights_m[gaussian_filter(trees, 2) < 1e-6] == heights[gaussian_filter(trees, 2) < 1e-6]).all()


def test_the_surface_vetoes_a_wrong_map(terrain):
    trees = patches(3)
    made = lower_by_edges(terrain, mapped(trees))
    assert (terrain - made.heights_m)[trees > 0.5].mean() < 0.1
    assert np.median(made.sigma_m[trees > 0.5]) < 2.0, "edges without a step show that nothing stands there"


def test_a_map_without_edges_changes_nothing_and_leaves_the_canopy_in_the_error(terrain):
    made = lower_by_edges(terrain, mapped(np.ones_like(terrain)))
    assert (terrain - made.heights_m).max() < 0.1
    assert np.median(made.sigma_m) > 10.0


def test_no_lowering_is_larger_than_a_tree(terrain):
    trees = patches(1)
    made = lower_by_edges(terrain + 300 * trees, mapped(trees))
    assert 0.0 <= (terrain + 300 * trees - made.heights_m).max() <= LARGEST_M


def test_windows_agree_bit_for_bit_and_voids_stay(terrain):
    heights = (terrain + 12 * patches(1)).astype(np.float32)
    heights[40:44, 200:204] = np.nan
    seen = {"canopy_share": 0.8, "pixel_size_m": (21.0, 31.0), "footprint_m": 13.0}
    whole = lower_by_edges(heights, mapped(patches(1)), origin_px=(5, 11), **seen)
    cut = 13
    part = lower_by_edges(heights[cut:, cut:], mapped(patches(1)[cut:, cut:]), origin_px=(5 + cut, 11 + cut), **seen)
    assert whole.mask[cut + HALO_PX :, cut + HALO_PX :].any()
    for one, other in zip(whole, part, strict=True):
        np.testing.assert_array_equal(other[HALO_PX:, HALO_PX:], one[cut + HALO_PX :, cut + HALO_PX :])
    np.testing.assert_array_equal(np.isnan(whole.heights_m), np.isnan(heights))


@pytest.mark.parametrize("sigma_px", [1.5, 3.0])
def test_a_map_that_follows_ridges_is_not_believed(terrain, sigma_px):
    curvature = -gaussian_laplace(terrain.astype(np.float64), sigma_px)
    ridges = (curvature > np.quantile(curvature, 0.65)).astype(np.float32)
    made = lower_by_edges(terrain, mapped(ridges), 0.55)
    assert (terrain - made.heights_m)[ridges > 0.5].mean() < 0.1


@pytest.mark.parametrize("sigma_px", [1.5, 3.0])
def test_ridges_that_show_steps_as_high_as_trees_to_a_fine_sensor_are_not_believed(sigma_px):
    terrain = (gaussian_filter(power_law_terrain(SIDE, seed=2, pixel_m=30.0), 0.45) * 0.5).astype(np.float32)
    curvature = -gaussian_laplace(terrain.astype(np.float64), sigma_px)
    ridges = (curvature > np.quantile(curvature, 0.65)).astype(np.float32)
    made = lower_by_edges(terrain, mapped(ridges), 0.8, footprint_m=13.0)
    assert (terrain - made.heights_m)[ridges > 0.5].mean() < 0.1
    trees = patches(1, size=4.0)
    heights = terrain + 12 * gaussian_filter(trees, 0.43)
    made = lower_by_edges(heights, mapped(trees), 0.8, footprint_m=13.0)
    assert np.abs(made.heights_m - terrain)[trees > 0.5].mean() < 3.0, "trees of that height are"


def test_means_over_pixels_carry_no_canopy_over_a_pixels_edge(terrain):
    trees = patches(1)
    heights = (terrain + 15 * trees).astype(np.float32)
    made = lower_by_edges(heights, mapped(trees))
    np.testing.assert_array_equal(made.heights_m[trees == 0], heights[trees == 0])
    assert made.mask[trees > 0.5].mean() > 0.9


def test_the_end_of_a_map_is_not_an_edge_of_a_wood(terrain):
    trees = patches(1)
    shares = mapped(trees)
    shares[:, :, 150:] = np.nan
    heights = terrain + 15 * trees
    made = lower_by_edges(heights, shares)
    assert np.abs(made.heights_m - terrain)[:, :140][trees[:, :140] > 0.5].mean() < 3.0
    np.testing.assert_array_equal(made.heights_m[:, 155:], heights[:, 155:])


def test_a_wide_footprint_spreads_the_canopy_over_open_terrain_beside_it(terrain):
    trees, sigma_px = patches(1), 1.1
    heights = terrain + gaussian_filter(9 * trees, sigma_px)
    near = (trees < 0.5) & (gaussian_filter(trees, sigma_px) > 0.2)
    sharp, wide = (lower_by_edges(heights, mapped(trees), 0.55, footprint_m=size) for size in (0.0, 33.0))
    errors = [np.abs(made.heights_m - terrain)[near].mean() for made in (sharp, wide)]
    assert errors[1] < 0.5 * errors[0]


def test_belief_needs_a_step_of_plausible_height_on_whose_height_all_agree():
    steps = Steps(
        height_m=np.array([9.0, 0.0, 60.0, 9.0, 9.0]),
        error_m=np.array([1.0, 1.0, 1.0, NO_EVIDENCE_M, 1.0]),
        followed_m=np.array([1.0, 1.0, 1.0, 1.0, 1.0]),
        scatter_m=np.array([1.0, 1.0, 1.0, 1.0, 10.0]),
    )
    belief = weigh(steps, 9.0, 4.5)
    assert belief.gained[0] > 0.9
    assert belief.height_m[0] == pytest.approx(9.0)
    assert belief.gained[1] == 0.0
    assert belief.gained[2] == 0.0, "a step of 60 m is the terrain's"
    assert belief.gained[3] < 0.05, "no evidence"
    assert belief.gained[4] == 0.0, "estimates that scatter by their own height are the terrain's"


def test_a_low_step_that_terrain_along_the_edges_may_have_is_not_believed():
    low = [np.array([4.0]), np.array([0.5])]
    level, hilly = (Steps(*low, np.array([followed]), np.array([0.5])) for followed in (0.3, 3.0))
    assert weigh(level, 13.6, 6.8).gained[0] > 0.9
    assert weigh(hilly, 13.6, 6.8).gained[0] < 0.2


def test_a_doubted_step_is_not_lowered_and_stays_in_the_error():
    step = Steps(*(np.array([value]) for value in (12.0, 0.5, 1.0, 0.5)))
    belief = weigh(step, 13.6, 6.8, np.array([-10.0]))
    assert belief.gained[0] == 0.0
    assert belief.probability[0] == pytest.approx(0.5)


def test_a_canopy_blurred_by_an_undeclared_footprint_stays_in_the_error(terrain):
    trees = patches(1)
    heights = terrain + gaussian_filter(9 * trees, 1.1)
    made = lower_by_edges(heights, mapped(trees), 0.55, footprint_m=0.0)
    error = np.abs(made.heights_m - terrain)[trees > 0.5]
    assert np.mean(error < 2.0 * made.sigma_m[trees > 0.5]) > 0.9


def test_it_is_a_model_of_bare_earth_that_needs_a_map(terrain):
    trees = patches(1)
    heights = (terrain + 15 * trees).astype(np.float32)
    assert bare_earth(heights, (20.0, 30.0), "edges").mask.sum() == 0, "without a map nothing changes"
    made = bare_earth(heights, (20.0, 30.0), "edges", shares=mapped(trees))
    np.testing.assert_array_equal(
        made.heights_m, lower_by_edges(heights, mapped(trees), pixel_size_m=(20.0, 30.0)).heights_m
    )
    assert takes_land_cover("edges")
    assert weights_sha256("edges") is None
    assert halo_px("edges") == HALO_PX
