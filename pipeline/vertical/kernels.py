"""The one loop over pixels, compiled: bilinear lattice values at pixel centres."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.raster import FloatArray

Index = npt.NDArray[np.intp]
Doubles = npt.NDArray[np.float64]


@njit(cache=True, nogil=True)
def _interpolate(
    nodes: Any, row: Any, row_part: Any, column: Any, column_part: Any, shifts: Any
) -> None:  # pragma: no cover - compiled
    line = np.empty(nodes.shape[1], np.float32)
    slope = np.empty(nodes.shape[1], np.float32)
    for i in range(shifts.shape[0]):
        upper, lower, part = nodes[row[i]], nodes[row[i] + 1], row_part[i]
        for j in range(line.shape[0]):
            line[j] = upper[j] * (1.0 - part) + lower[j] * part
        for j in range(line.shape[0] - 1):
            slope[j] = line[j + 1] - line[j]
        for j in range(shifts.shape[1]):
            shifts[i, j] = line[column[j]] + slope[column[j]] * column_part[j]


def interpolate(nodes_m: Doubles, row: Index, row_part: Doubles, column: Index, column_part: Doubles) -> FloatArray:
    """Bilinear values on the mesh of rows and columns.

    Args:
        nodes_m: float64 lattice, shape (lattice rows, lattice columns).
        row: Lattice row above each output row; `row_part` is the fraction below it.
        row_part: 0 to 1.
        column: Lattice column left of each output column; `column_part` is the fraction right of it.
        column_part: 0 to 1.

    Returns:
        float32, shape (rows, columns); NaN where any corner is.
    """
    shifts = np.empty((row.size, column.size), dtype=np.float32)
    _interpolate(nodes_m, row, row_part, column, column_part.astype(np.float32), shifts)
    return shifts
