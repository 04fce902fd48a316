"""Sharp part of a step: all of an object's, none of a form of the terrain that the map is drawn from."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, gaussian_laplace

from orograph.pipeline.bare_earth.block_lattice import BlockLattice
from orograph.pipeline.bare_earth.edge_scene import NO_EVIDENCE_M, EdgeScene, Steps
from orograph.pipeline.bare_earth.edge_sharpness import SharpPart, doubt, sharp_parts
from tests.support.sensors import power_law_terrain

SIDE = 200


def part(heights, trees):
    """Sharp part of the trees' step and its error in the middle."""
    cover = np.stack([trees, np.zeros_like(trees)]).astype(np.float32)
    scene = EdgeScene.of(heights.astype(np.float32), cover, (30.0, 30.0), 0.0)
    measured = sharp_parts(scene, BlockLattice(heights.shape, (0, 0)))[0]
    return float(measured.height_m[4, 4]), float(measured.error_m[4, 4])


@pytest.fixture(scope="module")
def terrain():
    return gaussian_filter(power_law_terrain(SIDE, seed=2, pixel_m=30.0), 0.45)


@pytest.fixture(scope="module")
def random_patches():
    field = gaussian_filter(np.random.default_rng(1).standard_normal((SIDE, SIDE)), 4.0)
    return (field > np.quantile(field, 0.6)).astype(np.float64)


def test_of_a_canopy_it_is_the_height(terrain, random_patches):
    height, error = part(terrain + 12.0 * gaussian_filter(random_patches, 0.5), random_patches)
    assert height == pytest.approx(12.0, abs=3.0 * error)
    assert error < 1.5


def test_of_a_random_map_it_is_zero(terrain, random_patches):
    height, error = part(terrain, random_patches)
    assert abs(height) < 3.0 * error


@pytest.mark.parametrize("form", [1.5, 2.0, 4.0, "slope", "aspect"])
def test_of_maps_drawn_from_the_terrain_it_is_small(terrain, form):
    down, aside = np.gradient(gaussian_filter(terrain, 1.0))
    drawn = {"slope": np.hypot(down, aside), "aspect": down}.get(form)
    if drawn is None:
        drawn = -gaussian_laplace(terrain, form)
    height, error = part(terrain, (drawn > np.quantile(drawn, 0.65)).astype(np.float64))
    assert height < 2.0 + 2.0 * error


def test_without_edges_there_is_no_evidence(terrain):
    assert part(terrain, np.zeros_like(terrain))[1] == NO_EVIDENCE_M


def test_only_a_blunt_step_is_doubted_and_only_as_far_as_it_is_measured():
    step = Steps(*(np.full(4, value) for value in (10.0, 0.5, 1.0, 1.0)))
    blunt, half, sharp, unknown = doubt(
        step, SharpPart(np.array([0.0, 5.0, 15.0, 0.0]), np.array([0.5, 0.5, 0.5, 1e3]))
    )
    assert blunt < -8.0
    assert half == pytest.approx(0.0)
    assert sharp == 0.0
    assert unknown == pytest.approx(0.0, abs=1e-3)
