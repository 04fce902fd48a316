"""Fusion of a DSM with a terrain model: level, detail, wrong and missing maps, biases, voids, windows, limits."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from orograph.pipeline.bare_earth.block_lattice import BlockLattice
from orograph.pipeline.bare_earth.canopy_edges import LARGEST_M, lower_by_edges
from orograph.pipeline.bare_earth.terrain_fusion import HALO_PX, TerrainModel, lower_by_fusion
from orograph.pipeline.bare_earth.terrain_level import level
from tests.support.sensors import power_law_terrain

SIDE = 300


def field(seed, sigma_px):
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal((SIDE + 80, SIDE + 80)), sigma_px)[
        40:-40, 40:-40
    ]
    return noise / noise.std()


def woods(seed, share=0.4):
    found = field(seed, 8.0)
    return (found > np.quantile(found, 1 - share)).astype(np.float32)


def mapped(trees):
    return np.stack([trees, np.zeros_like(trees)])


@pytest.fixture(scope="module")
def terrain():
    return power_law_terrain(SIDE, seed=2, pixel_m=30.0).astype(np.float32)


@pytest.fixture(scope="module")
def model(terrain):
    """Smoothed terrain with correlated errors of 2 m."""
    heights = gaussian_filter(terrain, 1.0) + 2.0 * field(4, 2.5)
    return TerrainModel(heights.astype(np.float32), np.full_like(terrain, 2.5))


def mae(made, terrain, where):
    return float(np.abs(made.heights_m - terrain)[where].mean())


@pytest.mark.parametrize("bias_m", [-3.0, 0.0, 3.0])
def test_forest_takes_the_level_of_the_model_whatever_its_bias(terrain, model, bias_m):
    trees = woods(1)
    stand = 15.0 * trees * np.clip(1 + 0.35 * field(7, 3.0), 0.2, 2.0)
    heights = (terrain + stand).astype(np.float32)
    biased = model._replace(heights_m=model.heights_m + np.float32(bias_m))
    made = lower_by_fusion(heights, biased, mapped(trees))
    edges = lower_by_edges(heights, mapped(trees))
    inside = trees > 0.5
    assert mae(made, terrain, inside) < 0.75 * mae(edges, terrain, inside)
    assert mae(made, terrain, inside) < 2.8
    away = gaussian_filter(trees, 2) < 1e-6
    np.testing.assert_array_equal(made.heights_m[away], heights[away])
    assert 0.0 < np.median(made.sigma_m[inside]) < 5.0
    assert ((np.abs(made.heights_m - terrain) <= 1.96 * made.sigma_m)[inside]).mean() > 0.9


def test_a_forest_without_edges_is_lowered(terrain, model):
    heights = (terrain + 15.0).astype(np.float32)
    everywhere = mapped(np.ones_like(terrain))
    assert mae(lower_by_edges(heights, everywhere), terrain, ...) > 14.0
    assert mae(lower_by_fusion(heights, model, everywhere), terrain, ...) < 2.5


def test_a_wrong_map_changes_nothing(terrain, model):
    made = lower_by_fusion(terrain, model, mapped(woods(3)))
    assert (terrain - made.heights_m).mean() < 0.05
    assert np.median(made.sigma_m[woods(3) > 0.5]) < 2.0


def test_a_felled_wood_is_seen_inside_a_right_map(terrain, model):
    trees, felled = woods(1), np.zeros((SIDE, SIDE), bool)
    felled[60:160, 60:160] = True
    heights = (terrain + 15.0 * trees * ~felled).astype(np.float32)
    made = lower_by_fusion(heights, model, mapped(trees))
    assert mae(made, terrain, felled & (trees > 0.5)) < 0.7 * mae(
        lower_by_edges(heights, mapped(trees)), terrain, felled & (trees > 0.5)
    )


def test_without_a_map_extended_canopy_is_found_and_open_terrain_stays(terrain, model):
    trees = woods(1)
    heights = (terrain + 15.0 * trees).astype(np.float32)
    made = lower_by_fusion(heights, model)
    assert mae(made, terrain, trees > 0.5) < 0.6 * 15.0
    assert mae(made, terrain, gaussian_filter(trees, 2) < 1e-6) < 0.05
    bare = lower_by_fusion(terrain, model)
    assert mae(bare, terrain, ...) < 0.02


def test_without_a_model_the_steps_along_edges_remain(terrain):
    trees = woods(1)
    heights = (terrain + 15.0 * trees).astype(np.float32)
    nothing = TerrainModel(np.full_like(heights, np.nan), np.full_like(heights, np.nan))
    made, edges = lower_by_fusion(heights, nothing, mapped(trees)), lower_by_edges(heights, mapped(trees))
    np.testing.assert_allclose(made.heights_m, edges.heights_m, atol=0.5)
    assert lower_by_fusion(heights, nothing).mask.sum() == 0


def test_a_model_in_another_frame_is_not_used(terrain, model):
    trees = woods(1)
    heights = (terrain + 15.0 * trees).astype(np.float32)
    ellipsoidal = model._replace(heights_m=model.heights_m - np.float32(48.0))
    assert lower_by_fusion(heights, ellipsoidal).mask.sum() == 0
    made, edges = lower_by_fusion(heights, ellipsoidal, mapped(trees)), lower_by_edges(heights, mapped(trees))
    np.testing.assert_allclose(made.heights_m, edges.heights_m, atol=0.5)


def test_limits_and_water(terrain, model):
    trees = woods(1)
    lake = terrain + 12 * trees
    lake[100:140, 100:140] = 900.0
    low = model._replace(heights_m=model.heights_m - 500 * trees)
    made = lower_by_fusion(lake.astype(np.float32), low, mapped(np.maximum(trees, lake == 900.0)))
    assert (lake - made.heights_m).min() >= 0.0
    assert (lake - made.heights_m).max() < LARGEST_M
    assert (made.heights_m[102:138, 102:138] == 900.0).all()


@pytest.mark.parametrize("with_map", [True, False])
def test_windows_agree_bit_for_bit_and_voids_stay(terrain, model, with_map):
    heights = (terrain + 12 * woods(1)).astype(np.float32)
    heights[240:244, 200:204] = np.nan
    shares = mapped(woods(1))
    shares[:, :, 220:] = np.nan
    known = model.heights_m.copy()
    known[:, 260:] = np.nan
    terrain_model = model._replace(heights_m=known)
    seen = {"canopy_share": 0.8, "pixel_size_m": (21.0, 31.0), "footprint_m": 13.0, "noise_m": 1.0}
    whole = lower_by_fusion(heights, terrain_model, shares if with_map else None, origin_px=(5, 11), **seen)
    cut = 13
    part = lower_by_fusion(
        heights[cut:, cut:],
        TerrainModel(*(plane[cut:, cut:] for plane in terrain_model)),
        shares[:, cut:, cut:] if with_map else None,
        origin_px=(5 + cut, 11 + cut),
        **seen,
    )
    assert whole.mask[cut + HALO_PX :, cut + HALO_PX :].any()
    for one, other in zip(whole, part, strict=True):
        np.testing.assert_array_equal(other[HALO_PX:, HALO_PX:], one[cut + HALO_PX :, cut + HALO_PX :])
    np.testing.assert_array_equal(np.isnan(whole.heights_m), np.isnan(heights))


def test_the_level_is_that_of_open_terrain():
    difference = np.where(woods(1) > 0.5, 12.0, 0.0) + 1.8 + 1.5 * field(5, 2.5)
    found = level(difference, np.ones((SIDE, SIDE), bool), BlockLattice((SIDE, SIDE), (3, 7)))
    middle = found.offset_m[5:8, 5:8]
    np.testing.assert_allclose(middle, 1.8, atol=0.6)
    assert (found.error_m[5:8, 5:8] < 0.5).all()
    np.testing.assert_allclose(found.spread_m[5:8, 5:8], 1.5, rtol=0.4)
