"""Synthetic terrain with a known height everywhere: spectral relief, cut by valleys, as a cubic spline surface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.ndimage import map_coordinates, spline_filter

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class TerrainField:
    """A function of EPSG:3035 coordinates: the cubic spline through coefficients on a grid.

    Attributes:
        coefficients: float32 (rows, cols), from north-west.
        west_m, north_m: Position of the first coefficient.
        spacing_m: Distance between coefficients.
    """

    coefficients: npt.NDArray[np.float32]
    west_m: float
    north_m: float
    spacing_m: float

    @classmethod
    def through(cls, values: Float64Array, west_m: float, north_m: float, spacing_m: float) -> Self:
        """The spline that interpolates the values on the grid."""
        return cls(spline_filter(values, order=3, output=np.float32), west_m, north_m, spacing_m)

    def __call__(self, east_m: npt.ArrayLike, north_m: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Values at points, arrays or numbers of one shape after broadcasting; beyond the grid, of the nearest edge."""
        east, north = np.broadcast_arrays(east_m, north_m)
        rows, cols = (self.north_m - north) / self.spacing_m, (east - self.west_m) / self.spacing_m
        places = np.stack([rows.ravel(), cols.ravel()])
        values = map_coordinates(self.coefficients, places, output=np.float32, order=3, mode="nearest", prefilter=False)
        return values.reshape(east.shape)


def noise(
    shape: tuple[int, int], rng: np.random.Generator, *, falloff: float, shortest_px: float, longest_px: float
) -> Float64Array:
    """Gaussian noise of unit variance whose amplitude falls with frequency to the power `falloff`.

    Wavelengths are between `shortest_px` (a smooth cut-off, so that the spline is the exact truth) and `longest_px`.
    """
    fy, fx = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :]
    frequency = np.hypot(fy, fx)
    floor = 1.0 / longest_px
    amplitude = np.maximum(frequency, floor) ** (-falloff) * np.exp(-((frequency * shortest_px) ** 4))
    amplitude[0, 0] = 0.0
    spectrum = np.fft.rfft2(rng.standard_normal(shape)) * amplitude
    values = np.fft.irfft2(spectrum, s=shape)
    return values / values.std()


def relief(shape: tuple[int, int], rng: np.random.Generator, spacing_m: float) -> Float64Array:
    """Heights in metres: plains, rolling hills and folded uplands with the roughness of real terrain."""
    broad = noise(shape, rng, falloff=2.4, shortest_px=12_000 / spacing_m, longest_px=60_000 / spacing_m)
    hills = noise(shape, rng, falloff=2.0, shortest_px=160 / spacing_m, longest_px=9_000 / spacing_m)
    fine = noise(shape, rng, falloff=1.9, shortest_px=110 / spacing_m, longest_px=3_000 / spacing_m)
    upland = 1.0 / (1.0 + np.exp(-2.2 * (broad - 0.1)))
    # Valleys are wider than ridges: hills are folded smoothly, so that crests are sharper than bottoms.
    folded = np.log1p(np.exp(1.6 * hills)) / 1.6
    return 40.0 + 260.0 * upland + (14.0 + 130.0 * upland) * folded + (7.0 + 30.0 * upland) * fine
