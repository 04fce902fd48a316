"""Weights for a more exact fit where the terrain is curved or steep."""

from __future__ import annotations

from typing import Final

import numpy as np
import scipy.ndimage

from orograph.pipeline.errors import ConfigError

_WIDTH_PX: Final = 1.5
_FLOOR: Final = 0.1


def interest_of(heights_m: np.ndarray, by: str) -> np.ndarray:
    """Weights with mean one that grow with the magnitude of curvature or slope.

    Args:
        heights_m: (rows, columns), metres; NaN is void and gets weight zero.
        by: `curvature` or `slope`.

    Raises:
        ConfigError: `by` has another value.
    """
    if by not in {"curvature", "slope"}:
        raise ConfigError(f"unknown interest {by!r}", remedy="use curvature or slope")
    known = np.isfinite(heights_m)
    filled = np.where(known, heights_m, float(np.mean(heights_m[known])) if known.any() else 0.0).astype(np.float64)
    if by == "curvature":
        magnitude = np.abs(scipy.ndimage.gaussian_laplace(filled, _WIDTH_PX))
    else:
        magnitude = scipy.ndimage.gaussian_gradient_magnitude(filled, _WIDTH_PX)
    mean = float(magnitude[known].mean()) if known.any() else 1.0
    weight = np.minimum(_FLOOR + magnitude / max(mean, 1e-12), 10.0)
    weight = np.where(known, weight, 0.0)
    return np.asarray(weight / max(float(weight[known].mean()), 1e-12) if known.any() else weight)
