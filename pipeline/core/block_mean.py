"""Mean over blocks of pixels, ignoring voids."""

from __future__ import annotations

import math

import numpy as np

from orograph.pipeline.core.compiled import compiled
from orograph.pipeline.core.raster import FloatArray


@compiled
def block_mean(heights_m: FloatArray, factor: int) -> FloatArray:
    """Means over blocks of `factor` squared; a block is void unless half of it is valid.

    Used before the kernel when the source is at least twice as fine as the target, because a target pixel represents
    the mean over its footprint.
    """
    rows, cols = heights_m.shape[0] // factor, heights_m.shape[1] // factor
    out = np.empty((rows, cols), np.float32)
    for i in range(rows):
        for j in range(cols):
            acc = 0.0
            count = 0
            for a in range(i * factor, (i + 1) * factor):
                for b in range(j * factor, (j + 1) * factor):
                    value = heights_m[a, b]
                    if not math.isnan(value):
                        acc += value
                        count += 1
            out[i, j] = acc / count if 2 * count >= factor * factor else np.nan
    return out
