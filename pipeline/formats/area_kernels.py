"""Compiled resampling by area, for overviews of odd sizes.

Every kernel takes a block of pixels, the value of voids and whether there is one, and the borders of each rectangle of
the result in pixels of the block: float64 of shape (n, 2) for rows and for columns.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from orograph.pipeline.core.compiled import compiled, compiled_with
from orograph.pipeline.formats import numpy_forms

Borders = npt.NDArray[np.float64]


@compiled
def _span(borders: Borders, index: int, size: int) -> tuple[int, int]:
    """First and end pixel that a rectangle overlaps along one axis; slivers of rounding do not count."""
    return int(borders[index, 0] + 1e-9), min(math.ceil(borders[index, 1] - 1e-9), size)


@compiled
def _overlap(borders: Borders, index: int, pixel: int) -> float:
    """Length of a pixel inside a rectangle along one axis."""
    return min(borders[index, 1], pixel + 1.0) - max(borders[index, 0], float(pixel))


@compiled_with(numpy_form=numpy_forms.shrink_average)
def shrink_average(
    values: npt.NDArray[Any],
    void: Any,
    has_void: bool,
    rows: Borders,
    cols: Borders,
    whole: bool,
    shrunk: npt.NDArray[Any],
) -> None:
    """Mean of the valid part of each rectangle, by area, rounded half away from zero if `whole`; `void` without one."""
    for i in range(shrunk.shape[0]):
        top, bottom = _span(rows, i, values.shape[0])
        for j in range(shrunk.shape[1]):
            left, right = _span(cols, j, values.shape[1])
            total, mass = 0.0, 0.0
            for row in range(top, bottom):
                for col in range(left, right):
                    if has_void and values[row, col] == void:
                        continue
                    weight = _overlap(rows, i, row) * _overlap(cols, j, col)
                    total += weight * values[row, col]
                    mass += weight
            if mass <= 0.0:
                shrunk[i, j] = void
            elif whole:
                rounded = math.floor(abs(total / mass) + 0.5 + 1e-9)
                shrunk[i, j] = rounded if total >= 0 else -rounded
            else:
                shrunk[i, j] = total / mass


@compiled
def _area_of(values: npt.NDArray[Any], value: Any, rows: Borders, cols: Borders, i: int, j: int) -> float:
    """Area of a value in a rectangle."""
    top, bottom = _span(rows, i, values.shape[0])
    left, right = _span(cols, j, values.shape[1])
    area = 0.0
    for row in range(top, bottom):
        for col in range(left, right):
            if values[row, col] == value:
                area += _overlap(rows, i, row) * _overlap(cols, j, col)
    return area


@compiled
def shrink_labels(
    values: npt.NDArray[Any],
    void: Any,
    has_void: bool,
    rows: Borders,
    cols: Borders,
    most: bool,
    shrunk: npt.NDArray[Any],
) -> None:
    """The valid value with the largest area of each rectangle if `most`, otherwise the one at its centre, or the first."""
    for i in range(shrunk.shape[0]):
        top, bottom = _span(rows, i, values.shape[0])
        for j in range(shrunk.shape[1]):
            left, right = _span(cols, j, values.shape[1])
            chosen, best = void, 0.0
            centre = values[int((rows[i, 0] + rows[i, 1]) / 2), int((cols[j, 0] + cols[j, 1]) / 2)]
            if not most and not (has_void and centre == void):
                chosen, best = centre, 1.0
            for row in range(top, bottom):
                for col in range(left, right):
                    value = values[row, col]
                    if (has_void and value == void) or (best > 0.0 and not most):
                        continue
                    area = _area_of(values, value, rows, cols, i, j)
                    if area > best + 1e-9:
                        chosen, best = value, area
            shrunk[i, j] = chosen
