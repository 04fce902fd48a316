"""The bend: constants stay, reach ends, and windows agree bit for bit."""

import numpy as np
import pytest

from orograph.pipeline.tile.stages.bend import Bend


def halves(rows=80, columns=90):
    known = np.zeros((rows, columns), bool)
    known[:, :40] = True
    return known


def test_a_constant_difference_is_a_constant_surface_where_wanted():
    known = halves()
    bend = Bend.of(20.0, (0, 0))
    wanted = ~known
    wanted[:, 60:] = False
    surface = bend.surface(np.full(known.shape, 2.5, np.float32), known, wanted)
    np.testing.assert_allclose(surface[wanted], 2.5, atol=1e-6)
    assert np.isnan(surface[~wanted]).all()


def test_nothing_known_is_nothing_bent():
    known = np.zeros((20, 20), bool)
    surface = Bend.of(10.0, (0, 0)).surface(np.zeros((20, 20), np.float32), known, ~known)
    assert np.isnan(surface).all()


@pytest.mark.parametrize("cut", [(0, 7), (13, 0), (5, 31)])
def test_a_window_gives_the_bits_of_the_whole(cut):
    rng = np.random.default_rng(0)
    difference = rng.normal(0, 1, (140, 150)).astype(np.float32)
    known = halves(140, 150)
    wanted = np.zeros_like(known)
    wanted[60:80, 40:50] = True
    origin = (-1000, 2003)
    bend = Bend.of(10.0, origin)
    whole = bend.surface(difference, known, wanted)
    part = (slice(cut[0], None), slice(min(10, cut[1]), None))
    moved = Bend.of(10.0, (origin[0] + part[0].start, origin[1] + part[1].start))
    np.testing.assert_array_equal(moved.surface(difference[part], known[part], wanted[part]), whole[part])
    assert bend.halo_px < 40


def test_a_narrow_width_has_cells_of_one_pixel():
    assert Bend.of(0.5, (0, 0)).cell_px == 1
