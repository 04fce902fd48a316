"""Draws sensor models, and degrades terrain as such sensors do, faults that no model contains included.

Ranges are wide around radar, stereo and averaged lidar. `docs/design/038-sensor-models.md` says why the faults are drawn: a network trained on
noise as the model has it takes real radar's outliers on cliffs for terrain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.sources.sensor import SensorModel

Array = npt.NDArray[np.float64]
Size = tuple[float, float]
"""Size of a pixel along columns and rows, metres."""

_LEAST_M, _MOST_M = 5.0, 40.0
_MOST_BURST = 8.0


@dataclass(frozen=True, slots=True)
class DrawnSensor:
    """A sensor model with faults that it does not contain.

    Attributes:
        model: Footprint and noise.
        burst: Standard deviation of the logarithm of the noise's local level.
        faulty: Whether footprint and positions vary from place to place, and steep terrain is partly not seen.
    """

    model: SensorModel
    burst: float
    faulty: bool


def _log_uniform(rng: np.random.Generator, least: float, most: float) -> float:
    return math.exp(rng.uniform(math.log(least), math.log(most)))


def draw_sensor(rng: np.random.Generator) -> DrawnSensor:
    """Draw a radar, a stereo or radar sensor of a finer footprint, or averaged lidar with little noise."""
    kind = rng.random()
    if kind < 0.45:
        values = {
            "footprint_m": _log_uniform(rng, 18.0, _MOST_M),
            "noise_m": _log_uniform(rng, 0.7, 8.0 if rng.random() < 0.3 else 3.0),
            "noise_per_slope_m": rng.uniform(3.0, 12.0),
            "noise_range_m": rng.uniform(10.0, 40.0),
            "noise_per_relief": rng.uniform(0.0, 0.6),
            "step_m": float(rng.random() < 0.5),
        }
    elif kind < 0.85:
        values = {
            "footprint_m": _log_uniform(rng, 8.0, 22.0),
            "noise_m": _log_uniform(rng, 0.1, 2.0),
            "noise_per_slope_m": rng.uniform(0.0, 6.0),
            "noise_range_m": rng.uniform(0.0, 25.0),
            "noise_per_relief": rng.uniform(0.0, 0.3),
            "step_m": float(rng.random() < 0.2),
        }
    else:
        values = {"footprint_m": _log_uniform(rng, _LEAST_M, 13.0), "noise_m": _log_uniform(rng, 0.05, 0.6)}
    if rng.random() < 0.5:
        rows = values["footprint_m"] * math.exp(rng.uniform(-0.35, 0.35))
        values["footprint_rows_m"] = min(_MOST_M, max(_LEAST_M, rows))
    by_slope = values.get("noise_per_slope_m", 0.0)
    burst = rng.uniform(0.0, 1.2) if rng.random() < 0.75 else 0.0
    faulty = by_slope > 0.0 and rng.random() < (0.75 if by_slope >= 3.0 else 0.3)
    if faulty:
        values["error_factor"] = rng.uniform(0.65, 1.0)
        values["error_factor_per_slope"] = rng.uniform(0.0, 1.2)
        values["offset_per_slope_m"] = rng.uniform(0.0, 0.6) * by_slope
    return DrawnSensor(SensorModel(**values), burst, faulty)


def declared(sensor: SensorModel, rng: np.random.Generator) -> SensorModel:
    """The model as a user may know it: with errors of 8 to 30 % in its parameters."""

    def about(value: float, share: float) -> float:
        return value * math.exp(share * rng.standard_normal())

    rows = sensor.footprint_rows_m
    return sensor.model_copy(
        update={
            "footprint_m": about(sensor.footprint_m, 0.08),
            "footprint_rows_m": None if rows is None else about(rows, 0.08),
            "noise_m": about(sensor.noise_m, 0.15),
            "noise_per_slope_m": about(sensor.noise_per_slope_m, 0.15),
            "noise_range_m": about(sensor.noise_range_m, 0.15),
            "noise_per_relief": about(sensor.noise_per_relief, 0.2),
            "error_factor": about(sensor.error_factor, 0.1),
            "error_factor_per_slope": about(sensor.error_factor_per_slope, 0.3),
            "offset_per_slope_m": about(sensor.offset_per_slope_m, 0.3),
        }
    )


def _blurred(heights: Array, across_m: float, along_m: float, size_m: Size) -> Array:
    return np.asarray(gaussian_filter(heights, (along_m / size_m[1], across_m / size_m[0])))


def _matern(shape: tuple[int, ...], range_m: float, size_m: Size, rng: np.random.Generator) -> Array:
    """Noise of unit variance with a Matern correlation of order 3/2."""
    if range_m <= 0.0:
        return rng.standard_normal(shape)
    wide = (shape[0] + 64, shape[1] + 64)
    rows, columns = np.fft.fftfreq(wide[0], size_m[1]), np.fft.rfftfreq(wide[1], size_m[0])
    power = (1.0 + np.square(2.0 * np.pi * range_m * np.hypot(rows[:, None], columns))) ** -2.5
    noise = np.fft.irfft2(np.fft.rfft2(rng.standard_normal(wide)) * np.sqrt(power), s=wide)
    noise = noise[: shape[0], : shape[1]]
    return np.asarray(noise / noise.std())


def _smooth(shape: tuple[int, ...], sigma_m: float, size_m: Size, rng: np.random.Generator) -> Array:
    """A smooth random field of unit variance."""
    field = gaussian_filter(rng.standard_normal(shape), (sigma_m / size_m[1], sigma_m / size_m[0]), mode="wrap")
    return np.asarray(field / field.std())


def _logistic(values: Array) -> Array:
    return np.asarray(1.0 / (1.0 + np.exp(-values)))


def measured(terrain: Array, drawn: DrawnSensor, size_m: Size, factor: int, rng: np.random.Generator) -> FloatArray:
    """Heights that a sensor measures of fine terrain, float32, one for each `factor` x `factor` fine pixels.

    Args:
        terrain: Fine heights, float64, metres, without voids.
        drawn: The sensor and its faults.
        size_m: Size of a fine pixel along columns and rows.
        factor: Odd number of fine pixels along a coarse pixel's side.
        rng: Source of all random numbers.
    """
    sensor, shape = drawn.model, terrain.shape
    across, along = sensor.sigmas_m
    heights = _blurred(terrain, across, along, size_m)
    if drawn.faulty and rng.random() < 0.8:
        ratio = rng.uniform(1.15, 1.6)
        share = _logistic(2.0 * _smooth(shape, rng.uniform(40.0, 200.0), size_m, rng))
        wider, narrower = (_blurred(terrain, across * k, along * k, size_m) for k in (ratio, 1.0 / ratio))
        heights = share * wider + (1.0 - share) * narrower
    by_row, by_column = np.gradient(_blurred(heights, 30.0, 30.0, size_m))
    slope = np.asarray(by_row / size_m[1]), np.asarray(by_column / size_m[0])
    level = _noise_level(terrain, slope, drawn, size_m, rng)
    noise = _matern(shape, sensor.noise_range_m, size_m, rng)
    if drawn.faulty:
        long = rng.uniform(0.0, 0.45)
        stretched = (size_m[0] * math.exp(rng.uniform(-0.5, 0.5)), size_m[1])
        far = _matern(shape, rng.uniform(1.5, 4.0) * max(sensor.noise_range_m, 15.0), stretched, rng)
        noise = math.sqrt(1.0 - long) * noise + math.sqrt(long) * far
    heights = heights + level * noise
    if drawn.faulty:
        heights = _misplaced(heights, slope, sensor.offset_per_slope_m, size_m, rng)
        if rng.random() < 1.3 * sensor.error_factor_per_slope:
            heights = _unseen(heights, terrain, slope, level, size_m, rng)
    coarse = heights[factor // 2 :: factor, factor // 2 :: factor]
    if sensor.step_m > 0.0:
        coarse = np.round(coarse / sensor.step_m) * sensor.step_m
    return coarse.astype(np.float32)


def _noise_level(
    terrain: Array, slope: tuple[Array, Array], drawn: DrawnSensor, size_m: Size, rng: np.random.Generator
) -> Array:
    """Standard deviation of the noise by fine pixel, bursts included."""
    sensor = drawn.model
    squared = np.square(slope[0]) + np.square(slope[1])
    band = _blurred(terrain, 20.0, 20.0, size_m) - _blurred(terrain, 55.0, 55.0, size_m)
    relief = _blurred(np.square(band), 120.0, 120.0, size_m)
    level = np.sqrt(sensor.noise_m**2 + sensor.noise_per_slope_m**2 * squared + sensor.noise_per_relief**2 * relief)
    if drawn.faulty:
        level = level * (sensor.error_factor + sensor.error_factor_per_slope * squared)
    if drawn.burst > 0.0:
        local = np.exp(drawn.burst * _smooth(terrain.shape, rng.uniform(30.0, 150.0), size_m, rng))
        level = level * np.minimum(local, _MOST_BURST) / np.sqrt(np.mean(np.square(local)))
    return np.asarray(level)


def _misplaced(
    heights: Array, slope: tuple[Array, Array], offset_m: float, size_m: Size, rng: np.random.Generator
) -> Array:
    """Heights with position errors that hold over a slope, and an offset by slope."""
    amount, length = offset_m * rng.uniform(0.5, 1.2), rng.uniform(80.0, 400.0)
    for part in slope:
        heights = heights + amount * part * _smooth(heights.shape, length, size_m, rng)
    return np.asarray(heights - rng.uniform(-0.3, 1.2) * offset_m * np.hypot(*slope))


def _unseen(
    heights: Array,
    terrain: Array,
    slope: tuple[Array, Array],
    level: Array,
    size_m: Size,
    rng: np.random.Generator,
) -> Array:
    """Heights with a part of the steep terrain, or of that facing one way, filled smoothly and with errors."""
    shape, angle = terrain.shape, rng.uniform(0.0, 2.0 * math.pi)
    facing = math.sin(angle) * slope[0] + math.cos(angle) * slope[1]
    least = rng.uniform(0.55, 1.2)
    steep = facing if rng.random() < 0.6 else np.hypot(*slope)
    patches = 4.0 * _smooth(shape, rng.uniform(40.0, 120.0), size_m, rng) + rng.uniform(-2.0, 2.0)
    share = _logistic((steep - least) / 0.06) * _logistic(patches)
    wide = rng.uniform(50.0, 110.0)
    errors = rng.uniform(0.5, 2.0) * np.maximum(level, 8.0) * _matern(shape, rng.uniform(25.0, 70.0), size_m, rng)
    return np.asarray((1.0 - share) * heights + share * (_blurred(terrain, wide, wide, size_m) + errors))
