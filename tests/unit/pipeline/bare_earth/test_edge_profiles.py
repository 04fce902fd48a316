"""Steps across clean edges: canopies are measured, terrain that follows the map scatters, ragged edges are left out."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from orograph.pipeline.bare_earth.block_lattice import BlockLattice
from orograph.pipeline.bare_earth.edge_profiles import profile_steps
from orograph.pipeline.bare_earth.edge_scene import NO_EVIDENCE_M, EdgeScene

SIDE = 120


def measured(heights, trees, pixel_size_m=(30.0, 30.0), footprint_m=0.0):
    known = np.ones(heights.shape, np.bool_)
    cover = np.stack([trees, np.zeros_like(trees)])
    scene = EdgeScene(heights.astype(np.float32), known, known, cover, pixel_size_m, footprint_m)
    steps = profile_steps(scene, BlockLattice(heights.shape, (0, 0)))
    return [float(part[2, 2]) for part in steps]


@pytest.fixture(scope="module")
def wood():
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return (np.hypot(rows - 60, columns - 60) < 30).astype(np.float64)


@pytest.fixture(scope="module")
def slope():
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return 500.0 + 6.0 * rows - 3.0 * columns + 0.02 * rows * columns


@pytest.mark.parametrize("footprint_m", [0.0, 13.0, 33.0])
def test_a_canopy_is_measured_on_a_slope_whatever_the_footprint(wood, slope, footprint_m):
    canopy = gaussian_filter(12.0 * wood, np.hypot(0.5, footprint_m / 30.0))
    height, error, followed, scatter = measured(slope + canopy, wood, footprint_m=footprint_m)
    assert height == pytest.approx(12.0, rel=0.08)
    assert error < 0.5
    assert followed < 0.5
    assert scatter < 1.0


def test_oblong_pixels_give_the_same_step(wood, slope):
    canopy = gaussian_filter(12.0 * wood, (0.5, 0.75))
    height, *_ = measured(slope + canopy, wood, pixel_size_m=(20.0, 30.0))
    assert height == pytest.approx(12.0, rel=0.1)


def test_a_hill_below_the_wood_is_no_canopy(wood, slope):
    height, *_ = measured(slope + gaussian_filter(60.0 * wood, 6.0), wood)
    assert abs(height) < 3.0


def test_rows_of_trees_are_not_measured(slope):
    rows_of_trees = np.zeros((SIDE, SIDE))
    rows_of_trees[:, (np.arange(SIDE) // 2) % 2 == 0] = 1.0
    assert measured(slope + 12.0 * rows_of_trees, rows_of_trees)[1] == NO_EVIDENCE_M


def test_without_woods_there_is_no_evidence(slope):
    assert measured(slope, np.zeros_like(slope))[1] == NO_EVIDENCE_M
