"""Transforms sampled heights to another vertical frame, bilinearly from a global 30 arc-second lattice.

The lattice is global, so two cells that share a point share its shift to the last bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from orograph.pipeline.exports.sampling import SampleGrid
from orograph.pipeline.vertical import Operation

_NODES_PER_DEGREE: Final = 120


@dataclass(frozen=True, slots=True)
class FrameShift:
    """Metres to add at the points of a lattice; NaN where the operation has no value.

    Attributes:
        operation: A pinned operation; its grids are verified on use.
    """

    operation: Operation

    def __call__(self, lattice: SampleGrid) -> npt.NDArray[np.float32]:
        """Shifts of shape (rows, columns), float32."""
        rows, row_fractions, first_row, row_count = _places(lattice.latitudes_deg)
        cols, col_fractions, first_col, col_count = _places(lattice.longitudes_deg)
        node_lats = (first_row + np.arange(row_count)) / _NODES_PER_DEGREE
        node_lons = (first_col + np.arange(col_count)) / _NODES_PER_DEGREE
        lons, lats = np.meshgrid(node_lons, node_lats)
        nodes = self.operation.shift(lons, lats)
        south, north = nodes[rows], nodes[rows + 1]
        band = south + (north - south) * row_fractions[:, None]
        west, east = band[:, cols], band[:, cols + 1]
        return np.asarray(west + (east - west) * col_fractions[None, :], np.float32)


def _places(degrees: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], int, int]:
    """Node index and fraction of each coordinate, the first node's global number, how many nodes."""
    scaled = degrees * _NODES_PER_DEGREE
    whole = np.floor(scaled)
    first = math.floor(float(scaled.min()))
    numbers = whole.astype(np.int64) - first
    return numbers, scaled - whole, first, int(numbers.max()) + 2
