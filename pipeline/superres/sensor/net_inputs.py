"""Inputs of the network that corrects a sensor's filter: the filter's heights in units of its error, and the sensor.

Three fields have one plane per fine pixel of a coarse one: the filtered heights, and their change with the filters of a
rougher and a calmer terrain. Then follow planes without direction, and pairs of planes for columns and rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.superres.sensor.bank import LEVELS, filter_bank
from orograph.pipeline.superres.sensor.covariance import Array
from orograph.pipeline.superres.sensor.net_range import FACTOR
from orograph.pipeline.superres.sensor.relief import REACH_PX, SLOPE_PX, slope_squared, smoothed
from orograph.pipeline.superres.sensor.resolver import Measured

PHASES: Final = FACTOR * FACTOR
FIELDS: Final = 3
SCALARS: Final = 9
PAIRS: Final = 2
PLANES: Final = FIELDS * PHASES + SCALARS + 2 * PAIRS
_APART: Final = 1.5
"""Levels between the filter and those of rougher and calmer terrain."""
_SMOOTH_PX: Final = 3.0
_LIMIT: Final = 6.0
"""Heights in units of the error are compressed towards this limit."""
_LEAST_ERROR_M: Final = 0.02
_PIXEL_M: Final = 30.0


def _soft(values: Array) -> Array:
    return np.asarray(values / (1.0 + np.abs(values) / _LIMIT))


def phases(fine: FloatArray | Array) -> Array:
    """Fine heights by phase, float64, shape (9, rows, columns)."""
    rows, columns = fine.shape[0] // FACTOR, fine.shape[1] // FACTOR
    blocks = fine.astype(np.float64).reshape(rows, FACTOR, columns, FACTOR)
    return blocks.transpose(1, 3, 0, 2).reshape(PHASES, rows, columns)


def on_fine_grid(by_phase: FloatArray) -> FloatArray:
    """Inverse of `phases`, in the type of its argument."""
    rows, columns = by_phase.shape[1:]
    blocks = by_phase.reshape(FACTOR, FACTOR, rows, columns).transpose(2, 0, 3, 1)
    return np.ascontiguousarray(blocks.reshape(rows * FACTOR, columns * FACTOR))


@dataclass(frozen=True, slots=True, eq=False)
class NetInputs:
    """The filter's results and statistics by coarse pixel.

    Attributes:
        measured: The sensor's heights.
        fine: Filtered heights on the fine grid, with values at voids.
        rougher: Change of the heights by filters for rougher terrain, on the fine grid, metres.
        calmer: The same for calmer terrain.
        smooth: Coarse heights smoothed over three pixels.
        slope_squared: Square of the slope.
        error_m: Standard deviation of the filtered heights by the model.
    """

    measured: Measured
    fine: FloatArray
    rougher: FloatArray
    calmer: FloatArray
    smooth: Array
    slope_squared: Array
    error_m: Array

    @classmethod
    def of(cls, measured: Measured) -> Self:
        """Filter the heights with three filters."""
        local, level = measured.local, measured.level
        noise = np.square(local.noise_m)

        def filtered(apart: float) -> FloatArray:
            shifted = np.clip(level + apart, 0.0, LEVELS.size - 1.0)
            return measured.filtered(shifted, local.amplitude, noise)[0]

        fine = filtered(0.0)
        bank = filter_bank(measured.sensor, measured.size_m, measured.factor)
        places = np.arange(LEVELS.size)
        missed = np.interp(level, places, bank.terrain.mean(axis=1))
        passed = np.interp(level, places, bank.noise.mean(axis=1))
        error = np.sqrt(local.amplitude * missed + noise * passed)
        inner = (slice(REACH_PX, -REACH_PX), slice(REACH_PX, -REACH_PX))
        return cls(
            measured,
            fine,
            filtered(_APART) - fine,
            filtered(-_APART) - fine,
            smoothed(measured.context, _SMOOTH_PX)[inner],
            slope_squared(measured.context, measured.size_m, SLOPE_PX)[inner],
            np.maximum(error, _LEAST_ERROR_M),
        )

    def planes(self, rows: slice, columns: slice) -> FloatArray:
        """Planes of a window in coarse pixels, float32, shape (PLANES, rows, columns); zero at voids."""
        here = (rows, columns)
        wide = tuple(slice(part.start * FACTOR, part.stop * FACTOR) for part in here)
        error, smooth = self.error_m[here], self.smooth[here]
        heights = self.measured.context[REACH_PX:-REACH_PX, REACH_PX:-REACH_PX][here]
        fields = (
            _soft((phases(self.fine[wide]) - smooth) / error),
            _soft(phases(self.rougher[wide]) / error),
            _soft(phases(self.calmer[wide]) / error),
        )
        rest = (_soft((heights - smooth) / error), *self._scalars(here), *self._pairs(error.shape))
        planes = np.concatenate([*fields, np.stack(rest)]).astype(np.float32)
        planes *= self.measured.valid[here]
        return planes

    def _scalars(self, here: tuple[slice, slice]) -> tuple[Array, ...]:
        sensor, local = self.measured.sensor, self.measured.local
        squared, error = self.slope_squared[here], self.error_m[here]
        one = np.ones(error.shape)
        return (
            np.log(local.noise_m[here] / error),
            (self.measured.level[here] - 8.0) / 3.0,
            np.log(squared + 1e-3) / 3.0 + 1.0,
            np.log(np.maximum(local.error_factor[here], 0.05)),
            one * (sensor.noise_range_m / _PIXEL_M),
            one * sensor.step_m,
            one * (sensor.offset_per_slope_m / 5.0),
            np.log(sensor.error_factor + sensor.error_factor_per_slope * squared),
        )

    def _pairs(self, shape: tuple[int, ...]) -> tuple[Array, ...]:
        sigmas, size = self.measured.sensor.sigmas_m, self.measured.size_m
        footprints = (sigmas[0] / size[0] - 0.6, sigmas[1] / size[1] - 0.6)
        pixels = (2.0 * math.log(size[0] / _PIXEL_M), 2.0 * math.log(size[1] / _PIXEL_M))
        return tuple(np.full(shape, value) for value in (*footprints, *pixels))
