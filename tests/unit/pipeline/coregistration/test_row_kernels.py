"""Runs of pixels: where they are read, and which are read side by side."""

import numpy as np

from orograph.pipeline.coregistration.field import geometry_of
from orograph.pipeline.coregistration.row_kernels import (
    COUNTS,
    EAST,
    FIRST,
    NEAREST,
    NORTH,
    OUTSIDE,
    TARGET,
    UP,
    S,
    T,
    choose,
    displace,
    place,
    scratch,
    side_by_side,
)
from tests.support.pairs import plane_raster, still_with

RASTER = plane_raster(20, 30)
GEOMETRY = geometry_of(RASTER.geobox, RASTER.geobox, RASTER.geobox)
ONE = np.int64(1)


def run(row, first, n, *, east_m=0.0, north_m=0.0):
    field = still_with(RASTER.geobox, east_m=east_m, north_m=north_m, up_m=2.0)
    moves, at, lanes = scratch()
    displace(GEOMETRY, field.polynomial, field.nodes, row, first, ONE, n, moves, -1)
    contiguous = place(GEOMETRY, (20, 30), row, first, ONE, n, moves, at, lanes)
    return contiguous, moves, at, lanes


def test_a_run_is_displaced_alike():
    _, moves, _, _ = run(5, 4, 6, east_m=7.0, north_m=-4.0)
    for part, value in ((EAST, 7.0), (NORTH, -4.0), (UP, 2.0)):
        np.testing.assert_allclose(moves[part : part + 6], value)


def test_pixels_are_read_at_their_displaced_place():
    # 7 m east reads 0.7 pixels further west; 4 m south reads 0.4 pixels further north.
    contiguous, _, at, lanes = run(5, 4, 6, east_m=7.0, north_m=-4.0)
    assert contiguous
    assert at[FIRST] == 3 * 30 + 2
    assert at[NEAREST] == 5 * 30 + 3
    np.testing.assert_allclose(lanes[S : S + 6], 0.6, atol=1e-5)
    np.testing.assert_allclose(lanes[T : T + 6], 0.3, atol=1e-5)


def test_pixels_without_sixteen_neighbours_are_outside():
    contiguous, _, at, _ = run(5, 0, 4)
    assert not contiguous
    assert at[FIRST] == OUTSIDE
    assert at[FIRST + 1] == 4 * 30
    assert side_by_side(0, 4, at) == 1
    assert side_by_side(1, 4, at) == 4


def test_only_stable_pixels_with_heights_count():
    _, _, at, lanes = run(5, 4, 4)
    heights, stable, truth = RASTER.heights_m.copy(), np.ones((20, 30), bool), RASTER.heights_m.copy()
    heights[5, 4] = np.nan
    stable[5, 5] = False
    truth[5, 6] = np.nan
    start = 5 * 30 + 4
    assert choose(heights.ravel(), stable.ravel(), truth.ravel(), True, start, ONE, 4, at, lanes)
    np.testing.assert_array_equal(lanes[COUNTS : COUNTS + 4], [0, 0, 0, 1])
    assert lanes[TARGET + 3] == heights[5, 7]
    assert not choose(heights.ravel(), ~stable.ravel(), truth.ravel(), True, start + 3, ONE, 1, at, lanes)
