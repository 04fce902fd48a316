"""Statistics of height errors: bias, spread and tails, and coverage of stated standard deviations.

Robust figures follow Hoehle and Hoehle (2009), doi:10.1016/j.isprsjprs.2009.02.003.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

NMAD_FACTOR = 1.4826


@dataclass(frozen=True, slots=True)
class AccuracyFigures:
    """Figures of errors (model minus control, metres).

    Attributes:
        count: Number of errors.
        median_m, mean_m: Bias.
        nmad_m: Normalised median absolute deviation.
        rmse_m, mae_m: Root mean square and mean absolute error, bias included.
        le90_m: Linear error at 90 %: 90 % of the absolute errors are below it.
        q683_m, q95_m: The same for 68.3 and 95 %.
        largest_m: Largest absolute error.
        coverage_68, coverage_95: Shares of errors within 1 and 1.96 stated standard deviations; None without any
            stated.
    """

    count: int
    median_m: float
    mean_m: float
    nmad_m: float
    rmse_m: float
    mae_m: float
    le90_m: float
    q683_m: float
    q95_m: float
    largest_m: float
    coverage_68: float | None = None
    coverage_95: float | None = None

    @classmethod
    def of(cls, errors_m: Array, sigma_m: Array | None = None) -> Self:
        """Figures of finite errors; `sigma_m` has their stated standard deviations, NaN where there is none.

        Raises:
            ValueError: there are none.
        """
        good = np.isfinite(errors_m)
        errors = np.asarray(errors_m, np.float64)[good]
        if not errors.size:
            raise ValueError("no errors to describe")
        absolute = np.abs(errors)
        median = float(np.median(errors))
        q683, le90, q95 = (float(v) for v in np.percentile(absolute, (68.3, 90.0, 95.0)))
        within: tuple[float | None, float | None] = (None, None)
        if sigma_m is not None:
            sigma = np.asarray(sigma_m, np.float64)[good]
            known = np.isfinite(sigma) & (sigma > 0)
            if known.any():
                ratio = absolute[known] / sigma[known]
                within = float(np.mean(ratio <= 1.0)), float(np.mean(ratio <= 1.96))
        return cls(
            count=int(errors.size),
            median_m=median,
            mean_m=float(errors.mean()),
            nmad_m=float(NMAD_FACTOR * np.median(np.abs(errors - median))),
            rmse_m=float(np.sqrt(np.mean(errors**2))),
            mae_m=float(absolute.mean()),
            le90_m=le90,
            q683_m=q683,
            q95_m=q95,
            largest_m=float(absolute.max()),
            coverage_68=within[0],
            coverage_95=within[1],
        )

    def rounded(self) -> dict[str, float | int | None]:
        """The statistics rounded to a tenth of a millimetre, for JSON."""
        return {name: round(v, 4) if isinstance(v, float) else v for name, v in asdict(self).items()}
