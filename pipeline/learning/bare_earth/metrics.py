"""Errors of a bare-earth estimate against true terrain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from orograph.pipeline.errors import NoTrainingPixels


@dataclass(frozen=True, slots=True)
class GroundMetrics:
    """Errors of a bare-earth estimate, metres.

    Attributes:
        covered_mae_m: Mean absolute error under canopy and buildings (more than 2 m above terrain).
        open_mae_m: The same on open terrain (less than 0.5 m above terrain).
        rmse_m: Root mean square error of all.
        bias_m: Mean error of all.
        covered_fraction: Fraction of covered pixels.
    """

    covered_mae_m: float
    open_mae_m: float
    rmse_m: float
    bias_m: float
    covered_fraction: float

    @classmethod
    def between(
        cls, estimate_m: np.ndarray, ground_m: np.ndarray, surface_m: np.ndarray, *, among: np.ndarray | None = None
    ) -> Self:
        """Compare an estimate with the terrain, by the height of the DSM above it.

        Args:
            estimate_m: The estimate.
            ground_m: True terrain; NaN pixels are excluded.
            surface_m: The DSM it was made from.
            among: Pixels to compare; all by default.

        Raises:
            NoTrainingPixels: no pixel to compare.
        """
        valid = np.isfinite(estimate_m) & np.isfinite(ground_m) & np.isfinite(surface_m)
        if among is not None:
            valid &= among
        if not valid.any():
            raise NoTrainingPixels("no pixel to compare")
        error = (estimate_m - ground_m)[valid].astype(np.float64)
        above = (surface_m - ground_m)[valid]
        covered, opened = above > 2.0, above < 0.5
        return cls(
            covered_mae_m=float(np.abs(error[covered]).mean()) if covered.any() else float("nan"),
            open_mae_m=float(np.abs(error[opened]).mean()) if opened.any() else float("nan"),
            rmse_m=float(np.sqrt(np.mean(error**2))),
            bias_m=float(error.mean()),
            covered_fraction=float(covered.mean()),
        )
