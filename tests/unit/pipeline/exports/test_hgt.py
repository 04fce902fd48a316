"""HGT files are what GDAL's driver writes, at the place their name says, sharing edges with the neighbours."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil

from orograph.pipeline.core.grid import Cell
from orograph.pipeline.errors import ExportError
from orograph.pipeline.exports.cell_lattice import point_lattice, tiles_of_cell
from orograph.pipeline.exports.hgt import cell_of_name, hgt_name, read_hgt, round_heights, sample_cell, write_hgt
from orograph.pipeline.exports.mosaic import Mosaic
from tests.support.formats_world import hills, plane, write_tiles

HERE, EAST, NORTH = Cell(47, 10), Cell(47, 11), Cell(48, 10)


def samples(seed: int = 1, side: int = 1201) -> np.ndarray:
    made = np.random.default_rng(seed).integers(-400, 4800, (side, side)).astype(np.int16)
    made[5:9, 100:120] = -32768
    return made


@pytest.mark.parametrize("side", [1201, 3601])
def test_byte_identical_to_gdal(tmp_path: Path, side: int) -> None:
    values = samples(side=side)
    (tmp_path / "ours").mkdir()
    (tmp_path / "gdal").mkdir()
    write_hgt(tmp_path / "ours/N47E010.hgt", HERE, values)
    half = 0.5 / (side - 1)
    transform = rasterio.Affine(2 * half, 0, 10 - half, 0, -2 * half, 48 + half)
    profile = {"width": side, "height": side, "count": 1, "dtype": "int16", "crs": "EPSG:4326", "nodata": -32768}
    with rasterio.open(tmp_path / "s.tif", "w", driver="GTiff", transform=transform, **profile) as dataset:
        dataset.write(values, 1)
    rasterio.shutil.copy(tmp_path / "s.tif", tmp_path / "gdal/N47E010.hgt", driver="SRTMHGT")
    assert (tmp_path / "ours/N47E010.hgt").read_bytes() == (tmp_path / "gdal/N47E010.hgt").read_bytes()
    with rasterio.open(tmp_path / "ours/N47E010.hgt") as dataset:
        np.testing.assert_array_equal(dataset.read(1), values)
        assert dataset.nodata == -32768
        assert tuple(dataset.transform)[:6] == pytest.approx(tuple(transform)[:6], abs=1e-12)


def test_rounding_is_half_away_from_zero_as_gdals() -> None:
    heights = np.array([[0.5, 2.5, -0.5, -1.5, 0.49999997, -0.4, np.nan, 8999.5]], np.float32)
    assert round_heights(heights).tolist() == [[1, 3, -1, -2, 0, 0, -32768, 9000]]


@pytest.mark.skipif(shutil.which("gdal_translate") is None, reason="gdal_translate is not installed")
def test_rounding_agrees_with_gdal_translate(tmp_path: Path) -> None:
    heights = np.concatenate([np.arange(-50, 50, 0.25), np.random.default_rng(2).uniform(-400, 4000, 1600)])
    heights = heights.astype(np.float32).reshape(20, 100)
    with rasterio.open(
        tmp_path / "f.tif",
        "w",
        driver="GTiff",
        width=100,
        height=20,
        count=1,
        dtype="float32",
        crs="EPSG:4326",
        transform=rasterio.Affine(1, 0, 0, 0, -1, 50),
    ) as dataset:
        dataset.write(heights, 1)
    subprocess.run(["gdal_translate", "-q", "-ot", "Int16", tmp_path / "f.tif", tmp_path / "i.tif"], check=True)
    with rasterio.open(tmp_path / "i.tif") as dataset:
        np.testing.assert_array_equal(round_heights(heights), dataset.read(1))


@pytest.mark.parametrize("bad", [9000.6, -501.0, 40_000.0, np.inf])
def test_heights_without_ground_are_refused(bad: float) -> None:
    heights = np.zeros((4, 4), np.float32)
    heights[2, 1] = bad
    with pytest.raises(ExportError, match="row 2, column 1"):
        round_heights(heights)


def test_neighbours_share_edges_bit_for_bit(tmp_path: Path) -> None:
    tiles = tiles_of_cell(HERE) | tiles_of_cell(EAST) | tiles_of_cell(NORTH)
    files = write_tiles(tmp_path, tiles, 100, hills)
    with Mosaic(files, missing="error") as mosaic:
        here, east, north = (sample_cell(mosaic, cell, 3) for cell in (HERE, EAST, NORTH))
    np.testing.assert_array_equal(here[:, -1], east[:, 0])
    np.testing.assert_array_equal(here[0], north[-1])
    assert (here != -32768).all()
    assert len(np.unique(here)) > 300


def test_samples_are_the_truth_of_their_place(tmp_path: Path) -> None:
    files = write_tiles(tmp_path, tiles_of_cell(HERE), 100, plane)
    with Mosaic(files, missing="error") as mosaic:
        values = sample_cell(mosaic, HERE, 3)
    truth = plane(*point_lattice(HERE, 1201).project())
    assert np.abs(values - truth).max() <= 0.5002


def test_zip_holds_one_file_and_is_reproducible(tmp_path: Path) -> None:
    path = tmp_path / hgt_name(HERE, zipped=True)
    write_hgt(path, HERE, samples())
    first = path.read_bytes()
    write_hgt(path, HERE, samples())
    assert path.read_bytes() == first
    assert zipfile.ZipFile(path).namelist() == ["N47E010.hgt"]
    cell, values = read_hgt(path)
    assert cell == HERE
    np.testing.assert_array_equal(values, samples())


def test_wrong_names_and_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="would contain N47E010"):
        write_hgt(tmp_path / "N47E011.hgt", HERE, samples())
    for name in ("x.hgt", "n47e010.hgt", "N47E010.tif", "N47E10.hgt", "S00W000.hgt", "N95E010.hgt"):
        with pytest.raises(ExportError):
            cell_of_name(name)
    with pytest.raises(ExportError, match="1201"):
        write_hgt(tmp_path / "N47E010.hgt", HERE, np.zeros((1200, 1200), np.int16))
    (tmp_path / "N47E010.hgt").write_bytes(bytes(1000))
    with pytest.raises(ExportError, match="1000 bytes"):
        read_hgt(tmp_path / "N47E010.hgt")
    (tmp_path / "N47E010.hgt.zip").write_bytes(b"no zip")
    with pytest.raises(ExportError, match="cannot be read"):
        read_hgt(tmp_path / "N47E010.hgt.zip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["N47E010.hgt", "N47E010.hgt.zip"]


def test_real_hgt_files_read(shared) -> None:
    cell, _ = read_hgt(shared("data/srtm/N43E006.hgt"))
    neighbour, _ = read_hgt(shared("data/srtm/N43E007.hgt"))
    assert (cell.id, neighbour.id) == ("N43E006", "N43E007")
    assert read_hgt(shared("data/srtm/N38W028.SRTMGL3.hgt.zip"))[0].id == "N38W028"
