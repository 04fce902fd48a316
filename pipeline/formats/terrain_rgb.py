"""Encodes heights as web map colours (Terrarium and Mapbox terrain-RGB) and decodes them.

Source: Mapzen, Terrain tiles, formats (Terrarium: height = 256 R + G + B / 256 - 32768); Mapbox, Terrain-RGB
(height = -10000 + 0.1 (65536 R + 256 G + B)).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from orograph.pipeline.errors import ExportError

ColourCode = Literal["terrarium", "mapbox"]


def encode(heights_m: npt.NDArray[np.float32], code: ColourCode, *, step_m: float = 1 / 256) -> npt.NDArray[np.uint8]:
    """Encode heights as colours.

    Args:
        heights_m: float32 (rows, columns) without void; see `extended`.
        code: `terrarium` or `mapbox`.
        step_m: Heights are rounded to multiples of this, so that pictures compress well; at least 1/256 m
            (Terrarium) or 0.1 m (Mapbox) is kept.

    Returns:
        uint8 (rows, columns, 3).

    Raises:
        ExportError: a void, or a height beyond the code's range.
    """
    if not np.isfinite(heights_m).all():
        raise ExportError("web terrain has no colour for nodata", remedy="fill voids with `extended` first")
    if code == "terrarium":
        step = max(round(step_m * 256), 1)
        number = np.rint(heights_m.astype(np.float64) * (256 / step)).astype(np.int64) * step + 32768 * 256
    else:
        step = max(round(step_m * 10), 1)
        number = np.rint((heights_m.astype(np.float64) + 10_000) * (10 / step)).astype(np.int64) * step
    if number.min() < 0 or number.max() >= 1 << 24:
        raise ExportError(f"heights {heights_m.min()} to {heights_m.max()} m do not fit {code} colours")
    return np.stack([number >> 16, number >> 8 & 255, number & 255], axis=-1).astype(np.uint8)


def decode(colours: npt.NDArray[np.uint8], code: ColourCode) -> npt.NDArray[np.float32]:
    """Decode colours to heights, metres; the inverse of `encode`."""
    red, green, blue = (colours[..., channel].astype(np.float64) for channel in range(3))
    number = 65536 * red + 256 * green + blue
    heights = number / 256 - 32768 if code == "terrarium" else number / 10 - 10_000
    return heights.astype(np.float32)


def extended(heights_m: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Replace voids by the nearest height, so that unknown areas show neither a cliff nor the colour of the sea.

    Raises:
        ExportError: there is no height at all.
    """
    void = ~np.isfinite(heights_m)
    if not void.any():
        return heights_m
    if void.all():
        raise ExportError("no height to extend")
    from scipy.ndimage import distance_transform_edt

    rows, cols = distance_transform_edt(void, return_distances=False, return_indices=True)
    return np.asarray(heights_m[rows, cols], np.float32)
