"""Rasters to be characterised: voids filled, water left out, rounding noticed."""

import numpy as np
import pytest
import rasterio
from affine import Affine

from orograph.pipeline.errors import InputError
from orograph.pipeline.learning.sensors.grids import HeightGrid


def written(path, heights, west=4_210_000.0, size=10.0):
    profile = {"driver": "GTiff", "height": heights.shape[0], "width": heights.shape[1], "count": 1, "dtype": "float32"}
    with rasterio.open(
        path, "w", **profile, crs="EPSG:3035", nodata=-9999.0, transform=Affine(size, 0, west, 0, -size, 3_012_000)
    ) as file:
        file.write(np.nan_to_num(heights, nan=-9999.0).astype(np.float32), 1)
    return path


def test_voids_and_level_water_are_not_valid(tmp_path):
    heights = np.random.default_rng(1).normal(200, 20, (30, 40)).astype(np.float32)
    heights[5:12, 5:12] = 150.0
    heights[20, 20] = np.nan
    grid = HeightGrid.read(written(tmp_path / "a.tif", heights))
    assert not grid.valid[6:11, 6:11].any()
    assert not grid.valid[20, 20]
    assert grid.valid[25:, 30:].all()
    assert np.isfinite(grid.heights_m).all()
    assert grid.step_m == 0.0
    assert HeightGrid.read(written(tmp_path / "b.tif", np.round(heights))).step_m == 1.0


def test_positions_on_a_finer_raster(tmp_path):
    rough = np.random.default_rng(1).normal(200, 20, (12, 12)).astype(np.float32)
    coarse = HeightGrid.read(written(tmp_path / "c.tif", rough, size=30.0))
    fine = HeightGrid.read(written(tmp_path / "f.tif", np.kron(rough, np.ones((3, 3))) + 0.5))
    rows, cols = coarse.indices_on(fine)
    assert (rows[0, 0], cols[0, 0]) == (pytest.approx(1.0), pytest.approx(1.0))
    assert (rows[1, 0], cols[0, 2]) == (pytest.approx(4.0), pytest.approx(7.0))


def test_a_raster_without_heights_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no heights"):
        HeightGrid.read(written(tmp_path / "v.tif", np.full((5, 5), np.nan)))
