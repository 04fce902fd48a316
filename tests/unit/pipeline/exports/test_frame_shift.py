"""Shifts of another frame are the same for points that two cells share."""

import numpy as np

from orograph.pipeline.core.grid import Cell
from orograph.pipeline.exports.cell_lattice import point_lattice
from orograph.pipeline.exports.frame_shift import FrameShift


class Tilted:
    """An operation with a plane for a shift, undefined south of 47.2 degrees."""

    def shift(self, lon, lat):
        return np.where(lat < 47.2, np.nan, 0.5 * lon + 0.25 * lat)


def test_a_plane_is_interpolated_exactly_and_shared_points_agree():
    shift = FrameShift(Tilted())
    here, east = (shift(point_lattice(Cell(47, lon), 31)) for lon in (10, 11))
    lattice = point_lattice(Cell(47, 10), 31)
    expected = 0.5 * lattice.longitudes_deg[None, :] + 0.25 * lattice.latitudes_deg[:, None]
    known = np.isfinite(here)
    np.testing.assert_allclose(here[known], expected[known], atol=1e-5)
    np.testing.assert_array_equal(here[:, -1], east[:, 0])
    assert here.dtype == np.float32
    assert np.isnan(here[-1]).all()
    assert known[:20].all()
