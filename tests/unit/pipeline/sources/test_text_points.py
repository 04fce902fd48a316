"""XYZ text: its layout is recognised, its lattice is found or rejected, and a fault is named by its line."""

from __future__ import annotations

import io

import numpy as np
import pytest

from orograph.pipeline.errors import OrographError, SourceCorrupt, SourceGridError
from orograph.pipeline.sources.text_points import Lattice, Layout, fill, lattice_of, layout_of, pieces


def read(text: str) -> tuple[Lattice, np.ndarray]:
    data = text.encode()
    layout = layout_of(data[:4096], "a.xyz")
    lattice = lattice_of(lambda: io.BytesIO(data), layout, "a.xyz")
    heights = np.full(lattice.shape, np.nan, np.float32)
    fill(lambda: io.BytesIO(data), layout, lattice, heights, "a.xyz")
    return lattice, heights


def grid(cols: int = 4, rows: int = 3, step: float = 1.0) -> list[tuple[float, float, float]]:
    return [(570_000.5 + step * c, 5_575_000.5 - step * r, 100 + 10 * r + c) for r in range(rows) for c in range(cols)]


def lines(points: list[tuple[float, float, float]], pattern: str = "{} {} {}") -> str:
    return "".join(pattern.format(*point) + "\n" for point in points)


def test_points_are_pixel_centres() -> None:
    lattice, heights = read(lines(grid()))
    assert lattice.affine[:6] == (1.0, 0.0, 570_000.0, 0.0, -1.0, 5_575_001.0)
    assert heights.tolist() == [[100, 101, 102, 103], [110, 111, 112, 113], [120, 121, 122, 123]]


@pytest.mark.parametrize(
    "text",
    [
        lines(grid()[::-1]),
        lines(sorted(grid())),
        lines(grid(), "{};{};{}").replace(".", ","),
        lines(grid(), "{}\t{}\t{};").replace(".", ","),
        lines(grid(), "{}, {}, {}"),
        lines(grid(), "{},{},{}\r"),
        "﻿X Y Z\n" + lines(grid()),
        "# made by x\n\nEasting;Northing;Hoehe\n" + lines(grid(), "{};{};{}"),
        "n,e,h\n" + lines([(y, x, z) for x, y, z in grid()], "{},{},{}"),
        lines(grid(), "{} {} {} 255 0 0"),
        lines(grid()).rstrip("\n"),
        lines(grid()).replace("\n", "\n\n"),
    ],
)
def test_every_way_of_writing_gives_the_same_raster(text: str) -> None:
    plain, expected = read(lines(grid()))
    lattice, heights = read(text)
    assert lattice == plain
    np.testing.assert_array_equal(heights, expected)


def test_missing_places_are_void() -> None:
    points = grid()
    del points[5]
    lattice, heights = read(lines(points))
    assert lattice.shape == (3, 4)
    assert np.isnan(heights[1, 1])
    assert np.isfinite(heights).sum() == 11


def test_rounded_degrees_are_a_lattice() -> None:
    points = [(7 + c / 3600, 46 + r / 3600, 500.0) for r in range(40) for c in range(50)]
    lattice, heights = read(lines(points, "{:.6f} {:.6f} {:.1f}"))
    assert lattice.shape == (40, 50)
    assert lattice.affine.a == pytest.approx(1 / 3600, rel=1e-4)
    assert (heights == 500).all()


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        (lines([*grid(), grid()[5]]), SourceGridError, "1 points more than once, the first at 570001.5, 5574999.5"),
        (lines([*grid(), (570_001.5, 5_574_999.5, 900.0)]), SourceGridError, "more than once"),
        (lines([*grid(), (570_001.8, 5_574_999.5, 900.0)]), SourceGridError, "regular lattice"),
        (lines([(x * 0.8 - y * 0.6, x * 0.6 + y * 0.8, z) for x, y, z in grid(30, 30)]), SourceGridError, "regular lattice"),
        (lines(grid(rows=1)), SourceGridError, "in one line"),
        (lines(grid()) + "570000.5 5574990.5\n", SourceCorrupt, "line 13 of a.xyz is not 3 numbers: '570000.5 5574990.5'"),
        ("x y z\n" + lines(grid()) + "570000.5 5574990.5 n/a\n", SourceCorrupt, "line 14 of a.xyz"),
        (lines(grid()).replace(".", ",").replace(" ", ","), SourceCorrupt, "separates numbers and decimals by commas"),
        ("nothing here\n", SourceCorrupt, "no line of three numbers"),
    ],
)  # fmt: skip
def test_what_is_no_lattice_is_named(text: str, kind: type[OrographError], words: str) -> None:
    with pytest.raises(kind, match=words):
        read(text)


@pytest.mark.parametrize("separator", [" ", "  ", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", " \n"])
def test_numbers_are_the_same_by_either_reader(separator, end):
    lines = [f"{x}{separator}{y}{separator}{z}" for x, y, z in ((1.5, -2.25, 1e-3), (3, 4, 12345.678901234567))]
    text = end.join([*lines, f"5{separator}6{separator}nan"]).encode()
    layout = Layout(0, 0, 3, (1, 0, 2), b" ", decimal_comma=False)
    read = np.concatenate(list(pieces(io.BytesIO(text.replace(b"\t", b" ")), layout, "f.xyz")))
    np.testing.assert_array_equal(read, [[-2.25, 1.5, 1e-3], [4, 3, 12345.678901234567], [6, 5, np.nan]])


@pytest.mark.parametrize("bad", ["1 2", "1 2 3 4", "1 2 x", "1 2 3,5", '1 "2" 3', "1 2 NA", "1 2 3\r4 5 6"])
def test_a_wrong_line_among_many_is_named(bad):
    text = "\n".join(["1 2 3"] * 50 + [bad] + ["4 5 6"] * 50).encode()
    layout = Layout(0, 0, 3, (0, 1, 2), b" ", decimal_comma=False)
    with pytest.raises(SourceCorrupt, match="line 51"):
        list(pieces(io.BytesIO(text), layout, "f.xyz"))
