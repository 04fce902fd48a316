"""Read XYZ text, one point per line, as a raster: its layout, its regular lattice, and its heights on that lattice.

Agencies deliver DGM1, swissALTI3D and others this way: with or without a heading, with decimal points or commas,
separated by blanks, tabs, commas or semicolons, rows from the north or the south. Points are pixel centres. The file is
read twice, piece
by piece: once for the lattice, once for the heights.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt
from affine import Affine

from orograph.pipeline.errors import SourceCorrupt, SourceGridError

FloatArray = npt.NDArray[np.float64]
_PIECE_BYTES: Final = 8 * 2**20
_MOST_HEADING_LINES: Final = 40
_LEAST_COLUMNS: Final = 3
_OFF_LATTICE_PX: Final = 0.05
"""Coordinates in text are rounded: to 0.01 m in pixels of 0.25 m at worst."""
_MOST_CELLS_PER_POINT: Final = 200
_MOST_LINES_PX: Final = 400_000
_NAMES: Final = (
    {"x", "e", "east", "easting", "lon", "long", "longitude", "rechts", "rechtswert", "ost", "x_coord", "e_lv95"},
    {"y", "n", "north", "northing", "lat", "latitude", "hoch", "hochwert", "nord", "y_coord", "n_lv95"},
    {"z", "h", "height", "hoehe", "höhe", "elevation", "elev", "alt", "altitude", "value", "dtm", "dem"},
)


@dataclass(frozen=True, slots=True)
class Layout:
    """Layout of the lines of a file.

    Attributes:
        heading_bytes: Bytes before the first point.
        heading_lines: Lines before the first point.
        columns: Numbers per line.
        order: Columns of x, y and height.
        separator: Byte between numbers; a blank stands for any white space.
        decimal_comma: Whether decimals follow a comma.
    """

    heading_bytes: int
    heading_lines: int
    columns: int
    order: tuple[int, int, int]
    separator: bytes
    decimal_comma: bool


@dataclass(frozen=True, slots=True)
class Lattice:
    """Regular lattice of points.

    Attributes:
        affine: Pixel to CRS, corner based, north up.
        shape: Rows, columns.
        points: Number of points.
    """

    affine: Affine
    shape: tuple[int, int]
    points: int


def layout_of(head: bytes, label: str) -> Layout:
    """Recognise the layout from the start of a file.

    Raises:
        SourceCorrupt: no line of at least three numbers, or a comma that may separate numbers or decimals.
    """
    offset = 3 if head.startswith(b"\xef\xbb\xbf") else 0
    heading: list[bytes] = []
    for line in head[offset:].splitlines(keepends=True)[:_MOST_HEADING_LINES]:
        written = _written(line.strip(), label)
        if written is not None:
            columns, separator, comma = written
            order = _order(heading[-1] if heading else b"", columns)
            return Layout(offset, len(heading), columns, order, separator, comma)
        heading.append(line)
        offset += len(line)
    raise SourceCorrupt(f"{label} has no line of three numbers", remedy="write x, y and height on each line")


def _written(line: bytes, label: str) -> tuple[int, bytes, bool] | None:
    """Columns, separator and whether decimals follow a comma; None if the line does not consist of numbers."""
    line = line.rstrip(b";,")
    if b";" in line:
        fields, separator, comma = line.split(b";"), b";", b"," in line
    else:
        fields, separator, comma = line.split(), b" ", False
        if b"," in line and (len(fields) < _LEAST_COLUMNS or all(field.endswith(b",") for field in fields[:-1])):
            fields, separator = line.split(b","), b","
            if b"." not in line and len(fields) > _LEAST_COLUMNS:
                raise SourceCorrupt(
                    f"{label} separates numbers and decimals by commas: {line[:60].decode('ascii', 'replace')}",
                    remedy="separate the numbers by semicolons or blanks",
                )
        else:
            comma = b"," in line
    if len(fields) < _LEAST_COLUMNS:
        return None
    try:
        for field in fields:
            float(field.replace(b",", b".") if comma else field)
    except ValueError:
        return None
    return len(fields), separator, comma


def _order(heading: bytes, columns: int) -> tuple[int, int, int]:
    """Columns of x, y and height by their names; the first three where names are missing."""
    names = [
        re.sub(r"[^a-z_0-9ö]|_?\[?m\]?$", "", name)
        for name in re.split(r"[;,\s]+", heading.decode("utf-8", "replace").strip(" \r\n#/;,").lower())
    ]
    if len(names) == columns:
        places = [next((i for i, name in enumerate(names) if name in known), -1) for known in _NAMES]
        if -1 not in places:
            return places[0], places[1], places[2]
    return 0, 1, 2


def pieces(file: BinaryIO, layout: Layout, label: str) -> Iterator[FloatArray]:
    """Points of a file, in pieces of shape (n, 3): x, y, height.

    Raises:
        SourceCorrupt: a line without the file's number of columns; the message names it.
    """
    file.read(layout.heading_bytes)
    blanks = layout.separator + b"\t;"  # some end their lines with a semicolon
    commas = b"," if layout.decimal_comma else b""
    translation = bytes.maketrans(blanks + commas, b"   ." if layout.decimal_comma else b"   ")
    rest, line = b"", layout.heading_lines + 1
    while True:
        data = file.read(_PIECE_BYTES)
        whole, newline, rest = (rest + data).rpartition(b"\n") if data else (rest, b"", b"")
        if whole.strip():
            yield _numbers(whole, translation, layout, line, label)
        line += whole.count(b"\n") + len(newline)
        if not data:
            return


def _numbers(text: bytes, translation: bytes, layout: Layout, first_line: int, label: str) -> FloatArray:
    plain = text.translate(translation)
    lines = plain.count(b"\n") + 1
    quick = _single_blanks(plain, layout.columns)
    if quick is not None and len(quick) == lines:
        return quick[:, layout.order]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            values = np.fromstring(plain, np.float64, sep=" ")
        except ValueError:
            values = np.empty(0)
    if values.size != lines * layout.columns:
        rows = plain.split(b"\n")
        for number, row in enumerate(rows):
            if row.strip() and not _is_point(row, layout.columns):
                written = text.split(b"\n")[number][:60].decode("utf-8", "replace").strip()
                raise SourceCorrupt(
                    f"line {first_line + number} of {label} is not {layout.columns} numbers: {written!r}",
                    remedy="remove the line, or fetch the file again",
                )
    return values.reshape(-1, layout.columns)[:, layout.order]


def _single_blanks(plain: bytes, columns: int) -> FloatArray | None:
    """All numbers, (lines, columns), by Arrow, which is five times as fast as numpy.

    None where anything but one blank is between two numbers: numpy reads those, and its caller finds the wrong line.
    """
    # Only deliveries of text need Arrow's reader of tables.
    import pyarrow as pa
    from pyarrow import csv

    names = [str(number) for number in range(columns)]
    try:
        table = csv.read_csv(
            pa.BufferReader(plain),
            csv.ReadOptions(use_threads=False, block_size=len(plain) + 1, column_names=names),
            csv.ParseOptions(delimiter=" ", quote_char=False),
            csv.ConvertOptions(column_types=dict.fromkeys(names, pa.float64()), null_values=[]),
        ).combine_chunks()
    except pa.ArrowInvalid:
        return None
    out = np.empty((columns, table.num_rows))
    for number, column in enumerate(table.columns):
        # `to_numpy` imports pandas.
        out[number] = np.from_dlpack(column.chunk(0)) if table.num_rows else 0.0
    return out.T


def _is_point(row: bytes, columns: int) -> bool:
    fields = row.split()
    try:
        return len([float(field) for field in fields]) == columns
    except ValueError:
        return False


def lattice_of(opened: Callable[[], BinaryIO], layout: Layout, label: str) -> Lattice:
    """Find the lattice of the points of a file; some lattice positions may have no point.

    Raises:
        SourceCorrupt: see `pieces`.
        SourceGridError: points are scattered, or lie in a single row or column.
    """
    xs, ys, points = np.empty(0), np.empty(0), 0
    with opened() as file:
        for piece in pieces(file, layout, label):
            points += len(piece)
            xs, ys = _joined(xs, piece[:, 0]), _joined(ys, piece[:, 1])
            if max(len(xs), len(ys)) > _MOST_LINES_PX or len(xs) * len(ys) > _MOST_CELLS_PER_POINT * points + 10_000:
                raise _scattered(label)
    (west, dx, cols), (south, dy, rows) = _axis(xs, label), _axis(ys, label)
    if rows * cols > _MOST_CELLS_PER_POINT * points + 10_000:
        raise _scattered(label)
    north = south + (rows - 1) * dy
    return Lattice(Affine(dx, 0.0, west - dx / 2, 0.0, -dy, north + dy / 2), (rows, cols), points)


def _joined(known: FloatArray, places: FloatArray) -> FloatArray:
    """Sorted distinct places; most of a piece's are known already."""
    changed = places[np.concatenate([[True], places[1:] != places[:-1]])]
    at = np.minimum(np.searchsorted(known, changed), max(known.size - 1, 0))
    new = changed[known[at] != changed] if known.size else changed
    return np.union1d(known, new) if new.size else known


