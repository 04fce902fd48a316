"""Local statistics for a sensor's filter: noise from the slope, amplitude of the terrain from its relief.

The amplitude is estimated over about half a kilometre. A narrower window takes bursts of noise for relief; real radar
noise is heavy-tailed. Within that window level terrain is taken to be calmer than slopes, so that a valley floor does not
get the relief of the mountains around it. Sums run over cells of a global lattice, so tilings agree bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.ndimage import correlate1d

from orograph.pipeline.core.raster import BoolArray
from orograph.pipeline.sources.sensor import SensorModel
from orograph.pipeline.superres.sensor.bank import LEAST_NOISE_M, noise_correlation
from orograph.pipeline.superres.sensor.covariance import OCTAVE_VARIANCE, Array, Prior

REACH_PX: Final = 12
"""Reach of the band filter, in coarse pixels."""
CELL_PX: Final = 8
"""Side of a cell of the global lattice."""
_WINDOW_CELLS: Final = 4
"""Radius of the amplitude's window in cells; its weights are Gaussian with a standard deviation of two cells."""
_CALM_PX: Final = (4.0, 2.0)
"""Standard deviations of the smoothing of heights before, and of squared slopes after their gradient is taken."""
_CALM_REACH_PX: Final = 8
HALO_PX: Final = CELL_PX * (_WINDOW_CELLS + 2) + _CALM_REACH_PX
_BAND_PX: Final = (1.5, 4.0)
"""Standard deviations of the two Gaussians whose difference is the band that the amplitude is read from."""
SLOPE_PX: Final = 2.0
_LEAST_SHARE: Final = 0.02
"""Least share of the band's energy that counts as terrain, where the noise alone would explain it."""
_LEAST_AMPLITUDE: Final = 1.0
_CALM_BELOW: Final = 0.12
"""Slope below which terrain has clearly less relief than steeper terrain next to it; chosen on simulated sensors."""
_CALMEST_SLOPE: Final = 0.01
_STATED_SLOPE_PX: Final = 1.0
"""Less smoothing for the stated error than for the filter: a filter must not follow noise, an error must see cliffs."""
_STEEPNESS: Final = 0.5
"""Exponent of the squared slope that the stated error takes the amplitude within a window to be proportional to:
between terrain equally rough everywhere (0) and relief proportional to the slope (1)."""
_STEEP_PX: Final = 1.5
"""Standard deviation of the smoothing of squared slopes for it."""
_LOCAL_PX: Final = 2.0
_LOCAL_SHARE: Final = 0.3
"""Share of the error's variance that follows the band's energy next to a pixel over its expectation: terrain and noise are
not equally strong all over a window. Between real radar (0.38) and simulated sensors (0.2 to 0.25)."""
_MEAN_ABSOLUTE: Final = float(np.sqrt(np.pi / 2.0))
"""Standard deviation over mean absolute value of a normal distribution."""


@dataclass(frozen=True, slots=True, eq=False)
class Relief:
    """Statistics by coarse pixel.

    Attributes:
        noise_m: Standard deviation of the source's noise.
        amplitude: Power density of the terrain at a wavelength of 100 m, m^4.
        stated_noise_m: Standard deviation of the noise for the stated error, from a less smoothed slope.
        stated_amplitude: Amplitude for the stated error, m^4: follows the slope within the window.
        error_factor: Factor of the stated error, from the sensor model, the slope and the energy next to the pixel.
        offset_m: Standard deviation of the source's offset by slope, which no filter reduces.
    """

    noise_m: Array
    amplitude: Array
    stated_noise_m: Array
    stated_amplitude: Array
    error_factor: Array
    offset_m: Array


def gaussian_taps(sigma: float, radius: int) -> Array:
    """Samples of a Gaussian that sum to one."""
    taps = np.exp(-0.5 * np.square(np.arange(-radius, radius + 1) / sigma))
    return np.asarray(taps / taps.sum())


def smoothed(heights: Array, sigma: float, radius: int = REACH_PX) -> Array:
    """Heights smoothed by a Gaussian, pixels."""
    taps = gaussian_taps(sigma, radius)
    return np.asarray(correlate1d(correlate1d(heights, taps, axis=0, mode="nearest"), taps, axis=1, mode="nearest"))


