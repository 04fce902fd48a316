"""Contours lie where the heights say, meet at borders point by point, and come out the same in strips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely

from pipeline.errors import ConfigError, ExportError
from pipeline.formats import contours
from pipeline.formats.cells import point_lattice, tiles_of_cell
from pipeline.formats.contours import trace, write_contours
from pipeline.formats.mosaic import Mosaic
from pipeline.grid import Cell
from tests.support.formats_world import hills, write_tiles


def dome(size: int = 201) -> np.ndarray:
    y, x = np.mgrid[0:size, 0:size] - (size - 1) / 2
    return (1000 - np.hypot(x, y) * 5).astype(np.float32)


def edge_ends(found: contours.Contours, axis: int, value: float) -> set[tuple[float, float]]:
    """(level, other coordinate) of each line end on one edge."""
    ends = set()
    for level, line in zip(found.levels_m, found.lines, strict=True):
        for end in (0, -1):
            if line[end, axis] == value and not (line[0] == line[-1]).all():
                ends.add((float(level), float(line[end, 1 - axis])))
    return ends


def test_circles_of_a_dome() -> None:
    found = trace(dome(), 100.0)
    for level, line in zip(found.levels_m, found.lines, strict=True):
        radius = np.hypot(*(line - 100).T)
        np.testing.assert_allclose(radius, (1000 - level) / 5, atol=0.03)
    assert {700.0, 800.0, 900.0} <= set(found.levels_m)
    assert set(found.levels_m) <= set(range(200, 1001, 100))


def test_strips_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    y, x = np.mgrid[0:300, 0:200].astype(np.float64)
    heights = (100 * np.sin(x / 13) * np.cos(y / 17) + x * 0.3).astype(np.float32)
    whole = trace(heights, 20.0)
    monkeypatch.setattr(contours, "STRIP_POINTS", 200 * 23)
    parts = trace(heights, 20.0)
    assert len(parts.lines) == len(whole.lines)

    def lengths(found: contours.Contours) -> list[tuple[float, float]]:
        measured = [
            (float(level), round(float(np.hypot(*np.diff(line, axis=0).T).sum()), 6))
            for level, line in zip(found.levels_m, found.lines, strict=True)
        ]
        return sorted(measured)

    np.testing.assert_allclose(lengths(parts), lengths(whole), atol=1e-5)


def test_ends_match_on_the_border_between_cells(tmp_path: Path) -> None:
    here, east, north = Cell(47, 10), Cell(47, 11), Cell(48, 10)
    tiles = tiles_of_cell(here) | tiles_of_cell(east) | tiles_of_cell(north)
    files = write_tiles(tmp_path, tiles, 100, hills)
    with Mosaic(files, missing="refuse") as mosaic:
        a, b, c = (trace(mosaic.sample(point_lattice(cell, 1201)), 25.0) for cell in (here, east, north))
    on_east = edge_ends(a, 0, 1200.0)
    assert len(on_east) > 100
    assert on_east == edge_ends(b, 0, 0.0)
    on_north = edge_ends(a, 1, 0.0)
    assert len(on_north) > 100
    assert on_north == edge_ends(c, 1, 1200.0)


@pytest.mark.parametrize("suffix", ["shp", "gpkg", "fgb"])
def test_files_hold_lines_and_elevation(tmp_path: Path, suffix: str) -> None:
    found = trace(dome(), 100.0)
    path = tmp_path / f"a.{suffix}"
    count = write_contours(found, path, place=lambda line: line * 0.001 + [10.0, 47.0], crs="EPSG:4258")
    meta, _, wkb, fields = pyogrio.raw.read(path)
    assert list(meta["fields"]) == ["elevation"]
    assert meta["crs"] == "EPSG:4258"
    assert len(wkb) == count == len(found.lines)
    assert sorted(fields[0]) == sorted(found.levels_m)
    bounds = shapely.total_bounds(shapely.from_wkb(wkb))
    assert bounds == pytest.approx([10.0, 47.0, 10.2, 47.2], abs=1e-9)
    first = path.read_bytes()
    path.unlink()
    write_contours(found, path, place=lambda line: line * 0.001 + [10.0, 47.0], crs="EPSG:4258")
    assert path.read_bytes() == first


def test_level_and_void_ground_have_no_lines(tmp_path: Path) -> None:
    for heights in (np.full((50, 50), 12.0, np.float32), np.full((50, 50), np.nan, np.float32)):
        found = trace(heights, 25.0)
        assert len(found.lines) == 0
        assert write_contours(found, tmp_path / "a.fgb", place=lambda line: line, crs="EPSG:4258") == 0


def test_lines_end_at_voids() -> None:
    heights = dome()
    heights[90:110] = np.nan
    for line in trace(heights, 100.0).lines:
        assert not ((line[:, 1] > 89.01) & (line[:, 1] < 109.99)).any()


@pytest.mark.parametrize("interval", [0.0, -5.0, float("nan")])
def test_bad_intervals(interval: float) -> None:
    with pytest.raises(ConfigError, match="interval"):
        trace(dome(), interval)


def test_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="kml"):
        write_contours(trace(dome(), 100.0), tmp_path / "a.kml", place=lambda line: line, crs="EPSG:4258")
