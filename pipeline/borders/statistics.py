"""Robust statistics of height differences."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

NMAD_FACTOR = 1.4826


@dataclass(frozen=True, slots=True)
class DifferenceStatistics:
    """Figures of differences A minus B, metres.

    Attributes:
        count: Number of differences.
        median_m, mean_m: Signed bias.
        mean_absolute_m: Mean absolute difference, as in OpenDEM Europe's tables.
        nmad_m: Normalised median absolute deviation.
        std_m, p05_m, p95_m, largest_m: Spread; the largest absolute difference.
    """

    count: int
    median_m: float
    mean_m: float
    mean_absolute_m: float
    nmad_m: float
    std_m: float
    p05_m: float
    p95_m: float
    largest_m: float

    @classmethod
    def of(cls, differences_m: npt.NDArray[np.floating]) -> Self:
        """Compute the statistics of finite differences; ValueError if there are no differences."""
        values = np.asarray(differences_m, dtype=np.float64)
        values = values[np.isfinite(values)]
        if not values.size:
            raise ValueError("no differences")
        median = float(np.median(values))
        p05, p95 = np.percentile(values, [5, 95])
        return cls(
            count=int(values.size),
            median_m=median,
            mean_m=float(values.mean()),
            mean_absolute_m=float(np.abs(values).mean()),
            nmad_m=float(NMAD_FACTOR * np.median(np.abs(values - median))),
            std_m=float(values.std()),
            p05_m=float(p05),
            p95_m=float(p95),
            largest_m=float(np.abs(values).max()),
        )

    def rounded(self) -> dict[str, float | int]:
        """The statistics rounded to a tenth of a millimetre, for JSON."""
        return {name: value if isinstance(value, int) else round(value, 4) for name, value in asdict(self).items()}