def _axis(places: FloatArray, label: str) -> tuple[float, float, int]:
    """First place, step and count of a regular axis."""
    if not np.isfinite(places).all():
        raise SourceGridError(f"{label} contains coordinates that are not finite numbers")
    if len(places) < 2:
        raise SourceGridError(f"the points of {label} lie in one line", remedy="give the points of an area")
    gaps = np.diff(places)
    for step in (float(np.median(gaps)), float(gaps.min())):
        index = (places - places[0]) / step
        last = round(float(index[-1]))
        exact = float(places[-1] - places[0]) / last if last else step
        index = (places - places[0]) / exact
        if np.abs(index - np.round(index)).max() <= _OFF_LATTICE_PX and (np.diff(np.round(index)) > 0).all():
            return float(places[0]), _rounded(exact), last + 1
    raise _scattered(label)


def _rounded(step: float) -> float:
    """The step, rounded to remove the error of subtraction."""
    rounded = float(f"{step:.9g}")
    return rounded if abs(rounded / step - 1) < 1e-9 else step


def _scattered(label: str) -> SourceGridError:
    return SourceGridError(
        f"the points of {label} do not lie on a regular lattice along its axes",
        remedy="give the gridded product in the CRS it was made in, or grid the points first (gdal_grid)",
    )


