"""Web terrain holds the heights of its place and paints no ground where none is known."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import shapely
from PIL import Image
from pmtiles.reader import MmapSource, Reader, all_tiles

from orograph.pipeline.core.grid import Tile
from orograph.pipeline.errors import AllVoid, ConfigError, ExportError
from orograph.pipeline.exports.mosaic import Mosaic
from orograph.pipeline.exports.web_terrain import WebTile, write_web_terrain, zoom_for
from orograph.pipeline.formats.terrain_rgb import decode, encode, extended
from tests.support.formats_world import hills, write_tiles

TILE = Tile.parse("E4300N2650")


def half_void(east: np.ndarray, north: np.ndarray) -> np.ndarray:
    return np.where(east < 4_330_000, hills(east, north), np.nan)


@pytest.mark.parametrize(("code", "step"), [("terrarium", 1 / 256), ("mapbox", 0.1)])
def test_colours_and_back(code: str, step: float) -> None:
    heights = np.random.default_rng(1).uniform(-400, 8800, (40, 50)).astype(np.float32)
    assert np.abs(decode(encode(heights, code), code) - heights).max() <= step / 2 + 1e-3
    coarse = decode(encode(heights, code, step_m=2.0), code)
    assert np.abs(coarse - heights).max() <= 1.001
    np.testing.assert_allclose(coarse % 2, 0, atol=2e-3)
    with pytest.raises(ExportError, match="void"):
        encode(np.array([[np.nan]], np.float32), code)
    with pytest.raises(ExportError, match="fit"):
        encode(np.array([[-40_000.0]], np.float32), code)


def test_voids_are_extended_from_the_nearest_height() -> None:
    heights = np.full((5, 5), np.nan, np.float32)
    heights[2, 1] = 7
    heights[2, 4] = 9
    filled = extended(heights)
    assert (filled[:, 0] == 7).all()
    assert (filled[:, 4] == 9).all()
    with pytest.raises(ExportError):
        extended(np.full((2, 2), np.nan, np.float32))


def test_web_tiles_lie_where_maps_expect_them() -> None:
    tile = WebTile(12, 2162, 1434)
    west, south, east, north = tile.bounds_deg
    assert (west, east) == pytest.approx((10.019531, 10.107422), abs=1e-6)
    assert 47.3 < south < north < 47.45
    lattice = tile.lattice()
    assert west < lattice.longitudes_deg[0] < lattice.longitudes_deg[-1] < east
    assert north > lattice.latitudes_deg[0] > lattice.latitudes_deg[-1] > south
    assert zoom_for(10.0, 47.0) == 12


def test_archive_and_mask(tmp_path: Path) -> None:
    files = write_tiles(tmp_path, [TILE], 100, half_void)
    with Mosaic(files) as mosaic:
        info = write_web_terrain(mosaic, tmp_path / "area.pmtiles", max_zoom=10, attribution="Survey")
    with (tmp_path / "area.pmtiles").open("rb") as file:
        source = MmapSource(file)
        reader = Reader(source)
        assert reader.metadata()["encoding"] == "terrarium"
        assert reader.header()["max_zoom"] == info.max_zoom == 10
        tiles = dict(all_tiles(source))
    assert len(tiles) == info.tiles
    assert {zoom for zoom, _, _ in tiles} == set(range(11))
    mask = json.loads((tmp_path / "area_void.geojson").read_text())
    void = shapely.geometry.shape(mask["features"][0]["geometry"])
    assert void.is_valid
    shapely.prepare(void)
    checked = 0
    for zoom, col, row in tiles:
        if zoom not in {3, 7}:
            continue
        lattice = WebTile(zoom, col, row).lattice()
        east, north = lattice.project()
        covered = shapely.contains_xy(void, *np.meshgrid(lattice.longitudes_deg, lattice.latitudes_deg))
        assert covered[(east < 4_299_000) | (east > 4_331_000) | (north < 2_649_000) | (north > 2_701_000)].all()
    for (zoom, col, row), data in tiles.items():
        if zoom != 10:
            continue
        picture = np.asarray(Image.open(io.BytesIO(data)))
        assert picture.shape == (512, 512, 3)
        heights = decode(picture, "terrarium")
        lattice = WebTile(zoom, col, row).lattice()
        east, north = lattice.project()
        lon, lat = np.meshgrid(lattice.longitudes_deg, lattice.latitudes_deg)
        covered = shapely.contains_xy(void, lon, lat)
        truth = hills(east, north)
        inside = (east > 4_300_000) & (east < 4_330_000) & (north > 2_650_000) & (north < 2_700_000)
        assert covered[~inside & ((east < 4_299_900) | (east > 4_330_100))].all()
        shown = ~covered
        assert np.abs(heights - truth)[shown].max() < 12
        checked += int(shown.sum())
        # The apron is flat ground of the edge, neither 0 m nor a cliff.
        assert heights.min() > truth.min() - 60
    assert checked > 100_000


def test_equal_mosaics_give_equal_archives(tmp_path: Path) -> None:
    files = write_tiles(tmp_path, [TILE], 250, hills)
    made = []
    for _ in range(2):
        with Mosaic(files) as mosaic:
            write_web_terrain(mosaic, tmp_path / "t.pmtiles", max_zoom=8)
        made.append((tmp_path / "t.pmtiles").read_bytes())
    assert made[0] == made[1]


@pytest.mark.parametrize(("pixel_m", "zoom"), [(250, 8), (100, 9)])
def test_flat_land_has_no_terraces_at_the_deepest_zoom(tmp_path: Path, pixel_m: int, zoom: int) -> None:
    files = write_tiles(tmp_path, [TILE], pixel_m, lambda east, _: 3.0 + (east - 4_300_000) / 50_000)
    with Mosaic(files) as mosaic:
        write_web_terrain(mosaic, tmp_path / "t.pmtiles", max_zoom=zoom, min_zoom=zoom)
    with (tmp_path / "t.pmtiles").open("rb") as file:
        pictures = [np.asarray(Image.open(io.BytesIO(data))) for data in dict(all_tiles(MmapSource(file))).values()]
    heights = np.unique(np.concatenate([np.unique(decode(picture, "terrarium")) for picture in pictures]))
    assert np.diff(heights).max() <= 0.125


def test_nothing_to_show_and_bad_zooms(tmp_path: Path) -> None:
    files = write_tiles(tmp_path, [TILE], 500, lambda east, north: np.full(np.broadcast(east, north).shape, np.nan))
    with Mosaic(files) as mosaic, pytest.raises(AllVoid):
        write_web_terrain(mosaic, tmp_path / "t.pmtiles", max_zoom=7)
    with Mosaic(files) as mosaic, pytest.raises(ConfigError, match="zoom"):
        write_web_terrain(mosaic, tmp_path / "t.pmtiles", max_zoom=7, min_zoom=9)
    assert not (tmp_path / "t.pmtiles").exists()
