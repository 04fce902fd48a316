"""Assembled files are what GDAL's COG driver would lay out, in TIFF and BigTIFF, with sparse tiles."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import rasterio

from orograph.pipeline.core.grid import PixelWindow, Tile
from orograph.pipeline.errors import ExportError
from orograph.pipeline.formats import cog, tiff

FULL_CHECK = Path("/usr/lib/python3/dist-packages/osgeo_utils/samples/validate_cloud_optimized_geotiff.py")


@pytest.fixture
def made(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, np.ndarray]:
    if request.param == "big":
        monkeypatch.setattr(tiff, "_CLASSIC_LIMIT", 1000)
    values = np.random.default_rng(1).integers(0, 250, (3, 700, 600)).astype(np.uint8)
    with cog.scratch(tmp_path / "s.tif", Tile(4300, 2650).geobox(25), dtype="uint8", nodata=255, bands=3) as writer:
        writer.write(PixelWindow(0, 0, 700, 600), values)
    cog.finish(tmp_path / "s.tif", tmp_path / "m.tif", overview="nearest", band_names=("a", "b", "c"))
    return tmp_path / "m.tif", values


@pytest.mark.parametrize("made", ["classic", "big"], indirect=True)
def test_layout(made: tuple[Path, np.ndarray]) -> None:
    path, values = made
    start = path.read_bytes()[:200]
    big = struct.unpack("<H", start[2:4])[0] == 43
    assert start[16 if big else 8 :].startswith(b"GDAL_STRUCTURAL_METADATA_SIZE=000140 bytes\nLAYOUT=IFDS_BEFORE_DATA")
    with rasterio.open(path) as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        np.testing.assert_array_equal(dataset.read()[:, :700, :600], values)
        assert (dataset.read()[:, 700:] == 255).all()
        assert dataset.overviews(1) == [2, 4]
    with rasterio.open(path, overview_level=0) as dataset:
        np.testing.assert_array_equal(dataset.read()[:, :350, :300], values[:, ::2, ::2])
    level = tiff.read_level(path)
    assert (level.sizes == 0).sum() == 12
    assert (np.diff(level.offsets[level.sizes > 0]) > 0).all()


@pytest.mark.parametrize("made", ["classic", "big"], indirect=True)
@pytest.mark.skipif(not FULL_CHECK.exists(), reason="GDAL's own validator is not installed")
def test_gdals_full_check(made: tuple[Path, np.ndarray]) -> None:
    python = shutil.which("python3", path="/usr/bin") or "python3"
    checked = subprocess.run(
        [python, FULL_CHECK, "--full-check=yes", made[0]], capture_output=True, text=True, check=False
    )
    assert "is a valid cloud optimized GeoTIFF" in checked.stdout, checked.stdout + checked.stderr


@pytest.mark.parametrize("data", [b"", b"II*\0", b"MM\0*" + bytes(20), b"II*\0\x08\0\0\0" + bytes(8)])
def test_what_is_no_tiled_tiff(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.tif").write_bytes(data)
    with pytest.raises(ExportError, match=r"x\.tif"):
        tiff.read_level(tmp_path / "x.tif")


def test_a_file_that_ends_inside_a_tile(tmp_path: Path) -> None:
    with cog.scratch(tmp_path / "s.tif", Tile(4300, 2650).geobox(100)) as writer:
        writer.write(PixelWindow(0, 0, 500, 500), np.random.default_rng(1).random((500, 500), np.float32))
    level = tiff.read_level(tmp_path / "s.tif")
    cut = tiff.WrittenLevel(level.path, level.tags, level.offsets + 10_000_000, level.sizes)
    with pytest.raises(ExportError, match="inside a tile"):
        tiff.assemble([cut], tmp_path / "o.tif")
