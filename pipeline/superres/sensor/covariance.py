"""Closed-form covariances of terrain, of terrain blurred by a sensor's footprint, and of the sensor's noise.

Power spectra of terrain fall as a power of frequency from kilometres to tens of metres. Written as a mixture of
Gaussians, such a spectrum keeps its form under a Gaussian footprint, and the covariance at any offset is a short sum:
no lattice, no transform, any pixel shape and any factor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

SPECTRAL_SLOPE: Final = 4.2
"""Exponent of the terrain's power spectrum; see `docs/design/038-sensor-models.md` for the sites it was measured on."""
REFERENCE_M: Final = 100.0
"""Wavelength at which a terrain of unit amplitude has a power density of 1 m^4."""
OCTAVE_VARIANCE: Final = (
    2.0 * np.pi * REFERENCE_M**-SPECTRAL_SLOPE * (200.0 ** (SPECTRAL_SLOPE - 2.0) - 100.0 ** (SPECTRAL_SLOPE - 2.0))
) / (SPECTRAL_SLOPE - 2.0)
"""Variance of a terrain of unit amplitude in waves of 100 to 200 m, the relief that noise may be proportional to."""
OUTER_M: Final = 2000.0
"""Wavelength beyond which the spectrum is flat; relief of longer waves is in the filter's window as a constant."""
_INNER_SCALE_M: Final = 1.0
_PER_OCTAVE: Final = 2


@dataclass(frozen=True, slots=True)
class Prior:
    """Spectrum of terrain, the sum over k of weight_k exp(-2 pi^2 scale_k^2 f^2).

    Attributes:
        scales_m: Standard deviations of the mixture's Gaussians, shape (n,).
        weights: Their shares, for unit amplitude, shape (n,), m^4.
    """

    scales_m: Array
    weights: Array

    @classmethod
    def power_law(cls, slope: float = SPECTRAL_SLOPE, outer_m: float = OUTER_M) -> Prior:
        """The spectrum (f * 100 m)**-slope, flat beyond the outer wavelength and cut off below a metre."""
        most = outer_m / (2.0 * np.pi)
        count = int(np.ceil(np.log2(most / _INNER_SCALE_M) * _PER_OCTAVE)) + 1
        scales = np.geomspace(_INNER_SCALE_M, most, count)
        weights = scales**slope
        at_reference = weights @ np.exp(-2.0 * np.pi**2 * scales**2 / REFERENCE_M**2)
        return cls(scales, weights / at_reference)

    def power(self, frequency: Array, footprint_m: float = 0.0) -> Array:
        """Power density at frequencies (cycles per metre) after a Gaussian footprint, for unit amplitude."""
        spread = np.square(self.scales_m) + 2.0 * footprint_m**2
        return np.asarray(np.exp(-2.0 * np.pi**2 * np.multiply.outer(np.square(frequency), spread)) @ self.weights)

    def covariance(self, east_m: Array, north_m: Array, sigmas_m: tuple[float, float], passes: int) -> Array:
        """Covariance at offsets, for unit amplitude.

        Args:
            east_m: Offsets along columns.
            north_m: Offsets along rows; broadcast against `east_m`.
            sigmas_m: Footprint along columns and rows.
            passes: How many of the two heights were seen through the footprint: 0, 1 or 2.
        """
        total = np.zeros(np.broadcast_shapes(east_m.shape, north_m.shape))
        for scale, weight in zip(self.scales_m, self.weights, strict=True):
            across = scale**2 + passes * sigmas_m[0] ** 2
            along = scale**2 + passes * sigmas_m[1] ** 2
            peak = weight / (2.0 * np.pi * np.sqrt(across * along))
            total += peak * np.exp(-(east_m**2) / (2.0 * across)) * np.exp(-(north_m**2) / (2.0 * along))
        return total


def matern(distance_m: Array, range_m: float) -> Array:
    """Matern correlation of order 3/2; white where the range is zero."""
    if range_m == 0.0:
        return np.where(distance_m == 0.0, 1.0, 0.0)
    x = distance_m / range_m
    return np.asarray((1.0 + x) * np.exp(-x))


def matern_power(frequency: Array, range_m: float) -> Array:
    """Power density of noise with unit variance and that correlation, at frequencies in cycles per metre.

    For white noise the density depends on the pixel: give its area instead.
    """
    return np.asarray(6.0 * np.pi * range_m**2 * (1.0 + np.square(2.0 * np.pi * range_m * frequency)) ** -2.5)