def slope_squared(heights: Array, pixel_size_m: tuple[float, float], smoothing_px: float) -> Array:
    """Square of the slope of smoothed heights."""
    rows, columns = np.gradient(smoothed(heights, smoothing_px))
    return np.asarray(np.square(rows / pixel_size_m[1]) + np.square(columns / pixel_size_m[0]))


def calming(heights: Array, pixel_size_m: tuple[float, float]) -> Array:
    """Amplitude by slope, up to a factor: constant on slopes, falling with the squared slope on level terrain."""
    squared = smoothed(slope_squared(heights, pixel_size_m, _CALM_PX[0]), _CALM_PX[1], _CALM_REACH_PX)
    return np.asarray((squared + _CALMEST_SLOPE**2) / (squared + _CALM_BELOW**2))


def noise_by_slope(squared: Array, sensor: SensorModel) -> Array:
    """Standard deviation of the noise on slopes whose square is given, metres."""
    variance = sensor.noise_m**2 + sensor.step_variance + sensor.noise_per_slope_m**2 * squared
    return np.maximum(np.sqrt(variance), LEAST_NOISE_M)


def band_energies(sensor: SensorModel, pixel_size_m: tuple[float, float]) -> tuple[float, float]:
    """Variance of the filter band for measured terrain of unit amplitude, and for noise of unit variance."""
    narrow, wide = (gaussian_taps(sigma, REACH_PX) for sigma in _BAND_PX)
    kernel = np.outer(narrow, narrow) - np.outer(wide, wide)
    size = 4 * REACH_PX + 1
    spectrum = np.square(np.abs(np.fft.fft2(kernel, (size, size))))
    response = np.fft.fftshift(np.fft.ifft2(spectrum).real)
    lags = np.arange(-2 * REACH_PX, 2 * REACH_PX + 1, dtype=np.float64)
    north, east = lags[:, None] * pixel_size_m[1], lags[None, :] * pixel_size_m[0]
    terrain = Prior.power_law().covariance(east, north, sensor.sigmas_m, passes=2)
    return float((response * terrain).sum()), float((response * noise_correlation(sensor, east, north)).sum())


def relief(
    context: Array,
    valid: BoolArray,
    sensor: SensorModel,
    pixel_size_m: tuple[float, float],
    origin_px: tuple[int, int],
) -> Relief:
    """Estimate noise and amplitude at every pixel.

    Args:
        context: Heights continued by REACH_PX pixels on each side and into voids.
        valid: Where heights were measured, shape (rows, columns).
        sensor: Footprint and noise.
        pixel_size_m: Size of a pixel along columns and rows.
        origin_px: Row and column of the first pixel on the source's global lattice.
    """
    inner = (slice(REACH_PX, -REACH_PX), slice(REACH_PX, -REACH_PX))
    squared, steep = (slope_squared(context, pixel_size_m, px)[inner] for px in (SLOPE_PX, _STATED_SLOPE_PX))
    noise = noise_by_slope(squared, sensor)
    band = (smoothed(context, _BAND_PX[0]) - smoothed(context, _BAND_PX[1]))[inner]
    of_terrain, of_noise = band_energies(sensor, pixel_size_m)
    lattice = _Lattice.of(valid.shape, origin_px)
    counted = valid.astype(np.float64)
    count = lattice.windowed(counted)
    seen = np.maximum(count, 1e-12)
    energy = np.square(_MEAN_ABSOLUTE * lattice.windowed(np.abs(band) * counted) / seen)
    expected = of_noise * lattice.windowed(np.square(noise) * counted) / seen
    per_amplitude = sensor.noise_per_relief**2 * OCTAVE_VARIANCE
    own = np.maximum(energy - expected, _LEAST_SHARE * energy) / (of_terrain + per_amplitude * of_noise)

    def spread(cells: Array) -> Array:
        return np.exp(lattice.spread(np.where(count > 0.0, np.log(np.maximum(cells, 1e-12)), 0.0)))

    def over_window(values: Array) -> Array:
        return np.asarray(values / spread(lattice.windowed(values * counted) / seen))

    amplitude = spread(np.maximum(own, _LEAST_AMPLITUDE))
    used = stated = amplitude
    if sensor.typical_variance > 0.0:
        used = np.maximum(
            amplitude * np.minimum(over_window(calming(context, pixel_size_m)[inner]), 1.0), _LEAST_AMPLITUDE
        )
        around = smoothed(steep, _STEEP_PX, _CALM_REACH_PX) + _CALM_BELOW**2
        stated = np.maximum(amplitude * over_window(around**_STEEPNESS), _LEAST_AMPLITUDE)
    of_relief = per_amplitude * stated
    stated_noise = np.sqrt(np.square(noise_by_slope(steep, sensor)) + of_relief)
    local = smoothed(np.square(band), _LOCAL_PX, _CALM_REACH_PX) / (
        of_terrain * stated + of_noise * (np.square(noise) + of_relief)
    )
    factor = sensor.error_factor + sensor.error_factor_per_slope * steep
    return Relief(
        noise_m=np.sqrt(np.square(noise) + per_amplitude * used),
        amplitude=used,
        stated_noise_m=stated_noise,
        stated_amplitude=stated,
        error_factor=factor * np.sqrt(1.0 - _LOCAL_SHARE + _LOCAL_SHARE * local),
        offset_m=sensor.offset_per_slope_m * np.sqrt(steep),
    )


