"""Detect terrain interpolated by its provider: the coarser part of a mosaic, upsampled to the finer part's pixels.

Between knots n pixels apart, the second difference of linear interpolation is zero, and so is the first difference of
repetition. A network trained there learns that interpolation is the truth, so `load_site` marks such terrain as void.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import binary_dilation, label

from orograph.pipeline.core.raster import BoolArray, FloatArray

FACTORS: Final = (2, 3, 4, 5, 6)
_PERIODS: Final = 8
"""Periods of the knots along a block's side; blocks overlap by half."""
_SHARE: Final = 0.3
"""Ratio of roughness off and on the knots below which terrain counts as interpolated; real terrain has about 1."""
_LEAST_M: Final = 0.02
"""Roughness at the knots below which no decision is possible: lakes, and heights stored in centimetres."""
_BLOCKS: Final = 12
"""Blocks side by side that make an area."""
_JUDGED: Final = 0.25
"""Share of a block that must be valid."""


def interpolated(heights_m: FloatArray, valid: BoolArray) -> BoolArray:
    """Mask of valid pixels upsampled by a whole factor along both axes, linearly or by repetition, with their rim.

    Args:
        heights_m: Shape (rows, columns), metres; anything finite where not valid.
        valid: Where heights were measured.
    """
    out = np.zeros(heights_m.shape, np.bool_)
    for order in (2, 1):
        rough = [_differences(heights_m, valid, order, axis) for axis in (0, 1)]
        for factor in FACTORS:
            side, stride = factor * _PERIODS, factor * _PERIODS // 2
            if min(heights_m.shape) < side:
                continue
            found = np.logical_and(*(_periodic(*rough[axis], factor, axis) for axis in (0, 1)))
            # A shore or a ditch passes for knots in a block, never in many side by side.
            labels, _ = label(found)
            found &= (np.bincount(labels.ravel()) >= _BLOCKS)[labels]
            if not found.any():
                continue
            blocks = np.zeros(heights_m.shape, np.bool_)
            for row, column in np.argwhere(found) * stride:
                blocks[row : row + side, column : column + side] = True
            out |= binary_dilation(blocks, np.ones((side + 1,) * 2, np.bool_))
    return out & valid


def _differences(heights_m: FloatArray, valid: BoolArray, order: int, axis: int) -> tuple[FloatArray, FloatArray]:
    """Absolute differences along an axis, padded to the heights' shape, and one where all they took was measured."""
    edges = [(order // 2, (order + 1) // 2) if k == axis else (0, 0) for k in (0, 1)]
    gaps = np.where(valid, heights_m, np.nan)
    rough = np.pad(np.abs(np.diff(gaps, n=order, axis=axis)), edges, constant_values=np.nan)
    sound = np.isfinite(rough)
    return np.where(sound, rough, 0.0).astype(np.float32), sound.astype(np.float32)


def _periodic(rough: FloatArray, sound: FloatArray, factor: int, axis: int) -> BoolArray:
    """By half-overlapping block: whether differences along the axis are large at every n-th pixel only."""
    side, stride = factor * _PERIODS, factor * _PERIODS // 2
    total, count = (
        sliding_window_view(part, (side, side))[::stride, ::stride].sum(axis=3 - axis, dtype=np.float32)
        for part in (rough, sound)
    )
    # The rest of each block is one line along the axis; by phase of the knots it falls into `factor` means.
    total, count = (line.reshape(*line.shape[:2], _PERIODS, factor).sum(axis=2) for line in (total, count))
    mean = np.sort(total / np.maximum(count, 1.0), axis=-1)
    enough = count.min(axis=-1) >= _JUDGED * side * side / factor
    found: BoolArray = enough & (mean[..., -1] > _LEAST_M) & (mean[..., -2] < _SHARE * mean[..., -1])
    return found
