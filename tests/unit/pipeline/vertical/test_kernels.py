"""Bilinear lattice values added to heights."""

import numpy as np

from orograph.pipeline.vertical.kernels import add


def added(nodes, row_part, column_part):
    heights = np.full((len(row_part), len(column_part)), 100, np.float32)
    rows, columns = (np.zeros(len(part), np.intp) for part in (row_part, column_part))
    add(np.asarray(nodes, float), rows, np.asarray(row_part), columns, np.asarray(column_part), heights)
    return heights


def test_values_are_bilinear_between_the_nodes():
    found = added([[0, 10], [20, 30]], [0.0, 0.5, 1.0], [0.0, 0.25])
    np.testing.assert_allclose(found, [[100, 102.5], [110, 112.5], [120, 122.5]])


def test_a_void_corner_makes_the_cell_void():
    assert np.isnan(added([[0, np.nan], [20, 30]], [0.5], [0.5])).all()


def test_no_pixels_are_nothing_to_do():
    assert added([[0, 10], [20, 30]], [], [0.5]).shape == (0, 1)