@dataclass(frozen=True, slots=True)
class _Lattice:
    """Cells of the global lattice under an array."""

    shape: tuple[int, int]
    before: tuple[int, int]
    cells: tuple[int, int]

    @classmethod
    def of(cls, shape: tuple[int, ...], origin_px: tuple[int, int]) -> _Lattice:
        before = (origin_px[0] % CELL_PX, origin_px[1] % CELL_PX)
        cells = (-(-(before[0] + shape[0]) // CELL_PX), -(-(before[1] + shape[1]) // CELL_PX))
        return cls((shape[0], shape[1]), before, cells)

    def windowed(self, values: Array) -> Array:
        """Weighted sums over each cell's window, shape of the cells."""
        padded = np.zeros((self.cells[0] * CELL_PX, self.cells[1] * CELL_PX))
        padded[self.before[0] : self.before[0] + self.shape[0], self.before[1] : self.before[1] + self.shape[1]] = (
            values
        )
        blocks = padded.reshape(self.cells[0], CELL_PX, self.cells[1], CELL_PX)
        # Column by column and row by row: a sum over a fixed order of terms, independent of the array's size.
        total = np.zeros(self.cells)
        for row in range(CELL_PX):
            for column in range(CELL_PX):
                total += blocks[:, row, :, column]
        taps = gaussian_taps(_WINDOW_CELLS / 2.0, _WINDOW_CELLS)
        rows = correlate1d(total, taps, axis=0, mode="constant")
        return np.asarray(correlate1d(rows, taps, axis=1, mode="constant"))

    def spread(self, cells: Array) -> Array:
        """Bilinear interpolation between the cells' centres, shape of the array."""
        (top, below), (left, right) = self._neighbours(0), self._neighbours(1)
        row, column = self._shares(0)[:, None], self._shares(1)
        upper = cells[top][:, left] * (1.0 - column) + cells[top][:, right] * column
        lower = cells[below][:, left] * (1.0 - column) + cells[below][:, right] * column
        return np.asarray(upper * (1.0 - row) + lower * row)

    def _places(self, axis: int) -> Array:
        return np.asarray((np.arange(self.shape[axis]) + self.before[axis] + 0.5) / CELL_PX - 0.5)

    def _neighbours(self, axis: int) -> tuple[np.ndarray, np.ndarray]:
        first = np.floor(self._places(axis)).astype(np.intp)
        last = self.cells[axis] - 1
        return np.clip(first, 0, last), np.clip(first + 1, 0, last)

    def _shares(self, axis: int) -> Array:
        places = self._places(axis)
        return np.asarray(places - np.floor(places))
