"""Adds bilinear lattice values at pixel centres; compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from orograph.pipeline.core.compiled import compiled
from orograph.pipeline.core.raster import FloatArray

Index = npt.NDArray[np.intp]
Doubles = npt.NDArray[np.float64]


@compiled
def _add(
    nodes: Any, row: Any, row_part: Any, column: Any, column_part: Any, heights: Any
) -> None:  # pragma: no cover - compiled
    line = np.empty(nodes.shape[1], np.float32)
    slope = np.empty(nodes.shape[1], np.float32)
    for i in range(heights.shape[0]):
        upper, lower, part = nodes[row[i]], nodes[row[i] + 1], row_part[i]
        for j in range(line.shape[0]):
            line[j] = upper[j] * (1.0 - part) + lower[j] * part
        for j in range(line.shape[0] - 1):
            slope[j] = line[j + 1] - line[j]
        for j in range(heights.shape[1]):
            heights[i, j] += line[column[j]] + slope[column[j]] * column_part[j]


def add(
    nodes_m: Doubles, row: Index, row_part: Doubles, column: Index, column_part: Doubles, heights_m: FloatArray
) -> None:
    """Add bilinear values to a mesh of rows and columns, in place.

    Args:
        nodes_m: float64 lattice, shape (lattice rows, lattice columns).
        row: Lattice row above each row of pixels.
        row_part: Fraction of a cell below it, 0 to 1.
        column: Lattice column left of each column of pixels.
        column_part: Fraction of a cell right of it, 0 to 1.
        heights_m: float32, shape (rows, columns); becomes NaN where any corner of its cell is NaN.
    """
    _add(nodes_m, row, row_part, column, column_part.astype(np.float32), heights_m)
