"""The paper's six error measures (Eigen et al., 2014)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final, Self

import numpy as np

from orograph.pipeline.errors import NoTrainingPixels

# Ratios and logarithms need positive heights, and relative heights reach zero: lower ones are raised to this value.
FLOOR_M: Final = 0.1


@dataclass(frozen=True, slots=True)
class HeightMetrics:
    """Errors of predicted heights.

    Attributes:
        rel: Mean of |predicted - true| / true.
        rel_log10: Mean of |log10 predicted - log10 true|.
        rmse_m: Root mean square error, metres.
        rmse_log10: Root mean square of the difference of logarithms.
        delta1, delta2, delta3: Fraction of the pixels whose ratio (the larger over the smaller) is below 1.25, its
            square and its cube.
        pixels: Number of pixels.
    """

    rel: float
    rel_log10: float
    rmse_m: float
    rmse_log10: float
    delta1: float
    delta2: float
    delta3: float
    pixels: int

    @classmethod
    def between(cls, predicted_m: np.ndarray, true_m: np.ndarray, floor_m: float = FLOOR_M) -> Self:
        """Compare two height maps where both are finite.

        Args:
            predicted_m: Heights above the patch's lowest point, metres.
            true_m: The same for the truth.
            floor_m: Least height of both in ratios and logarithms; the paper does not state its treatment of zero.

        Raises:
            NoTrainingPixels: no pixel is finite in both.
        """
        valid = np.isfinite(predicted_m) & np.isfinite(true_m)
        if not valid.any():
            raise NoTrainingPixels("no pixel to compare")
        p, t = predicted_m[valid].astype(np.float64), true_m[valid].astype(np.float64)
        ps, ts = np.maximum(p, floor_m), np.maximum(t, floor_m)
        logs = np.log10(ps) - np.log10(ts)
        ratio = np.maximum(ps / ts, ts / ps)
        return cls(
            rel=float(np.mean(np.abs(ps - ts) / ts)),
            rel_log10=float(np.mean(np.abs(logs))),
            rmse_m=float(np.sqrt(np.mean((p - t) ** 2))),
            rmse_log10=float(np.sqrt(np.mean(logs**2))),
            delta1=float(np.mean(ratio < 1.25)),
            delta2=float(np.mean(ratio < 1.25**2)),
            delta3=float(np.mean(ratio < 1.25**3)),
            pixels=int(valid.sum()),
        )

    def to_dict(self) -> dict[str, float | int]:
        """The fields as JSON-ready values."""
        return asdict(self)


HEIGHT_CLASSES_M: Final = (0.0, 2.0, 5.0, 10.0, 20.0)


def rmse_by_height(predicted_m: np.ndarray, true_m: np.ndarray) -> dict[str, float]:
    """Root mean square error by class of true height, metres, keyed by the class's lower end."""
    valid = np.isfinite(predicted_m) & np.isfinite(true_m)
    error, true = (predicted_m - true_m)[valid].astype(np.float64), true_m[valid]
    number = np.searchsorted(HEIGHT_CLASSES_M, true, side="right") - 1
    return {
        f"{low:g}": float(np.sqrt(np.mean(error[number == k] ** 2)))
        for k, low in enumerate(HEIGHT_CLASSES_M)
        if (number == k).any()
    }
