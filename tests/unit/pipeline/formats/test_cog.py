"""COGs hold what was written, exactly, with their compound CRS, and never half of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyproj
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioIOError

from orograph.pipeline.core.grid import PixelWindow, Tile, windows
from orograph.pipeline.errors import DiskFull, ExportError, StoreUnwritable
from orograph.pipeline.formats import cog
from orograph.pipeline.formats.scratch import disk_error

COMPOUND = pyproj.CRS("EPSG:3035+5621").to_wkt()
TILE = Tile.parse("E4300N2650")


def relief(size: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=(size, size)).astype(np.float32)
    heights = 700 + np.cumsum(np.cumsum(steps, axis=0), axis=1) / size
    heights[3:90, 5:300] = np.nan
    return heights.astype(np.float32)


def written(path: Path, heights: np.ndarray, pixel_size_m: float, size_px: int = 512, **options) -> cog.CogInfo:
    scratch = path.with_name("scratch.tif")
    with cog.scratch(scratch, TILE.geobox(pixel_size_m)) as writer:
        for window in windows(heights.shape, size_px):
            writer.write(window, heights[window.slices])
    return cog.finish(scratch, path, crs_wkt=COMPOUND, **options)


def test_heights_grid_and_frame_survive(tmp_path: Path) -> None:
    heights = relief(1000)
    info = written(tmp_path / "a.tif", heights, 50, band_names=("elevation",), band_units=("m",), tags={"FRAME": "x"})
    with rasterio.open(tmp_path / "a.tif") as dataset:
        read = dataset.read(1, masked=True)
        assert dataset.crs == CRS.from_wkt(COMPOUND)
        assert pyproj.CRS(dataset.crs.to_wkt()).sub_crs_list[1].to_epsg() == 5621
        assert tuple(dataset.transform)[:6] == (50.0, 0.0, 4_300_000.0, 0.0, -50.0, 2_700_000.0)
        assert dataset.nodata == -32768.0
        assert dataset.block_shapes == [(512, 512)]
        assert dataset.tags()["AREA_OR_POINT"] == "Area"
        assert dataset.tags()["FRAME"] == "x"
        assert (dataset.descriptions, dataset.units) == (("elevation",), ("m",))
        assert dataset.overviews(1)[0] == 2
    np.testing.assert_array_equal(read.filled(np.nan), heights)
    valid = heights[np.isfinite(heights)].astype(np.float64)
    statistics = info.statistics[0]
    assert statistics.minimum == pytest.approx(valid.min(), rel=1e-9)
    assert statistics.mean == pytest.approx(valid.mean(), rel=1e-9)
    assert statistics.stddev == pytest.approx(valid.std(), rel=1e-6)
    assert statistics.valid_percent == pytest.approx(100 * valid.size / heights.size)
    assert info.size_bytes == (tmp_path / "a.tif").stat().st_size
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tif"]


def test_equal_inputs_give_equal_bytes_in_any_order(tmp_path: Path) -> None:
    heights = relief(1000)
    written(tmp_path / "a.tif", heights, 50)
    (tmp_path / "b").mkdir()
    with cog.scratch(tmp_path / "b/s.tif", TILE.geobox(50)) as writer:
        for window in reversed(list(windows(heights.shape, 512))):
            writer.write(window, heights[window.slices])
    cog.finish(tmp_path / "b/s.tif", tmp_path / "b/b.tif", crs_wkt=COMPOUND)
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b/b.tif").read_bytes()


def test_overviews_average_only_what_is_there(tmp_path: Path) -> None:
    heights = np.full((1000, 1000), 100.0, np.float32)
    heights[:, :501] = np.nan
    written(tmp_path / "a.tif", heights, 50)
    with rasterio.open(tmp_path / "a.tif", overview_level=0) as dataset:
        read = dataset.read(1, masked=True)
    assert set(np.unique(read.compressed())) == {100.0}
    assert read.mask[:, :250].all()
    assert not read.mask[:, 250:].any()


def test_lerc_stays_within_its_error_and_keeps_voids(tmp_path: Path) -> None:
    heights = relief(1000)
    written(tmp_path / "a.tif", heights, 50, compression="lerc-zstd", lerc_max_error_m=0.005)
    with rasterio.open(tmp_path / "a.tif") as dataset:
        read = dataset.read(1, masked=True)
    np.testing.assert_array_equal(np.ma.getmaskarray(read), np.isnan(heights))
    assert np.abs(read.compressed() - heights[np.isfinite(heights)]).max() <= 0.005 * (1 + 1e-3)


def test_several_integer_bands(tmp_path: Path) -> None:
    index = np.stack([np.full((500, 500), 3, np.uint8), np.arange(250_000).reshape(500, 500).astype(np.uint8)])
    with cog.scratch(tmp_path / "s.tif", TILE.geobox(100), dtype="uint8", nodata=255, bands=2) as writer:
        writer.write(PixelWindow(0, 0, 500, 500), index)
    info = cog.finish(tmp_path / "s.tif", tmp_path / "i.tif", overview="nearest", band_names=("a", "b"))
    with rasterio.open(tmp_path / "i.tif") as dataset:
        np.testing.assert_array_equal(dataset.read(), index)
    assert info.statistics[0].to_dict() == {"minimum": 3, "maximum": 3, "mean": 3, "stddev": 0, "valid_percent": 100}
    assert info.statistics[1].maximum == 254


def test_a_void_tile_has_no_statistics(tmp_path: Path) -> None:
    info = written(tmp_path / "a.tif", np.full((500, 500), np.nan, np.float32), 100)
    assert info.statistics[0].to_dict() == {"valid_percent": 0.0}


def test_wrong_windows_are_refused_and_nothing_stays(tmp_path: Path) -> None:
    with (
        pytest.raises(ExportError, match="window"),
        cog.scratch(tmp_path / "s.tif", TILE.geobox(100)) as writer,
    ):
        writer.write(PixelWindow(0, 0, 10, 10), np.zeros((9, 10), np.float32))
    assert list(tmp_path.iterdir()) == []


def test_a_plain_geotiff_is_no_cog(tmp_path: Path) -> None:
    with cog.scratch(tmp_path / "s.tif", TILE.geobox(50)) as writer:
        writer.write(PixelWindow(0, 0, 1000, 1000), relief(1000))
    with pytest.raises(ExportError, match="not a valid COG"):
        cog.validate(tmp_path / "s.tif")


def test_a_damaged_scratch_file_leaves_no_output(tmp_path: Path) -> None:
    (tmp_path / "s.tif").write_bytes(b"not a tiff")
    with pytest.raises(ExportError, match=r"s\.tif"):
        cog.finish(tmp_path / "s.tif", tmp_path / "a.tif")
    assert list(tmp_path.iterdir()) == []


def test_finish_encodes_again_when_told_another_codec(tmp_path: Path) -> None:
    heights = relief(1000)
    written(tmp_path / "late.tif", heights, 50, compression="lerc-zstd", lerc_max_error_m=0.01, overview="nearest")
    how = cog.Encoding("lerc-zstd", 0.01, "nearest")
    with cog.scratch(tmp_path / "s.tif", TILE.geobox(50), encoding=how) as writer:
        for window in windows(heights.shape, 512):
            writer.write(window, heights[window.slices])
    cog.finish(tmp_path / "s.tif", tmp_path / "early.tif", crs_wkt=COMPOUND)
    with rasterio.open(tmp_path / "late.tif") as late, rasterio.open(tmp_path / "early.tif") as early:
        assert late.tags(ns="IMAGE_STRUCTURE")["COMPRESSION"] == "LERC_ZSTD"
        np.testing.assert_array_equal(late.read(1), early.read(1))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["early.tif", "late.tif"]


def test_windows_that_begin_at_odd_pixels(tmp_path: Path) -> None:
    heights = relief(1000)
    written(tmp_path / "even.tif", heights, 50)
    written(tmp_path / "odd.tif", heights, 50, size_px=333)
    with rasterio.open(tmp_path / "even.tif") as even, rasterio.open(tmp_path / "odd.tif") as odd:
        np.testing.assert_array_equal(even.read(1), odd.read(1))
    for level in (0,):
        with (
            rasterio.open(tmp_path / "even.tif", overview_level=level) as even,
            rasterio.open(tmp_path / "odd.tif", overview_level=level) as odd,
        ):
            np.testing.assert_array_equal(even.read(1), odd.read(1))


def test_a_window_beyond_the_raster_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ExportError, match="beyond"),
        cog.scratch(tmp_path / "s.tif", TILE.geobox(100)) as writer,
    ):
        writer.write(PixelWindow(499, 0, 2, 10), np.zeros((2, 10), np.float32))


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    (tmp_path / ".a.tif.partial").symlink_to("/dev/full")
    with pytest.raises(DiskFull, match=r"a\.tif"):
        written(tmp_path / "a.tif", relief(1000), 50)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "no").touch()
    with (
        pytest.raises((StoreUnwritable, ExportError), match=r"s\.tif"),
        cog.scratch(tmp_path / "no" / "s.tif", TILE.geobox(100)),
    ):
        pass


def test_a_failed_write_on_a_full_disk_is_told_from_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = RasterioIOError("Write failed. See previous exception for details.")
    assert type(disk_error(fault, tmp_path / "x.tif")) is ExportError
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 0))
    assert type(disk_error(fault, tmp_path / "x.tif")) is DiskFull


def test_bytes_are_deflate_for_browsers():
    assert cog.Encoding().options("uint8")["compress"] == "DEFLATE"
    assert cog.Encoding("lerc-zstd").options("uint8")["compress"] == "DEFLATE"
    assert cog.Encoding().options("float32")["compress"] == "ZSTD"


def test_a_colour_table_is_read_by_gdal_in_every_level(tmp_path: Path) -> None:
    geobox = GeoBox((1100, 1100), rasterio.Affine(10, 0, 4_300_000, 0, -10, 2_650_000), "EPSG:3035")
    values = np.zeros((1100, 1100), np.uint8)
    values[:, 550:] = 2
    path = tmp_path / "index.tif"
    with cog.scratch(tmp_path / "scratch.tif", geobox, dtype="uint8", nodata=0) as writer:
        for window in windows(values.shape, 512):
            writer.write(window, values[window.slices])
    cog.finish(tmp_path / "scratch.tif", path, overview="mode", colours={1: (0, 114, 178), 2: (230, 159, 0)})
    for options in ({}, {"overview_level": 0}):
        with rasterio.open(path, **options) as dataset:
            assert dataset.colorinterp == (ColorInterp.palette,)
            assert dataset.colormap(1)[2][:3] == (230, 159, 0)
            assert set(np.unique(dataset.read(1))) == {0, 2}
