"""Halves rasters for overviews, ignoring voids: averages 2 by 2 pixels where both sizes are even.

Readers stretch an overview over the whole raster. An overview of 313 pixels over 625 therefore has pixels 1.997 times
as large, and a plain mean of 2 by 2 would be displaced by 0.45 pixels at the far edge. So odd sizes are averaged over
the exact area of each overview pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from orograph.pipeline.core.grid import PixelWindow
from orograph.pipeline.formats import area_kernels, kernels

Overview = Literal["average", "nearest", "mode"]

_KERNELS: Final = {"nearest": kernels.halve_nearest, "mode": kernels.halve_mode}


def halve(values: npt.NDArray[Any], overview: Overview, nodata: float | None) -> npt.NDArray[Any]:
    """Halve the rows and columns (rounded up) of a block that starts at an even row and column.

    Args:
        values: (rows, columns), float32, int16 or uint8, voids as `nodata`.
        overview: `average` of the valid pixels (integers rounded half away from zero), `nearest` (the north-west
            pixel, or the first valid one), `mode` (the most frequent valid value, the first of equals).
        nodata: Value of voids, None for none.
    """
    rows, cols = values.shape
    halved = np.empty(((rows + 1) // 2, (cols + 1) // 2), values.dtype)
    void = values.dtype.type(nodata if nodata is not None else 0)
    if overview == "average":
        kernel = kernels.halve_average_float if values.dtype == np.float32 else kernels.halve_average_integer
    else:
        kernel = _KERNELS[overview]
    kernel(values, void, nodata is not None, halved)
    return halved


@dataclass(frozen=True, slots=True)
class Shrinking:
    """Window of an overview, and the window of the previous level that it is made of.

    Attributes:
        target: Window of the overview.
        source: Window of the previous level that encloses it.
        rows, cols: Borders of each overview pixel in pixels of the source window, float64 (n, 2).
    """

    target: PixelWindow
    source: PixelWindow
    rows: npt.NDArray[np.float64]
    cols: npt.NDArray[np.float64]

    @classmethod
    def of(cls, shape: tuple[int, int], target: PixelWindow) -> Shrinking:
        """The parts of a raster of `shape` that a window of its overview covers."""
        first_row, end_row, rows = _borders(shape[0], target.row, target.height)
        first_col, end_col, cols = _borders(shape[1], target.col, target.width)
        source = PixelWindow(first_row, first_col, end_row - first_row, end_col - first_col)
        return cls(target, source, rows, cols)

    def __call__(self, values: npt.NDArray[Any], overview: Overview, nodata: float | None) -> npt.NDArray[Any]:
        """Shrink the values of the source window; arguments as `halve`."""
        shrunk = np.empty((self.target.height, self.target.width), values.dtype)
        void = values.dtype.type(nodata if nodata is not None else 0)
        common = values, void, nodata is not None, self.rows, self.cols
        if overview == "average":
            area_kernels.shrink_average(*common, values.dtype.kind != "f", shrunk)
        else:
            area_kernels.shrink_labels(*common, overview == "mode", shrunk)
        return shrunk


def _borders(size: int, first: int, count: int) -> tuple[int, int, npt.NDArray[np.float64]]:
    """First and end source pixel of overview pixels along one axis, and each one's borders counted from the first."""
    ratio = size / ((size + 1) // 2)
    edges = np.arange(first, first + count + 1, dtype=np.float64) * ratio
    start, end = int(edges[0] + 1e-9), min(size, int(np.ceil(edges[-1] - 1e-9)))
    inside = np.minimum(edges - start, float(end - start))
    return start, end, np.stack([inside[:-1], inside[1:]], axis=1)
