"""Marching squares for all levels at once: crossed edges, linked into lines by shared edges.

Every point of a line is a crossing of one lattice edge, computed from that edge's two samples, first north-west then
south-east. A point depends only on its edge: lattices that share an edge share the point, bit for bit.

Source: Lorensen and Cline 1987 in two dimensions; saddles are resolved by the mean of the four corners. A sample
equal to the level counts as below it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from orograph.pipeline.core.compiled import compiled

Keys = npt.NDArray[np.int64]
Heights = npt.NDArray[np.float32]
BATCH_SEGMENTS: Final = 400_000

# Edges of a square: top, right, bottom, left. Lines keep the higher terrain on their left.
_T, _R, _B, _L, _NONE = 0, 1, 2, 3, -1
_CASES: Final = np.full((16, 2), _NONE, np.int64)
for _case, _pair in {
    8: (_L, _T), 4: (_T, _R), 2: (_R, _B), 1: (_B, _L),
    12: (_L, _R), 6: (_T, _B), 3: (_R, _L), 9: (_B, _T),
    7: (_T, _L), 11: (_R, _T), 13: (_B, _R), 14: (_L, _B),
}.items():  # fmt: skip
    _CASES[_case] = _pair


def lines_by_level(heights: Heights, interval: float) -> Iterator[tuple[float, npt.NDArray[np.float64]]]:
    """Level and (points, 2) float64 column and row of every line, lowest first; closed lines repeat their first point.

    Args:
        heights: float32 (rows, columns), NaN void; squares with a void corner have no line.
        interval: Contour interval, positive; 0 is a level.
    """
    if not np.isfinite(heights).any():
        return
    first = math.floor(float(np.nanmin(heights)) / interval) - 1
    counts = np.zeros(math.ceil(float(np.nanmax(heights)) / interval) - first + 2, np.int64)
    _count(heights, interval, first, counts)
    for low, high in _batches(counts):
        total = int(counts[low:high].sum())
        starts, ends = np.empty(total, np.int64), np.empty(total, np.int64)
        found = _segments(heights, interval, first + low, first + high, _CASES, starts, ends)
        yield from _lines(heights, interval, first + low, starts[:found], ends[:found])


def _batches(counts: Keys) -> Iterator[tuple[int, int]]:
    """Runs of levels with at most so many segments, or of one level."""
    low = 0
    while low < counts.size:
        high, total = low + 1, int(counts[low])
        while high < counts.size and total + counts[high] <= BATCH_SEGMENTS:
            total += int(counts[high])
            high += 1
        if total:
            yield low, high
        low = high


def _lines(
    heights: Heights, interval: float, first: int, starts: Keys, ends: Keys
) -> Iterator[tuple[float, npt.NDArray[np.float64]]]:
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], ends[order]
    following = np.searchsorted(starts, ends)
    following[following == starts.size] = 0
    following[starts[following] != ends] = -1
    keys, breaks = np.empty(2 * starts.size, np.int64), np.empty(starts.size + 1, np.int64)
    count = _follow(starts, ends, following, keys, breaks)
    points = np.empty((int(breaks[count]), 2), np.float64)
    _place(heights, interval, first, keys, points)
    numbers = keys[breaks[:count]] // (2 * heights.size)
    for line_number in np.argsort(numbers, kind="stable").tolist():
        line = points[breaks[line_number] : breaks[line_number + 1]]
        # A sample on the level is the crossing of all its edges: keep it once, and drop lines of a single point.
        moved = np.empty(len(line), np.bool_)
        moved[0] = True
        np.any(line[1:] != line[:-1], axis=1, out=moved[1:])
        if moved.sum() >= 2:
            yield round((first + int(numbers[line_number])) * interval, 9), line[moved]


@compiled
def _first_level(height: float, interval: float) -> int:
    """Number of the first level that is not below a height, by the comparison that decides the squares' corners.

    A quotient alone is not enough: 21.0 / 0.7 is 30.000000000000004, and a square would skip the level 30 x 0.7 = 21.0
    that its neighbours draw.
    """
    number = math.ceil(height / interval)
    while (number - 1) * interval >= height:
        number -= 1
    while number * interval < height:
        number += 1
    return number


@compiled
def _levels(a: float, b: float, c: float, d: float, interval: float) -> tuple[int, int]:
    """Numbers of the levels that cross a square: first, and one past the last."""
    low, high = min(a, b, c, d), max(a, b, c, d)
    if not (math.isfinite(a + b) and math.isfinite(c + d)) or low == high:
        return 0, 0
    return _first_level(low, interval), _first_level(high, interval)


@compiled
def _count(heights: Heights, interval: float, first: int, counts: Keys) -> None:
    for row in range(heights.shape[0] - 1):
        for col in range(heights.shape[1] - 1):
            a, b = heights[row, col], heights[row, col + 1]
            d, c = heights[row + 1, col], heights[row + 1, col + 1]
            low, high = _levels(a, b, c, d, interval)
            for number in range(low, high):
                # Reserve space for a saddle's two segments wherever there may be one.
                level = number * interval
                saddle = (a > level) == (c > level) and (b > level) == (d > level)
                counts[number - first] += 2 if saddle else 1


@compiled
def _segments(heights: Heights, interval: float, low: int, high: int, cases: Keys, starts: Keys, ends: Keys) -> int:
    """Write the segments of levels `low` to `high`: keys of the edges where they begin and end."""
    rows, cols = heights.shape
    found = 0
    for row in range(rows - 1):
        for col in range(cols - 1):
            a, b = heights[row, col], heights[row, col + 1]
            d, c = heights[row + 1, col], heights[row + 1, col + 1]
            begin, end = _levels(a, b, c, d, interval)
            for number in range(max(begin, low), min(end, high)):
                level = number * interval
                case = 8 * (a > level) + 4 * (b > level) + 2 * (c > level) + (d > level)
                base = (number - low) * 2 * rows * cols + row * cols + col
                if case in {5, 10}:
                    joined = (np.float64(a) + np.float64(b) + np.float64(c) + np.float64(d)) / 4 > level
                    # The two corners that are cut off, each treated as the case of a single corner above or below.
                    one, two = ((7, 13) if joined else (4, 1)) if case == 5 else ((11, 14) if joined else (8, 2))
                    starts[found] = _key(cases[one, 0], base, rows, cols)
                    ends[found] = _key(cases[one, 1], base, rows, cols)
                    found += 1
                    case = two
                if case not in {0, 15}:
                    starts[found] = _key(cases[case, 0], base, rows, cols)
                    ends[found] = _key(cases[case, 1], base, rows, cols)
                    found += 1
    return found


@compiled
def _key(edge: int, base: int, rows: int, cols: int) -> int:
    """Key of a square's edge: those along rows first, then those along columns."""
    if edge == 0:
        return base
    if edge == 2:
        return base + cols
    if edge == 3:
        return base + rows * cols
    return base + rows * cols + 1


