"""A terrain model on the pixels of a DSM: other CRS, other pixels, other vertical frame, windows, voids."""

from dataclasses import replace

import numpy as np
import pytest
from pyproj import Transformer

from orograph.pipeline.bare_earth.terrain_reader import TerrainReader
from orograph.pipeline.resampling.horizontal import pin_operation
from orograph.pipeline.sources.reader import SourceReader
from orograph.pipeline.vertical.operation import Area, Operation, Step
from tests.support.made import source, terrain, write_source

BOX = (4_210_000.0, 3_010_000.0, 4_213_000.0, 3_013_000.0)
AREA = Area(-30.0, 30.0, 40.0, 75.0)
SAME = Operation("A", "A", "identity", ())
LIFTED = Operation(
    "B", "A", "lifted", (Step("lifted", "+proj=geogoffset +dh=7.5", inverse=False, area=AREA, accuracy_m=0.4),)
)


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    folder = tmp_path_factory.mktemp("terrain")
    corners = Transformer.from_crs("EPSG:3035", "EPSG:4326", always_xy=True).transform_bounds(*BOX)
    files = {
        "dsm": (write_source(folder / "dsm.tif", "EPSG:3035", BOX, 30), "EPSG:3035", 30.0),
        "degrees": (write_source(folder / "degrees.tif", "EPSG:4326", corners, 1 / 3600), "EPSG:4326", 30.0),
        "fine": (write_source(folder / "fine.tif", "EPSG:3035", BOX, 10), "EPSG:3035", 10.0),
    }
    readers = {
        name: SourceReader(source(path, id=name, horizontal_crs=crs, resolution_m=size, accuracy_m=3.0), [path])
        for name, (path, crs, size) in files.items()
    }
    yield readers
    for reader in readers.values():
        reader.__exit__(None, None, None)


def below(readers, name, vertical=(SAME, SAME)):
    reader = readers[name]
    operations = [pin_operation(one.source, (5.0, 45.0, 15.0, 55.0)) for one in (reader, readers["dsm"])]
    return TerrainReader(reader, *operations, vertical)


def window(readers, row=20, col=20, rows=60, cols=50):
    """A window of the DSM's lattice, counted from its first pixel, and the true heights there."""
    lattice = readers["dsm"].lattices[0]
    top, left, _, _ = lattice.index_bounds
    north, east = BOX[3] - (row + np.arange(rows) + 0.5) * 30, BOX[0] + (col + np.arange(cols) + 0.5) * 30
    return lattice, top + row, left + col, terrain(east[None, :], north[:, None])


@pytest.mark.parametrize("name", ["degrees", "fine"])
def test_heights_are_where_they_belong(opened, name):
    lattice, row, col, truth = window(opened)
    found = below(opened, name).read(lattice, 30.0, row, col, truth.shape)
    # Bilinear between pixels of hills of 300 m; a shift by one pixel would be a metre and more.
    assert np.abs(found.heights_m - truth).mean() < 0.6
    assert np.abs(found.heights_m - truth).max() < 3.5
    assert (found.sigma_m == 3.0).all()


def test_heights_are_moved_to_the_vertical_frame_of_the_dsm(opened):
    lattice, row, col, truth = window(opened)
    plain, moved = (
        below(opened, "fine", pair).read(lattice, 30.0, row, col, truth.shape)
        for pair in ((SAME, SAME), (LIFTED, SAME))
    )
    np.testing.assert_allclose(moved.heights_m - plain.heights_m, 7.5, atol=1e-3)
    np.testing.assert_allclose(moved.sigma_m, np.hypot(3.0, 0.4), rtol=1e-6)


def test_windows_agree_bit_for_bit(opened):
    lattice, row, col, truth = window(opened)
    reader = below(opened, "degrees", (LIFTED, SAME))
    whole = reader.read(lattice, 30.0, row, col, truth.shape).heights_m
    part = reader.read(lattice, 30.0, row + 7, col + 19, (31, 20)).heights_m
    np.testing.assert_array_equal(part, whole[7:38, 19:39])


def test_beyond_the_terrain_model_nothing_is_known(opened):
    lattice, row, col, truth = window(opened, row=-30, col=90, rows=60, cols=60)
    found = below(opened, "degrees").read(lattice, 30.0, row, col, truth.shape).heights_m
    assert np.isnan(found[:25]).all()
    assert np.isnan(found[:, 15:]).all()
    assert np.isfinite(found[35:, :8]).all()
    assert np.isnan(below(opened, "degrees").read(lattice, 30.0, row - 9000, col, (5, 5)).heights_m).all()


def test_averaged_pixels_of_the_dsm_take_means_of_the_model(opened):
    lattice, row, col, _ = window(opened)
    coarse = replace(lattice, factor=2)
    found = below(opened, "fine").read(coarse, 60.0, row // 2, col // 2, (10, 10)).heights_m
    fine = opened["dsm"].read(coarse, row // 2, col // 2, 10, 10)
    assert np.abs(found - fine).max() < 2.0
