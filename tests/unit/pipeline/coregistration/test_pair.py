"""A pair: equal blocks, residuals, normal equations and decimated copies."""

import numpy as np
import pytest

from orograph.pipeline.coregistration.field import DisplacementField
from orograph.pipeline.coregistration.fitting import make_pair
from orograph.pipeline.coregistration.pair import Blocks
from tests.support.pairs import PIXEL_M, plane_raster, still_with


@pytest.fixture(scope="module")
def pair():
    reference = plane_raster(64, 48, east=0.2, north=0.1)
    moving = reference.with_heights(reference.heights_m - np.float32(5))
    return make_pair(reference, moving, None, 1)


def test_blocks_are_equal_and_cover_everything():
    blocks = Blocks.of((985, 1332), 50)
    for edges, size in ((blocks.row_edges, 985), (blocks.col_edges, 1332)):
        assert edges[0] == 0
        assert edges[-1] == size
        assert np.ptp(np.diff(edges)) <= 1
    u, v = blocks.centres()
    assert np.diff(u[0]) == pytest.approx(2 / blocks.shape[1])
    assert v[0, 0] == pytest.approx(1 / blocks.shape[0] - 1)


def test_finer_blocks_keep_the_edges_of_coarser_ones():
    blocks = Blocks.of_counts((100, 70), (3, 2))
    fine = Blocks.within(blocks, 4)
    assert fine.shape == (12, 8)
    np.testing.assert_array_equal(fine.row_edges[::4], blocks.row_edges)
    np.testing.assert_array_equal(fine.col_edges[::4], blocks.col_edges)


def test_pixels_know_their_block():
    blocks = Blocks.of_counts((4, 6), (2, 3))
    np.testing.assert_array_equal(blocks.numbers((2, 3), 2), [[0, 1, 2], [3, 4, 5]])


def test_residuals_are_reference_minus_raster_minus_up(pair):
    residual, slope = pair.residuals(still_with(pair.geobox, up_m=2.0))
    np.testing.assert_allclose(residual, 3.0, atol=1e-3)
    np.testing.assert_allclose(np.median(slope), np.hypot(0.2, 0.1), rtol=1e-3)


def test_normal_equations_of_a_plane_are_its_slopes(pair):
    sums = pair.sums(DisplacementField(pair.geobox), Blocks.of_counts((64, 48), (1, 1)), np.array([100.0, 0.0]))
    total = sums.reshape(-1)
    inside = total[5]
    assert total[2] / inside == pytest.approx(-0.2, rel=0.01)
    assert total[4] / inside == pytest.approx(-0.1, rel=0.01)
    assert total[8] / inside == pytest.approx(5.0, rel=0.01)
    assert total[10] <= 64 * 48


def test_decimation_keeps_the_plane_and_the_extent(pair):
    thin = pair.decimated(4)
    assert thin.reference.shape == (16, 12)
    assert thin.pixel_m == 4 * PIXEL_M
    # Medians over every other pixel of a cell are half a pixel to the north-west of its centre.
    rows, cols = 4 * np.arange(16) + 1.0, 4 * np.arange(12) + 1.0
    expected = pair.reference[0, 0] + 0.2 * PIXEL_M * cols[None, :] - 0.1 * PIXEL_M * rows[:, None]
    np.testing.assert_allclose(thin.reference, expected, atol=1e-3)


def test_cells_with_fewer_than_half_of_their_pixels_are_void():
    raster = plane_raster(8, 8)
    inliers = np.ones((8, 8), bool)
    inliers[:2, :2] = [[True, False], [False, False]]
    inliers[:2, 2:4] = [[True, True], [False, False]]
    thin = make_pair(raster, raster, inliers, 1).decimated(2)
    assert np.isnan(thin.reference[0, 0])
    assert np.isfinite(thin.reference[0, 1])


def test_voids_are_known():
    raster = plane_raster(20, 20)
    assert not make_pair(raster, raster, None, 1).holes
    void = raster.with_heights(raster.heights_m.copy())
    void.heights_m[5, 5] = np.nan
    assert make_pair(raster, void, None, 1).holes
