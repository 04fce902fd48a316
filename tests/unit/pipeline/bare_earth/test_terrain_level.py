"""Level of a terrain model by block: offsets, canopy taken for open terrain, other frames, tables by value."""

import numpy as np
import pytest

from orograph.pipeline.bare_earth.block_lattice import BlockLattice
from orograph.pipeline.bare_earth.terrain_level import BINS_M, above, histograms, level, looked_up

SHAPE = (240, 264)


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(3).normal(0.0, 1.5, SHAPE)


@pytest.mark.parametrize("offset_m", [-4.0, 0.0, 2.5])
def test_the_offset_of_open_terrain_is_found_with_its_error(noise, offset_m):
    found = level(offset_m + noise, np.ones(SHAPE, bool), BlockLattice(SHAPE, (0, 0)))
    off = np.abs(found.offset_m - offset_m)
    assert off.max() < 0.25
    assert (off < 3.0 * found.error_m).all()
    assert found.spread_m.mean() == pytest.approx(1.6, abs=0.3)
    assert found.usable.all()


def test_canopy_that_is_taken_for_open_terrain_does_not_raise_the_level(noise):
    woods = np.zeros(SHAPE)
    woods[:, ::3] = 18.0
    found = level(1.0 + noise + woods, np.ones(SHAPE, bool), BlockLattice(SHAPE, (0, 0)))
    assert np.abs(found.offset_m - 1.0).max() < 0.3


def test_without_open_terrain_the_level_is_the_prior():
    found = level(np.full(SHAPE, 20.0), np.zeros(SHAPE, bool), BlockLattice(SHAPE, (0, 0)))
    assert (found.offset_m == 0.0).all()
    assert (found.error_m > 1.5).all()


def test_another_vertical_frame_is_not_usable(noise):
    assert not level(48.0 + noise, np.ones(SHAPE, bool), BlockLattice(SHAPE, (0, 0))).usable.any()


def test_windows_of_one_lattice_have_one_histogram(noise):
    whole, part = BlockLattice(SHAPE, (0, 0)), BlockLattice((216, 240), (24, 24))
    every = histograms(noise, np.ones(SHAPE, bool), whole)
    some = histograms(noise[24:, 24:], np.ones((216, 240), bool), part)
    np.testing.assert_array_equal(every[4:, 4:], some[3:, 3:])


def test_a_shift_of_the_counts_moves_their_mean_and_keeps_their_number():
    counts = np.zeros((1, 1, BINS_M.size))
    counts[0, 0, BINS_M.size // 2 + 10] = 8.0
    moved = above(counts, np.array([[1.3]]))
    assert moved.sum() == pytest.approx(8.0)
    assert (moved * BINS_M).sum() / 8.0 == pytest.approx(5.0 - 1.3)


def test_a_table_is_linear_in_the_value():
    lattice = BlockLattice((24, 24), (0, 0))
    values = np.linspace(-20.0, 20.0, 24 * 24).reshape(24, 24)
    np.testing.assert_allclose(
        looked_up(np.broadcast_to(2.0 * BINS_M, (1, 1, BINS_M.size)), values, lattice), 2 * values
    )
