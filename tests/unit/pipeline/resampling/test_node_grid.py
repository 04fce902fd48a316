"""The lattice of nodes is global, encloses its target, and finds the window that is needed."""

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from orograph.pipeline.core.grid import PixelWindow
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.resampling.node_grid import NodeGrid, NodeMapping, Target, window_needed
from orograph.pipeline.sources.reader import SourceGrid

BOUNDS = (4_210_100.0, 3_010_300.0, 4_212_000.0, 3_011_000.0)


def identity(nodes):
    east, north = nodes.coordinates()
    return NodeMapping(nodes, east, north, np.zeros(east.shape))


def test_nodes_are_multiples_of_their_spacing_and_enclose_the_rectangle():
    nodes = NodeGrid.around(BOUNDS)
    east, north = nodes.coordinates()
    assert not (east % 250).any()
    assert not (north % 250).any()
    assert east.min() <= BOUNDS[0] < BOUNDS[2] <= east.max()
    assert north.min() <= BOUNDS[1] < BOUNDS[3] <= north.max()
    assert nodes.geobox.shape == (nodes.rows, nodes.cols)
    assert (nodes.extent.affine.c, nodes.extent.affine.f) == (east.min(), north.max())


def test_windows_see_the_nodes_of_their_tile():
    mapping = identity(NodeGrid.around(BOUNDS))
    target = Target.of(GeoBox((20, 30), Affine(10, 0, 4_210_500, 0, -10, 3_010_800), "EPSG:3035"))
    assert target.bounds_m == (4_210_500, 3_010_600, 4_210_800, 3_010_800)
    part = mapping.around(target)
    east, _ = part.nodes.coordinates()
    np.testing.assert_array_equal(part.x, east)
    with pytest.raises(ConfigError, match="beyond the lattice"):
        mapping.around(Target(10.0, target.row, target.col + 1000, 5, 5))


def test_indices_have_pixel_centres_at_whole_numbers():
    lattice = SourceGrid.__new__(SourceGrid)
    nodes = NodeGrid.around(BOUNDS)
    mapping = identity(nodes)

    class Grid:
        affine = Affine(10, 0, float(mapping.x[0, 0]), 0, -10, float(mapping.y[0, 0]))
        factor = 1

    rows, cols = mapping.indices(Grid())
    assert (rows[0, 0], cols[0, 0]) == (-0.5, -0.5)
    assert (rows[1, 0], cols[0, 1]) == (24.5, 24.5)
    zoomed, _ = mapping.indices(Grid(), 3)
    assert zoomed[1, 0] == 74.5
    assert lattice is not None


def test_the_window_has_the_kernels_margin_and_ends_with_the_data():
    indices = np.array([[10.2, 20.7]]), np.array([[5.0, 8.0]])
    assert window_needed(indices, 1.0, (0, 0, 100, 100)) == PixelWindow(5, 0, 22, 14)
    assert window_needed(indices, 1.0, (30, 0, 100, 100)) is None
    assert window_needed((np.array([[np.nan]]), np.array([[np.nan]])), 1.0, (0, 0, 9, 9)) is None