def fill(
    opened: Callable[[], BinaryIO], layout: Layout, lattice: Lattice, heights: npt.NDArray[np.float32], label: str
) -> None:
    """Put the points of a file into an array of the lattice's shape that is NaN throughout.

    Raises:
        SourceGridError: two points at one place.
    """
    rows, cols = lattice.shape
    dx, dy = lattice.affine.a, -lattice.affine.e
    west, north = lattice.affine.c + dx / 2, lattice.affine.f - dy / 2
    seen = np.zeros(-(-rows * cols // 8), np.uint8)
    flat = heights.reshape(-1)
    with opened() as file:
        for piece in pieces(file, layout, label):
            col = np.rint((piece[:, 0] - west) / dx).astype(np.int64)
            row = np.rint((north - piece[:, 1]) / dy).astype(np.int64)
            place = row * cols + col
            _mark(seen, place, piece, label)
            with np.errstate(over="ignore"):
                flat[place] = piece[:, 2].astype(np.float32)


def _mark(seen: npt.NDArray[np.uint8], place: npt.NDArray[np.int64], piece: FloatArray, label: str) -> None:
    """Remember places, one bit each; a second point at one is an error."""
    order = np.argsort(place, kind="stable")
    repeated = np.zeros(len(place), np.bool_)
    repeated[order[1:]] = np.diff(place[order]) == 0
    bit = np.uint8(1) << (place & 7).astype(np.uint8)
    repeated |= (seen[place >> 3] & bit) != 0
    if repeated.any():
        x, y, _ = piece[int(np.argmax(repeated))]
        raise SourceGridError(
            f"{label} has {int(repeated.sum())} points more than once, the first at {x:.10g}, {y:.10g}",
            remedy="remove the repeated lines (sort -u), and decide which height is right where they differ",
        )
    np.bitwise_or.at(seen, place >> 3, bit)
