"""Geographic tiles carry the heights of their pixel centres and the name of their vertical datum; frames are moved alike everywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from orograph.pipeline.core.grid import Cell
from orograph.pipeline.errors import OutsideAreaOfUse
from orograph.pipeline.exports.cell_lattice import pixel_lattice, point_lattice, tiles_of_cell
from orograph.pipeline.exports.frame_shift import FrameShift
from orograph.pipeline.exports.geographic_cog import write_geographic
from orograph.pipeline.exports.mosaic import Mosaic
from orograph.pipeline.formats import cog
from orograph.pipeline.vertical import VerticalCatalogue
from tests.support.formats_world import plane, write_tiles

CELL = Cell(47, 10)


@pytest.fixture(scope="module")
def mosaic(tmp_path_factory: pytest.TempPathFactory) -> Mosaic:
    return Mosaic(write_tiles(tmp_path_factory.mktemp("tiles"), tiles_of_cell(CELL), 100, plane), missing="error")


def test_pixels_frame_and_place(tmp_path: Path, mosaic: Mosaic) -> None:
    write_geographic(mosaic, CELL, tmp_path / "g.tif", frame="EPSG:5621", pixels=900)
    cog.validate(tmp_path / "g.tif")
    with rasterio.open(tmp_path / "g.tif") as dataset:
        heights = dataset.read(1)
        assert tuple(dataset.bounds) == (10.0, 47.0, 11.0, 48.0)
        assert dataset.crs.to_epsg() == 4258
        assert dataset.tags()["VERTICAL_DATUM"] == "EPSG:5621"
    np.testing.assert_allclose(heights, plane(*pixel_lattice(CELL, 900).project()), atol=3e-4)
    assert [path.name for path in tmp_path.iterdir()] == ["g.tif"]


def test_frames_move_alike_on_shared_points() -> None:
    operation = VerticalCatalogue.load().operation("EPSG:5783", "EPSG:5621", grids_dir=Path("/nowhere"))
    shift = FrameShift(operation)
    here, east = (point_lattice(cell, 1201) for cell in (CELL, Cell(47, 11)))
    band = slice(500, 700)
    moved, moved_east = shift(here.part(band, slice(900, 1201))), shift(east.part(band, slice(0, 40)))
    np.testing.assert_array_equal(moved[:, -1], moved_east[:, 0])
    lon, lat = np.meshgrid(here.longitudes_deg[900:], here.latitudes_deg[band])
    np.testing.assert_allclose(moved, operation.shift(lon, lat), atol=2e-4)
    assert 0.001 < abs(moved).max() < 0.1


def test_heights_no_operation_reaches_are_refused(mosaic: Mosaic) -> None:
    nowhere = lambda part: np.full(part.shape, np.nan, np.float32)  # noqa: E731
    with pytest.raises(OutsideAreaOfUse, match="no vertical operation at 10"):
        mosaic.sample(point_lattice(CELL, 11), nowhere)