@compiled
def _follow(starts: Keys, ends: Keys, following: Keys, keys: Keys, breaks: Keys) -> int:
    """Write the edges of one line after the other, open lines first; `breaks` marks where each begins."""
    count = starts.size
    entered = np.zeros(count, np.bool_)
    for segment in range(count):
        if following[segment] >= 0:
            entered[following[segment]] = True
    done = np.zeros(count, np.bool_)
    lines, written = 0, 0
    breaks[0] = 0
    for closed in range(2):
        for first in range(count):
            if done[first] or (closed == 0 and entered[first]):
                continue
            keys[written] = starts[first]
            written += 1
            segment = first
            while segment >= 0 and not done[segment]:
                done[segment] = True
                keys[written] = ends[segment]
                written += 1
                segment = following[segment]
            lines += 1
            breaks[lines] = written
    return lines


@compiled
def _place(heights: Heights, interval: float, first: int, keys: Keys, points: npt.NDArray[np.float64]) -> None:
    """Column and row where the level crosses each edge."""
    rows, cols = heights.shape
    size = rows * cols
    for at in range(points.shape[0]):
        number, edge = keys[at] // (2 * size), keys[at] % (2 * size)
        level = (first + number) * interval
        across = edge >= size
        row, col = (edge % size) // cols, (edge % size) % cols
        before = np.float64(heights[row, col])
        after = np.float64(heights[row + 1, col]) if across else np.float64(heights[row, col + 1])
        part = (level - before) / (after - before)
        points[at, 0] = col if across else col + part
        points[at, 1] = row + part if across else row
