"""Halves rasters for overviews: 2 by 2 pixels to one, ignoring voids."""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from orograph.pipeline.formats import kernels

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
