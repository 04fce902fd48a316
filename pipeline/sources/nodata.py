"""Convert every encoding of nodata to NaN; reject values that look like undeclared nodata."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.errors import NodataError

SENTINELS: Final = (-9999.0, -99999.0, -32768.0, -32767.0, 9999.0, 32767.0, 99999.0)
"""Values commonly written for voids; none is a height on land."""
LOWEST_M: Final = -12_000.0
HIGHEST_M: Final = 9_000.0
HUGE: Final = 1e30
"""Beyond this a float is one of the +-3.4e38 that tools write for voids."""


def to_void(array: npt.NDArray[Any], declared: float | None, extra: tuple[float, ...] = ()) -> FloatArray:
    """Return heights with NaN for every void.

    Comparison is exact in the array's own type, so a true zero stays a height unless 0 itself is declared, and
    declaring 9999 in addition to 0 keeps all zeros apart from 9999.

    Args:
        array: Heights of any numeric type and shape, metres.
        declared: The file's nodata value, None if it declares none.
        extra: Further void values of the source.

    Returns:
        A new float32 array of the same shape; NaN, infinities and values beyond 1e30 are void.
    """
    heights = array.astype(np.float32)
    for value in (declared, *extra):
        if value is not None and not np.isnan(value):
            void = _equals(array, value)
            if void.any():
                heights[void] = np.nan
    if not _all_plausible(heights):
        heights[~(np.abs(heights) < HUGE)] = np.nan
    return heights


def _all_plausible(heights: FloatArray) -> bool:
    """Whether no height is infinite or huge; extremes cost less than an assignment under a mask."""
    with np.errstate(invalid="ignore"):
        low, high = (float(extreme.reduce(heights, axis=None, initial=0.0)) for extreme in (np.fmin, np.fmax))
    return low > -HUGE and high < HUGE


def reject_undeclared(heights_m: FloatArray, *, source: str | None = None) -> None:
    """Reject heights that contain values which can only be undeclared voids.

    Args:
        heights_m: float32 metres after `to_void`.
        source: Named in the error.

    Raises:
        NodataError: a common void value, or a height beyond the Earth's range, with how to declare it.
    """
    with np.errstate(invalid="ignore"):
        if not (heights_m.size and np.nanmin(heights_m, initial=0.0) <= _SUSPECT_BELOW) and not (
            heights_m.size and np.nanmax(heights_m, initial=0.0) >= HIGHEST_M
        ):
            return
    for value in SENTINELS:
        count = int(np.count_nonzero(heights_m == np.float32(value)))
        if count:
            raise NodataError(
                f"{count} pixels are {value:g}, which is not a height and is not declared as nodata",
                source=source,
                remedy=f"declare it (gdal_edit.py -a_nodata {value:g}), name it with --nodata, or add {value:g} to the source's nodata values",
            )
    beyond = heights_m[(heights_m < LOWEST_M) | (heights_m > HIGHEST_M)]
    if beyond.size:
        raise NodataError(
            f"{beyond.size} pixels are outside the range of the Earth's heights, e.g. {float(beyond.flat[0]):g} m",
            source=source,
            remedy="declare the value as nodata, or correct the unit: heights are metres",
        )


def reject_undeclared_raw(
    samples: npt.NDArray[Any], valid: npt.NDArray[np.bool_], *, source: str | None = None
) -> None:
    """Reject raw samples of converted heights (scale, offset, feet) that can only be undeclared voids.

    After conversion such a value may look like a height: -32768 centimetres are -327.68 m.

    Args:
        samples: Raw samples of the file.
        valid: Mask of the samples that are not void.
        source: Named in the error.

    Raises:
        NodataError: a common void value, or the limit of an integer type.
    """
    suspects = {value for value in SENTINELS if value < 0 or np.issubdtype(samples.dtype, np.floating)}
    if np.issubdtype(samples.dtype, np.integer):
        limits = np.iinfo(samples.dtype)
        suspects |= {float(limit) for limit in (limits.min, limits.max) if limit != 0}
    for value in sorted(suspects):
        count = int(np.count_nonzero(_equals(samples, value) & valid))
        if count:
            raise NodataError(
                f"{count} raw samples are {value:g}, which is not a height but is not declared as nodata",
                source=source,
                remedy=f"declare it (gdal_edit.py -a_nodata {value:g}), name it with --nodata, or add {value:g} to the source's nodata values",
            )


_SUSPECT_BELOW: Final = -9_999.0


def _equals(array: npt.NDArray[Any], value: float) -> npt.NDArray[np.bool_]:
    """Compare exactly after casting the value to the array's type; a value outside the type's range never matches."""
    if np.issubdtype(array.dtype, np.integer):
        limits = np.iinfo(array.dtype)
        if value != int(value) or not limits.min <= value <= limits.max:
            return np.zeros(array.shape, dtype=np.bool_)
        return np.asarray(array == array.dtype.type(int(value)))
    with np.errstate(over="ignore"):
        return np.asarray(array == array.dtype.type(value))
