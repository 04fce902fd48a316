"""Contours lie where the heights say, meet at borders point by point, and come out the same in strips."""

from __future__ import annotations

from pathlib import Path

import contourpy
import numpy as np
import pyogrio
import pytest
import shapely

from orograph.pipeline.core.grid import Cell
from orograph.pipeline.errors import ConfigError, ExportError
from orograph.pipeline.exports.cell_lattice import point_lattice, tiles_of_cell
from orograph.pipeline.exports.mosaic import Mosaic
from orograph.pipeline.formats import contours
from orograph.pipeline.formats import marching_squares as marching
from orograph.pipeline.formats.contours import trace, write_contours
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


def rough(rows: int = 300, cols: int = 200) -> np.ndarray:
    y, x = np.mgrid[0:rows, 0:cols].astype(np.float64)
    noise = np.random.default_rng(5).normal(0, 8, (rows, cols))
    return (100 * np.sin(x / 13) * np.cos(y / 17) + x * 0.3 + noise).astype(np.float32)


def test_batches_of_levels_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = trace(rough(), 20.0)
    monkeypatch.setattr(marching, "BATCH_SEGMENTS", 10)
    parts = trace(rough(), 20.0)
    assert (parts.levels_m == whole.levels_m).all()
    assert all((a == b).all() for a, b in zip(parts.lines, whole.lines, strict=True))


@pytest.mark.parametrize("ground", ["rough", "dome", "stairs", "voids"])
def test_same_lines_as_contourpy(ground: str) -> None:
    heights = {"rough": rough, "dome": dome, "stairs": lambda: np.rint(rough()), "voids": rough}[ground]()
    if ground == "voids":
        heights[50:60, 70:130] = np.nan
        heights[200, 100] = np.nan
    interval = 20.25 if ground == "stairs" else 20.0
    ours: dict[float, list[float]] = {}
    found = trace(heights, interval)
    for level, line in zip(found.levels_m, found.lines, strict=True):
        ours.setdefault(float(level), []).append(float(np.hypot(*np.diff(line, axis=0).T).sum()))
    generator = contourpy.contour_generator(
        z=np.ma.masked_invalid(heights), name="serial", line_type="Separate", corner_mask=False
    )
    assert len(ours) >= 10
    for level, lengths in ours.items():
        theirs = [float(np.hypot(*np.diff(line, axis=0).T).sum()) for line in generator.lines(level)]
        theirs = [length for length in theirs if length > 0]
        np.testing.assert_allclose(sorted(lengths), sorted(theirs), rtol=1e-9, atol=1e-9)


def test_higher_ground_lies_on_the_left() -> None:
    for line in trace(dome(), 100.0).lines:
        if (line[0] == line[-1]).all():
            x, y = line.T
            area = float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]))
            assert area < 0  # counter-clockwise on the map, rows growing southwards


def test_ends_match_on_the_border_between_cells(tmp_path: Path) -> None:
    here, east, north = Cell(47, 10), Cell(47, 11), Cell(48, 10)
    tiles = tiles_of_cell(here) | tiles_of_cell(east) | tiles_of_cell(north)
    files = write_tiles(tmp_path, tiles, 100, hills)
    with Mosaic(files, missing="error") as mosaic:
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
