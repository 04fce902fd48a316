"""An estimated sensor model and the jackknife that gives its standard errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from orograph.pipeline.superres.sensor.covariance import Array


@dataclass(frozen=True, slots=True)
class Parameters:
    """Parameters of a sensor model, metres.

    Attributes:
        footprint_m: Standard deviation of the footprint along columns.
        footprint_rows_m: Standard deviation of the footprint along rows.
        noise_m: Standard deviation of the noise on level terrain.
        noise_per_slope_m: Additional standard deviation per unit of slope.
        noise_range_m: Correlation range of the noise.
    """

    footprint_m: float
    footprint_rows_m: float
    noise_m: float
    noise_per_slope_m: float
    noise_range_m: float

    def array(self) -> Array:
        """The five parameters in order."""
        return np.array(
            [self.footprint_m, self.footprint_rows_m, self.noise_m, self.noise_per_slope_m, self.noise_range_m]
        )


@dataclass(frozen=True, slots=True)
class SensorEstimate:
    """Parameters with their standard errors.

    Attributes:
        parameters: Best values.
        errors: Standard errors, in the order of the parameters.
        count: Heights or windows used.
        step_m: Rounding step of the heights.
    """

    parameters: Parameters
    errors: Parameters
    count: int
    step_m: float


def jackknife(groups: Sequence[Any], fit: Callable[[Sequence[Any]], Parameters]) -> Array:
    """Standard errors of five parameters, by leaving out one spatial group after the other.

    Args:
        groups: Spatial groups.
        fit: Parameters from all groups but one.
    """
    if len(groups) < 3:
        return np.full(5, np.inf)
    without = np.array([fit([g for k, g in enumerate(groups) if k != left]).array() for left in range(len(groups))])
    spread = np.square(without - without.mean(axis=0)).sum(axis=0)
    return np.asarray(np.sqrt((len(groups) - 1.0) / len(groups) * spread))
