import zipfile
from pathlib import Path

import numpy as np
import pytest
from shapely import Point

from orograph.pipeline.errors import (
    IngestNeeded,
    NodataError,
    OrographError,
    SourceCorrupt,
    SourceGridError,
    SourceMissing,
)
from orograph.pipeline.sources.header import read_header
from orograph.pipeline.sources.index_build import footprints_deg
from orograph.pipeline.sources.reader import SourceReader
from tests.support.made import source, write_source

BOX = (4_000_000.0, 3_000_000.0, 4_001_000.0, 3_001_000.0)


def test_files_of_one_lattice_read_as_one_raster(tmp_path):
    left = write_source(tmp_path / "a.tif", "EPSG:3035", BOX, 10)
    right = write_source(tmp_path / "b.tif", "EPSG:3035", (4_001_000.0, 3_000_000.0, 4_002_000.0, 3_001_000.0), 10)
    whole = write_source(tmp_path / "c.tif", "EPSG:3035", (4_000_000.0, 3_000_000.0, 4_002_000.0, 3_001_000.0), 10)
    with SourceReader(source((left, right)), [left, right]) as two, SourceReader(source(whole), [whole]) as one:
        assert len(two.lattices) == 1
        window = (-300_090, 400_050, 60, 120)
        assert np.array_equal(two.read(two.lattices[0], *window), one.read(one.lattices[0], *window))
        assert np.isfinite(two.read(two.lattices[0], *window)).all()


def test_files_of_different_pixels_are_separate_lattices(tmp_path):
    a = write_source(tmp_path / "a.tif", "EPSG:3035", BOX, 10)
    b = write_source(tmp_path / "b.tif", "EPSG:3035", BOX, 11.5)
    with SourceReader(source((a, b)), [a, b]) as reader:
        assert len(reader.lattices) == 2


def test_undeclared_nodata_is_refused(tmp_path):
    path = write_source(tmp_path / "a.tif", "EPSG:3035", BOX, 10, nodata=-1.0, hole=(slice(0, 1), slice(0, 1)))
    import rasterio

    with rasterio.open(path, "r+") as dataset:
        dataset.nodata = None
        heights = dataset.read(1)
        heights[:20, :20] = -9999
        dataset.write(heights, 1)
    with SourceReader(source(path), [path]) as reader, pytest.raises((NodataError, SourceCorrupt)):
        reader.read(reader.lattices[0], -300_100, 400_000, 100, 100)


def test_a_missing_file_names_source_and_remedy(tmp_path):
    with pytest.raises(SourceMissing) as caught:
        read_header(tmp_path / "gone.tif", source(tmp_path / "gone.tif"))
    assert caught.value.source == "made"
    assert caught.value.remedy


def test_a_truncated_file_is_corrupt(tmp_path):
    path = write_source(tmp_path / "a.tif", "EPSG:3035", BOX, 10)
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(SourceCorrupt), SourceReader(source(path), [path]) as reader:
        reader.read(reader.lattices[0], -300_100, 400_000, 100, 100)


@pytest.mark.parametrize("described", [{"horizontal_crs": "EPSG:25832"}, {"pixel": "area", "points": True}])
def test_a_header_that_contradicts_its_source_is_refused(tmp_path, described):
    points = described.pop("points", False)
    path = write_source(tmp_path / "a.tif", "EPSG:3035", BOX, 10, points=points)
    with pytest.raises(SourceGridError):
        read_header(path, source(path, **described))


def test_points_lie_half_a_pixel_further_out(tmp_path):
    path = write_source(tmp_path / "a.tif", "EPSG:3035", BOX, 10)
    area = read_header(path, source(path))
    point = read_header(path, source(path, pixel="point"))
    assert (point.affine.c, point.affine.f) == (area.affine.c - 5, area.affine.f + 5)


def test_a_zip_of_one_raster_is_read_and_of_two_refused(tmp_path):
    path = write_source(tmp_path / "a.tif", "EPSG:3035", BOX, 10)
    for count in (1, 2):
        archive = tmp_path / f"{count}.zip"
        with zipfile.ZipFile(archive, "w") as out:
            for k in range(count):
                out.write(path, f"{k}.tif")
    assert read_header(tmp_path / "1.zip", source(path)).shape == (100, 100)
    with pytest.raises(IngestNeeded, match="orograph ingest"):
        read_header(tmp_path / "2.zip", source(path))


def test_an_html_page_is_no_raster(tmp_path):
    path = tmp_path / "page.tif"
    path.write_text("<html>503</html>")
    with pytest.raises(OrographError):
        read_header(Path(path), source(path))


@pytest.mark.parametrize("west", [-8.0, 352.0, 0.0])
def test_longitudes_of_0_to_360_are_those_of_the_western_hemisphere(tmp_path, west):
    """A raster in degrees west of Greenwich, counted from -180 or from 0, and a global one."""
    import rasterio
    from affine import Affine

    step = 0.05
    cols = 7200 if west == 0 else 80
    lon = west + (np.arange(cols) + 0.5) * step
    values = np.broadcast_to(np.where(lon > 180, lon - 360, lon).astype("f4") * 100 + 1000, (20, cols))
    path = tmp_path / "west.tif"
    profile = {"driver": "GTiff", "dtype": "float32", "count": 1, "crs": "EPSG:4326", "compress": "deflate"}
    with rasterio.open(
        path, "w", width=cols, height=20, transform=Affine(step, 0, west, 0, -step, 51.0), **profile
    ) as dataset:
        dataset.write(values, 1)
    made = source(path, horizontal_crs="EPSG:4326", resolution_m=5000.0)
    with SourceReader(made, [path]) as reader:
        (lattice,) = reader.lattices
        row, col = round((lattice.affine.f - 51.0) / step), round((-7.0 - lattice.affine.c) / step)
        read = reader.read(lattice, row, col, 20, 40)
        assert read[0] == pytest.approx(1000 + 100 * (-7.0 + (np.arange(40) + 0.5) * step), abs=1e-2)
    (footprint,) = footprints_deg(np.array([[west, 50.0, west + cols * step, 51.0]]), "EPSG:4326", "made")
    assert footprint.intersects(Point(-6.0, 50.5))
    assert footprint.bounds[0] >= -180
    assert footprint.bounds[2] <= 180
