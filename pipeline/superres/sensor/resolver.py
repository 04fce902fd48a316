"""Super-resolution for a known sensor: deconvolves its footprint as its noise allows, and estimates the error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from orograph.pipeline.core.compiled import compiled
from orograph.pipeline.core.raster import BoolArray, FloatArray
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.sources.sensor import RESOLVER, SensorModel
from orograph.pipeline.superres.edge_padding import context_px, mask_fine, with_context
from orograph.pipeline.superres.sensor.bank import LEVELS, RADIUS_PX, filter_bank
from orograph.pipeline.superres.sensor.covariance import Array
from orograph.pipeline.superres.sensor.relief import HALO_PX, REACH_PX, Relief, relief

_SIZE_STEP: Final = math.log(1.02)
"""Pixel sizes are rounded to steps of 2 %, so that few filters serve a continent."""

BAND: Final = 0.95
"""Half-width of the 68 % band over the filter's standard deviation: errors have heavier tails than a normal
distribution. From simulated sensors over eight terrains, `docs/benchmarks/index.md`."""


@compiled
def _filtered(
    heights: Array,
    level: Array,
    terrain: Array,
    noise: Array,
    kernels: Array,
    of_terrain: Array,
    of_noise: Array,
    factor: int,
    fine: FloatArray,
    sigma: FloatArray,
) -> None:
    """Filter with the kernel interpolated between the two nearest levels, in float64 and one order of summation.

    The error is that of the kernel on terrain and noise of the given variances.
    """
    taps, phases = kernels.shape[1], kernels.shape[2]
    side = int(math.sqrt(taps))
    radius = side // 2
    total = np.empty(phases, np.float64)
    for row in range(level.shape[0]):
        for column in range(level.shape[1]):
            lower = min(int(level[row, column]), kernels.shape[0] - 2)
            share = level[row, column] - lower
            centre = heights[row + radius, column + radius]
            total[:] = 0.0
            for i in range(side):
                for j in range(side):
                    above = heights[row + i, column + j] - centre
                    first, second = kernels[lower, i * side + j], kernels[lower + 1, i * side + j]
                    for p in range(phases):
                        total[p] += above * (first[p] + share * (second[p] - first[p]))
            for p in range(phases):
                i, j = row * factor + p // factor, column * factor + p % factor
                fine[i, j] = centre + total[p]
                missed = of_terrain[lower, p] + share * (of_terrain[lower + 1, p] - of_terrain[lower, p])
                passed = of_noise[lower, p] + share * (of_noise[lower + 1, p] - of_noise[lower, p])
                sigma[i, j] = math.sqrt(terrain[row, column] * missed + noise[row, column] * passed)


@dataclass(frozen=True, slots=True)
class SensorFilter:
    """The best linear filter for a sensor as a resolver; adapts to slope and relief, estimates a standard error.

    Attributes:
        sensor: The source's sensor model; None derives one from the thinning mode given at each call.
        noise_m: Noise of a source without a sensor model, metres.
    """

    sensor: SensorModel | None = None
    noise_m: float = 0.0

    @property
    def name(self) -> str:
        """Name it is registered under."""
        return RESOLVER

    @property
    def radius_px(self) -> int:
        """Radius of the filters in coarse pixels."""
        return RADIUS_PX

    @property
    def halo_px(self) -> int:
        """Context in coarse pixels: the window of the amplitude plus the reach of its band filter."""
        return HALO_PX + context_px(REACH_PX)

    def __call__(
        self,
        heights_m: FloatArray,
        *,
        factor: int = 3,
        thinning: Thinning = Thinning.DECIMATED,
        pixel_size_m: tuple[float, float] = (30.0, 30.0),
        origin_px: tuple[int, int] = (0, 0),
    ) -> tuple[FloatArray, FloatArray]:
        """Filter; see `Resolver`. The thinning mode counts only where no sensor model was given."""
        sensor = self.sensor
        if sensor is None:
            size = rounded_size_m(pixel_size_m)
            sensor = SensorModel.declared(math.sqrt(size[0] * size[1]), thinning is Thinning.AVERAGED, self.noise_m)
        return Measured.of(heights_m, sensor, factor, pixel_size_m, origin_px).stated()


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Heights of a sensor with the statistics that its filter needs.

    Attributes:
        sensor: Footprint and noise.
        context: Heights continued by REACH_PX pixels on each side and into voids.
        valid: Where heights were measured, shape (rows, columns).
        local: Noise and amplitude by coarse pixel.
        level: Position among LEVELS by coarse pixel.
        size_m: Rounded size of a coarse pixel along columns and rows.
        factor: Fine pixels along a coarse pixel's side.
    """

    sensor: SensorModel
    context: Array
    valid: BoolArray
    local: Relief
    level: Array
    size_m: tuple[float, float]
    factor: int

    @classmethod
    def of(
        cls,
        heights_m: FloatArray,
        sensor: SensorModel,
        factor: int,
        pixel_size_m: tuple[float, float],
        origin_px: tuple[int, int],
    ) -> Self:
        """Estimate the statistics of heights; arguments as of `Resolver`."""
        size = rounded_size_m(pixel_size_m)
        context, valid = with_context(heights_m, REACH_PX)
        local = relief(context, valid, sensor, size, origin_px)
        step = math.log(LEVELS[1] / LEVELS[0])
        level = np.log(local.amplitude / np.square(local.noise_m) / LEVELS[0]) / step
        return cls(sensor, context, valid, local, np.clip(level, 0.0, LEVELS.size - 1.0), size, factor)

    def filtered(self, level: Array, terrain: Array, noise: Array) -> tuple[FloatArray, FloatArray]:
        """Heights and their standard deviation by the kernels of some levels, with values at voids.

        Args:
            level: Position among LEVELS by coarse pixel.
            terrain: Amplitude of the terrain for the error, m^4.
            noise: Variance of the noise for the error, square metres.
        """
        bank = filter_bank(self.sensor, self.size_m, self.factor)
        rim = REACH_PX - RADIUS_PX
        window = np.ascontiguousarray(
            self.context[rim : self.context.shape[0] - rim, rim : self.context.shape[1] - rim]
        )
        fine = np.empty((level.shape[0] * self.factor, level.shape[1] * self.factor), np.float32)
        sigma = np.empty_like(fine)
        _filtered(window, level, terrain, noise, bank.kernels, bank.terrain, bank.noise, self.factor, fine, sigma)
        return fine, sigma

    def stated(self) -> tuple[FloatArray, FloatArray]:
        """The filter's heights and half-widths of their 68 % band, NaN at voids."""
        local, factor = self.local, self.factor
        scale = np.square(local.error_factor * BAND)
        fine, sigma = self.filtered(self.level, scale * local.stated_amplitude, scale * np.square(local.stated_noise_m))
        if self.sensor.offset_per_slope_m > 0.0:
            offset = np.repeat(np.repeat(local.offset_m, factor, axis=0), factor, axis=1)
            sigma = np.hypot(sigma, offset).astype(np.float32)
        return mask_fine(fine, self.valid, factor), mask_fine(sigma, self.valid, factor)


def rounded_size_m(pixel_size_m: tuple[float, float]) -> tuple[float, float]:
    """Pixel size rounded to steps of 2 %."""
    across, along = (math.exp(round(math.log(size) / _SIZE_STEP) * _SIZE_STEP) for size in pixel_size_m)
    return across, along
