"""`orograph height`, `harmonise` and `grids`, as people run them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from pyproj import CRS
from rasterio.transform import from_origin
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.pipeline.errors import (
    NodataError,
    OutsideAreaOfUse,
    SourceGridError,
    SourceMissing,
    VerticalFrameMissing,
)
from orograph.pipeline.vertical.harmonise import HarmoniseRequest, harmonise


def run(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def write(path: Path, heights: np.ndarray, *, crs: str = "EPSG:25832", west=330_000.0, north=5_650_000.0, **profile):
    defaults = {"driver": "GTiff", "count": 1, "dtype": str(heights.dtype), "nodata": -9999.0}
    shape = {"height": heights.shape[0], "width": heights.shape[1]}
    transform = from_origin(west, north, 10, 10)
    with rasterio.open(path, "w", crs=crs, transform=transform, **shape, **(defaults | profile)) as file:
        file.write(heights, 1)
    return path


class TestHarmonise:
    def test_heights_move_and_voids_stay(self, tmp_path):
        heights = np.full((40, 60), 50.0, dtype=np.float32)
        heights[3, 4] = -9999.0
        heights[5, 6] = 0.0
        source = write(tmp_path / "in.tif", heights)
        answer = run("harmonise", source, tmp_path / "out.tif", "--from", "EPSG:7837", "--grids-dir", tmp_path)
        assert "EPSG:7838" in answer
        with rasterio.open(tmp_path / "out.tif") as file:
            moved = file.read(1, masked=True)
            crs, tags = CRS.from_wkt(file.crs.to_wkt()), file.tags()
        assert moved.mask.sum() == 1
        assert moved.mask[3, 4]
        assert moved[5, 6] == pytest.approx(0.0136, abs=0.001)
        assert moved[0, 0] == pytest.approx(50.0136, abs=0.001)
        assert (crs.to_epsg(), tags["VERTICAL_DATUM"]) == (25832, "EPSG:5621")

    def test_it_is_what_each_pixel_asks_for(self, shared, tmp_path):
        source = write(tmp_path / "in.tif", np.zeros((50, 50), dtype=np.float32))
        grids = shared("proj-grids")
        harmonise(source, tmp_path / "out.tif", HarmoniseRequest("EPSG:4937", "EPSG:7837"), grids)
        with rasterio.open(tmp_path / "out.tif") as file:
            moved = file.read(1)
        from pyproj import Transformer

        from orograph.pipeline.vertical import VerticalCatalogue

        lon, lat = Transformer.from_crs("EPSG:25832", "EPSG:4258", always_xy=True).transform(330_405.0, 5_649_705.0)
        operation = VerticalCatalogue.load().operation("EPSG:7837", "EPSG:4937", grids_dir=grids)
        assert moved[29, 40] == pytest.approx(operation.shift(lon, lat), abs=0.002)

    def test_the_files_own_frame_is_read_and_kept(self, tmp_path):
        source = write(tmp_path / "in.tif", np.full((20, 20), 7.0, dtype=np.float32), crs="EPSG:25832+7837")
        done = harmonise(source, tmp_path / "out.tif", HarmoniseRequest("EPSG:5621"), tmp_path)
        assert done.record.frame_from == "EPSG:7837"
        with pytest.raises(SourceGridError, match="declares vertical CRS EPSG:7837"):
            harmonise(source, tmp_path / "out.tif", HarmoniseRequest("EPSG:5621", "EPSG:5709"), tmp_path)

    def test_without_a_frame_it_is_refused(self, tmp_path):
        source = write(tmp_path / "in.tif", np.full((20, 20), 7.0, dtype=np.float32))
        with pytest.raises(VerticalFrameMissing, match="--from"):
            harmonise(source, tmp_path / "out.tif", HarmoniseRequest("EPSG:5621"), tmp_path)

    def test_undeclared_voids_are_refused_and_leave_nothing(self, tmp_path):
        heights = np.full((20, 20), 7.0, dtype=np.float32)
        heights[0, 0] = -9999.0
        source = write(tmp_path / "in.tif", heights, nodata=None)
        with pytest.raises(NodataError, match="-9999"):
            harmonise(source, tmp_path / "out.tif", HarmoniseRequest("EPSG:5621", "EPSG:7837"), tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["in.tif"]
        done = harmonise(source, tmp_path / "out.tif", HarmoniseRequest("EPSG:5621", "EPSG:7837", (-9999.0,)), tmp_path)
        assert (done.moved, done.void) == (399, 1)

    def test_heights_outside_the_area_are_not_lost_silently(self, tmp_path):
        source = write(tmp_path / "in.tif", np.full((20, 20), 7.0, dtype=np.float32), west=329_900.0, north=5_622_500.0)
        with rasterio.open(source) as file:
            assert file.bounds.bottom < 5_622_400
        request = HarmoniseRequest("EPSG:5621", "EPSG:5709")
        with pytest.raises(OutsideAreaOfUse):
            harmonise(source, tmp_path / "out.tif", request, tmp_path)

    def test_files_that_are_no_heights_are_refused(self, tmp_path):
        with pytest.raises(SourceMissing):
            harmonise(tmp_path / "none.tif", tmp_path / "out.tif", HarmoniseRequest("EPSG:5621", "EPSG:5709"), tmp_path)
        source = write(tmp_path / "in.tif", np.zeros((4, 4), dtype=np.float32), crs=None)
        with pytest.raises(SourceGridError, match="--crs"):
            harmonise(source, tmp_path / "out.tif", HarmoniseRequest("EPSG:5621", "EPSG:5709"), tmp_path)
