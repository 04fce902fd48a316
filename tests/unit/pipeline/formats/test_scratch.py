"""Scratch files: encodings, statistics, halves, failures."""

import errno
import json

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioIOError

from orograph.pipeline.core.grid import PixelWindow
from orograph.pipeline.errors import DiskFull, ExportError, StoreUnwritable
from orograph.pipeline.formats.scratch import (
    NODATA,
    Encoding,
    disk_error,
    halve_levels,
    level_path,
    note_path,
    remove,
    scratch,
)

BOX = GeoBox((20, 30), Affine(10, 0, 0, 0, -10, 0), "EPSG:3035")


@pytest.mark.parametrize(
    ("encoding", "dtype", "compress"),
    [
        (Encoding(), "float32", "ZSTD"),
        (Encoding("lerc-zstd", 0.01), "float32", "LERC_ZSTD"),
        (Encoding("lerc-zstd", 0.01), "int16", "ZSTD"),
        (Encoding(), "uint8", "DEFLATE"),
    ],
)
def test_only_heights_are_lossy_and_bytes_are_for_browsers(encoding, dtype, compress):
    options = encoding.options(dtype)
    assert options["compress"] == compress
    assert options.get("max_z_error") == (0.01 if compress == "LERC_ZSTD" else None)


def test_windows_are_kept_with_their_statistics_and_encoding(tmp_path):
    path = tmp_path / "new" / "a.tif"
    heights = np.arange(600, dtype=np.float32).reshape(20, 30)
    heights[0, 0] = np.nan
    with scratch(path, BOX) as writer:
        writer.write(PixelWindow(8, 0, 12, 30), heights[8:])
        writer.write(PixelWindow(0, 0, 8, 30), heights[:8])
    with rasterio.open(path) as file:
        assert file.read(1)[0, 0] == NODATA == file.nodata
        assert float(file.tags(1)["STATISTICS_MAXIMUM"]) == 599
        assert float(file.tags(1)["STATISTICS_MINIMUM"]) == 1
    assert json.loads(note_path(path).read_text())["compression"] == "zstd"
    remove(path)
    assert list(path.parent.iterdir()) == []


def test_lossy_files_state_the_statistics_of_what_they_return(tmp_path):
    heights = np.random.default_rng(0).normal(500, 30, (20, 30)).astype(np.float32)
    with scratch(tmp_path / "a.tif", BOX, encoding=Encoding("lerc-zstd", 0.5)) as writer:
        writer.write(PixelWindow(0, 0, 20, 30), heights)
    with rasterio.open(tmp_path / "a.tif") as file:
        values = file.read(1)
        assert float(file.tags(1)["STATISTICS_MAXIMUM"]) == pytest.approx(values.max())
    assert 0 < np.abs(values - heights).max() <= 0.5


@pytest.mark.parametrize("even", [True, False])
def test_the_first_overview_is_the_mean_whether_written_on_the_way_or_after(tmp_path, even):
    box = GeoBox((600, 20), BOX.affine, BOX.crs)
    heights = np.arange(12_000, dtype=np.float32).reshape(600, 20)
    cut = 300 if even else 301
    with scratch(tmp_path / "a.tif", box) as writer:
        writer.write(PixelWindow(0, 0, cut, 20), heights[:cut])
        writer.write(PixelWindow(cut, 0, 600 - cut, 20), heights[cut:])
    halved = json.loads(note_path(tmp_path / "a.tif").read_text())["halved"]
    assert halved is even
    levels = halve_levels(tmp_path / "a.tif", Encoding(), first_exists=halved)
    assert levels == [tmp_path / "a.tif", level_path(tmp_path / "a.tif", 1)]
    with rasterio.open(levels[1]) as file:
        np.testing.assert_allclose(file.read(1), heights.reshape(300, 2, 10, 2).mean(axis=(1, 3)))


def test_a_failing_body_leaves_nothing(tmp_path):
    with pytest.raises(KeyError), scratch(tmp_path / "a.tif", BOX):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_windows_of_another_type_or_place_are_typed_errors(tmp_path):
    with scratch(tmp_path / "a.tif", BOX) as writer:
        with pytest.raises(ExportError, match="float64"):
            writer.write(PixelWindow(0, 0, 20, 30), np.zeros((20, 30)))
        with pytest.raises(ExportError, match="beyond"):
            writer.write(PixelWindow(15, 0, 10, 30), np.zeros((10, 30), np.float32))


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (OSError(errno.ENOSPC, "x"), DiskFull),
        (RasterioIOError("write failed: No space left on device"), DiskFull),
        (PermissionError("no"), StoreUnwritable),
        (RasterioIOError("Read-only file system"), StoreUnwritable),
        (RasterioIOError("something else"), ExportError),
    ],
)
def test_faults_of_the_disk_are_typed(tmp_path, fault, kind):
    error = disk_error(fault, tmp_path / "a.tif")
    assert type(error) is kind
    assert "a.tif" in str(error)
