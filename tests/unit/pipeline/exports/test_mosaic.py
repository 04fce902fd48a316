"""Sampling keeps planes exactly, does not see tile borders, and paints no ground where none is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orograph.pipeline.core.grid import Cell, Tile
from orograph.pipeline.errors import ExportError, OutsideCoverage, SourceCorrupt, SourceMissing
from orograph.pipeline.exports.cell_lattice import point_lattice
from orograph.pipeline.exports.mosaic import Mosaic
from orograph.pipeline.exports.sampling import SampleGrid
from tests.support.formats_world import hills, plane, write_tile, write_tiles

TILES = [Tile.parse(name) for name in ("E4300N2650", "E4350N2650", "E4300N2700", "E4350N2700")]


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> dict[Tile, Path]:
    return write_tiles(tmp_path_factory.mktemp("plane"), TILES, 50, plane)


def corner_lattice(steps: int = 1200, count: int = 200) -> SampleGrid:
    """Points around the corner where the four tiles meet (10.382 E, 47.413 N)."""
    rows = [(round(47.413 * steps) + count // 2 - row) / steps for row in range(count)]
    cols = [(round(10.382 * steps) - count // 2 + col) / steps for col in range(count)]
    return SampleGrid(np.array(rows), np.array(cols), 1 / steps, 1 / steps)


@pytest.mark.parametrize("steps", [1200, 3600])
def test_planes_are_kept(flat: dict[Tile, Path], steps: int) -> None:
    lattice = corner_lattice(steps)
    with Mosaic(flat, missing="error") as mosaic:
        heights = mosaic.sample(lattice)
    np.testing.assert_allclose(heights, plane(*lattice.project()), atol=2e-4, rtol=0)


def test_blocks_agree_bit_for_bit(tmp_path: Path) -> None:
    files = write_tiles(tmp_path, TILES, 100, hills)
    lattice = corner_lattice()
    with Mosaic(files) as mosaic:
        whole = mosaic.sample(lattice)
        for rows, cols in ((slice(3, 77), slice(40, 41)), (slice(100, 200), slice(13, 180))):
            np.testing.assert_array_equal(mosaic.sample(lattice.part(rows, cols)), whole[rows, cols])
        shifted = mosaic.sample(lattice, lambda part: np.full(part.shape, 0.25, np.float32))
    np.testing.assert_array_equal(shifted, whole + np.float32(0.25))
    assert np.isfinite(whole).all()


def test_missing_tiles_are_void_or_refused(flat: dict[Tile, Path]) -> None:
    three = {tile: flat[tile] for tile in TILES[:3]}
    lattice = corner_lattice()
    with Mosaic(three) as mosaic:
        heights = mosaic.sample(lattice)
    east, north = lattice.project()
    inside = (east > 4_350_000) & (north > 2_700_000)
    assert np.isnan(heights[inside & (east > 4_350_100) & (north > 2_700_100)]).all()
    assert np.isfinite(heights[~inside]).all()
    with Mosaic(three, missing="error") as mosaic, pytest.raises(OutsideCoverage, match="E4350N2700"):
        mosaic.sample(lattice)


def test_outside_europe_is_void(flat: dict[Tile, Path]) -> None:
    with Mosaic(flat) as mosaic:
        assert np.isnan(mosaic.sample(point_lattice(Cell(5, 10), 3))).all()


def test_overviews_serve_coarse_samples(tmp_path: Path) -> None:
    files = write_tiles(tmp_path, TILES[:1], 12.5, plane)
    lattice = SampleGrid(np.array([47.3, 47.2, 47.1]), np.array([9.9, 10.1, 10.3]), 1 / 1200, 1 / 1200)
    with Mosaic(files) as mosaic:
        assert mosaic.level_for(92.0) == 1
        np.testing.assert_allclose(mosaic.sample(lattice), plane(*lattice.project()), atol=2e-4, rtol=0)


def test_files_that_do_not_fit(tmp_path: Path, flat: dict[Tile, Path]) -> None:
    with pytest.raises(OutsideCoverage):
        Mosaic({})
    with pytest.raises(SourceMissing, match="E4300N2650"):
        Mosaic({TILES[0]: tmp_path / "no.tif"})
    with pytest.raises(SourceCorrupt, match="E4350N2650"):
        Mosaic({TILES[1]: flat[TILES[0]]})
    other = write_tile(tmp_path, TILES[1], 100, plane)
    with pytest.raises(ExportError, match="100"):
        Mosaic({TILES[0]: flat[TILES[0]], TILES[1]: other})


def test_a_truncated_tile_is_named(tmp_path: Path, flat: dict[Tile, Path]) -> None:
    whole = flat[TILES[0]].read_bytes()
    cut = tmp_path / "cut.tif"
    cut.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(SourceCorrupt, match="E4300N2650"), Mosaic({TILES[0]: cut}) as mosaic:
        mosaic.sample(SampleGrid(np.linspace(47.3, 47.0, 50), np.linspace(9.8, 10.3, 50), 0.001, 0.001))
