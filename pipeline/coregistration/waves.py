"""Periodic errors of pushbroom sensors: found in the spectrum of a fit's residuals, and removed as plane waves.

Jitter of a platform and steps of a scanner leave undulations and stripes of one direction and a few wavelengths, often
shorter than a smooth field of blocks can follow. A plane wave has eight unknowns over the whole raster, so it is well
determined where a block of its size is not. The spectrum is that of the displacement, not of the height differences: a
sideways wave changes heights by the slope, so its trace in them is spread over all frequencies. Every patch of pixels
gives its normal equations; their Fourier transform gives for each wave vector how much such a wave would
explain (a periodogram of least squares, in all directions at once).

Source: Lomb (1976), doi:10.1007/BF00648343, for the periodogram by least squares; Girod et al. (2017),
doi:10.3390/rs9070704, for the jitter of ASTER.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

NODES_A_WAVE: Final = 12
"""Nodes of a sampled field per wavelength: linear interpolation loses 3 % of a crest, which the fit compensates."""


@dataclass(frozen=True, slots=True)
class Wave:
    """A plane wave of displacement: `cosine * cos(phase) + sine * sin(phase)`, phase = 2 pi (k . x).

    Attributes:
        per_m: Wave vector, cycles per metre along the grid's east and north.
        cosine, sine: East, north and up, metres; x counts from the centre of the grid the field is anchored to.
    """

    per_m: tuple[float, float]
    cosine: tuple[float, float, float]
    sine: tuple[float, float, float]

    def rounded(self) -> Wave:
        """The same wave to a micrometre, and its phase to about as much over 100 km."""
        east, north = (round(value, 12) for value in self.per_m)
        cosine, sine = (tuple(round(value, 6) for value in part) for part in (self.cosine, self.sine))
        return Wave((east, north), (cosine[0], cosine[1], cosine[2]), (sine[0], sine[1], sine[2]))

    @property
    def wavelength_m(self) -> float:
        """Distance between crests, metres."""
        return 1.0 / math.hypot(*self.per_m)

    @property
    def azimuth_deg(self) -> float:
        """Direction across the crests, degrees from grid north clockwise, 0 to 180."""
        return math.degrees(math.atan2(*self.per_m)) % 180.0

    @property
    def amplitude_m(self) -> tuple[float, float, float]:
        """Amplitudes east, north and up, metres."""
        east, north, up = (math.hypot(c, s) for c, s in zip(self.cosine, self.sine, strict=True))
        return east, north, up

    def at(self, east_m: Array, north_m: Array) -> Array:
        """Displacement (3, ...) at points relative to the centre of the field's grid, metres."""
        phase = 2.0 * np.pi * (self.per_m[0] * east_m + self.per_m[1] * north_m)
        cosine, sine = np.cos(phase), np.sin(phase)
        return np.stack([c * cosine + s * sine for c, s in zip(self.cosine, self.sine, strict=True)])

    def describe(self) -> dict[str, Any]:
        """JSON-ready description."""
        east, north, up = self.amplitude_m
        return {
            "wavelength_m": round(self.wavelength_m, 1),
            "azimuth_deg": round(self.azimuth_deg, 1),
            "amplitude_m": {"east": round(east, 3), "north": round(north, 3), "up": round(up, 3)},
        }

    def __str__(self) -> str:
        east, north, up = self.amplitude_m
        return (
            f"{self.wavelength_m:,.0f} m at {self.azimuth_deg:.0f} degrees, amplitude east {east:.2f} north {north:.2f}"
            f" up {up:.2f} m"
        )


def sampled_shape(waves: tuple[Wave, ...], extent_m: tuple[float, float], lattice: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of a lattice that resolves the waves over a height and a width, metres.

    Odd multiples of the given lattice's, whose nodes it then keeps; of as many as the waves need without one.
    """
    out = []
    for size_m, part, nodes in zip(extent_m, (1, 0), lattice, strict=True):
        needed = max(1.0, NODES_A_WAVE * size_m * max(abs(wave.per_m[part]) for wave in waves))
        if nodes:
            times = math.ceil(needed / nodes)
            out.append(nodes * (times + 1 - times % 2))
        else:
            out.append(math.ceil(needed))
    return out[0], out[1]
