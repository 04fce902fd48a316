"""Fills voids with a minimum-curvature surface: a spline lattice fitted around them with a thin-plate prior."""

from __future__ import annotations

from typing import Final

import numpy as np
import scipy.ndimage

from orograph.pipeline.errors import AllVoid
from orograph.pipeline.implicit.lattice import LatticeShape, check_heights, fit_lattice, render

_MARGIN_PX: Final = 12
# On a lattice of one pixel this equals the exact thin plate; lower values let the rim's roughness oscillate into the
# void.
_SMOOTHING: Final = 1e-2
# A void in a larger window is bridged by a coarser lattice, so its rim is fitted to the coarser mesh only.
_LARGEST_PX: Final = 1 << 18


def fill_voids(heights_m: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Fill NaN by weighted least squares with a thin-plate prior; existing heights stay unchanged.

    Args:
        heights_m: (rows, columns), metres; NaN is void.
        weights: (rows, columns), non-negative weights of the heights around a void.

    Returns:
        float32 without NaN.

    Raises:
        AllVoid: there is no height at all.
        HeightsNotFinite: infinite heights.
    """
    check_heights(heights_m)
    void = np.isnan(heights_m)
    if void.all():
        raise AllVoid("there is no height to fill from")
    filled = np.array(heights_m, dtype=np.float32)
    groups, count = scipy.ndimage.label(scipy.ndimage.binary_dilation(void, iterations=_MARGIN_PX // 2))
    for number, box in enumerate(scipy.ndimage.find_objects(groups, max_label=count), start=1):
        around = tuple(
            slice(max(0, s.start - _MARGIN_PX), min(size, s.stop + _MARGIN_PX))
            for s, size in zip(box, heights_m.shape, strict=True)
        )
        part = heights_m[around]
        missing = np.isnan(part) & (groups[around] == number)
        known = np.isfinite(part)
        if not known.any():
            part, missing, around, known = heights_m, void, (slice(None), slice(None)), ~void
        # Only the rim determines the fill; distant pixels would cost iterations.
        near = scipy.ndimage.binary_dilation(missing, iterations=_MARGIN_PX) & known
        trust = near.astype(np.float64) if weights is None else np.where(near, weights[around], 0.0)
        mesh_px = max(1.0, float(np.sqrt(part.size / _LARGEST_PX)))
        shape = LatticeShape(max(1, int(part.shape[0] / mesh_px)), max(1, int(part.shape[1] / mesh_px)))
        surface = render(fit_lattice(part, shape, trust, _SMOOTHING), part.shape)
        target = filled[around]
        target[missing] = surface[missing]
    return filled
