"""Rasters on another grid, with typed errors."""

import numpy as np
import pytest

from orograph.pipeline.errors import ConfigError, NoOverlap, SourceCorrupt, SourceMissing
from orograph.pipeline.learning.bare_earth.rasters import grid_at, opened, read_on
from tests.support.made import write_source

BOUNDS = (4_210_000.0, 3_010_000.0, 4_212_000.0, 3_012_000.0)


def test_a_raster_is_averaged_on_a_coarser_grid(tmp_path):
    path = write_source(tmp_path / "a.tif", "EPSG:3035", BOUNDS, 50)
    fine, coarse = (read_on(path, grid_at(path, size)) for size in (50.0, 200.0))
    assert (fine.shape, coarse.shape) == ((40, 40), (10, 10))
    np.testing.assert_allclose(coarse, fine.reshape(10, 4, 10, 4).mean(axis=(1, 3)), rtol=1e-4)


def test_rasters_that_do_not_serve_are_named(tmp_path):
    path = write_source(tmp_path / "a.tif", "EPSG:3035", BOUNDS, 50)
    elsewhere = write_source(tmp_path / "b.tif", "EPSG:3035", (1_000_000.0, 1_000_000.0, 1_002_000.0, 1_002_000.0), 50)
    with pytest.raises(NoOverlap, match="does not overlap"):
        read_on(path, grid_at(elsewhere, 50.0))
    degrees = write_source(tmp_path / "c.tif", "EPSG:4258", (10.0, 47.0, 10.01, 47.01), 0.001)
    with pytest.raises(ConfigError, match="projected CRS"):
        grid_at(degrees, 50.0)
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(SourceCorrupt):
        opened(tmp_path / "text.tif")
    with pytest.raises(SourceMissing):
        opened(tmp_path / "none.tif")
