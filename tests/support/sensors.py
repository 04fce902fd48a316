"""Simulated sensors: terrain with a power-law spectrum, and what a sensor model makes of it."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from orograph.pipeline.sources.sensor import SensorModel
from orograph.pipeline.superres import resolver, takes_sensor


def resolver_for(name, sensor: SensorModel):
    """The resolver of a name, given the sensor model if it takes one, or `sensor-net` with a file of weights."""
    if name.endswith(".safetensors"):
        return resolver("sensor-net", sensor=sensor, weights=name)
    return resolver(name, **({"sensor": sensor} if takes_sensor(name) else {}))


def power_law_terrain(side_px, *, seed, amplitude=2e4, slope=4.2, pixel_m=10.0):
    """Gaussian terrain whose power density is amplitude * (100 m * f)**-slope, flat beyond 2 km."""
    rng = np.random.default_rng(seed)
    whole = 2 * side_px
    frequency = np.hypot(np.fft.fftfreq(whole, pixel_m)[:, None], np.fft.fftfreq(whole, pixel_m)[None, :])
    power = amplitude * (100.0 * np.maximum(frequency, 1.0 / 2000.0)) ** -slope
    white = np.fft.fft2(rng.standard_normal((whole, whole)))
    terrain = np.fft.ifft2(white * np.sqrt(power) / pixel_m).real
    return 1000.0 + terrain[:side_px, :side_px]


def correlated_noise(shape, range_m, pixel_m, rng):
    """Noise of unit variance with a Matern correlation of order 3/2, sampled every `pixel_m`."""
    if range_m == 0.0:
        return rng.standard_normal(shape)
    fine = tuple(2 * side for side in shape)
    frequency = np.hypot(np.fft.fftfreq(fine[0], pixel_m)[:, None], np.fft.fftfreq(fine[1], pixel_m)[None, :])
    power = (1.0 + (2.0 * np.pi * range_m * frequency) ** 2) ** -2.5
    noise = np.fft.ifft2(np.fft.fft2(rng.standard_normal(fine)) * np.sqrt(power / power.mean())).real
    return noise[: shape[0], : shape[1]]


def seen_by(sensor: SensorModel, terrain, factor, seed, pixel_m=10.0):
    """Heights a sensor measures of fine terrain, float32, and the fine pixels far from the border."""
    rng = np.random.default_rng(seed)
    across, along = sensor.sigmas_m
    blurred = gaussian_filter(np.asarray(terrain, np.float64), (along / pixel_m, across / pixel_m))
    smooth = gaussian_filter(blurred, factor)
    rows, columns = np.gradient(smooth, pixel_m)
    noise = np.sqrt(sensor.noise_m**2 + sensor.noise_per_slope_m**2 * (rows**2 + columns**2))
    field = noise * correlated_noise(blurred.shape, sensor.noise_range_m, pixel_m, rng)
    start = factor // 2
    heights = (blurred + field)[start::factor, start::factor]
    if sensor.step_m:
        heights = np.round(heights / sensor.step_m) * sensor.step_m
    inner = (slice(30 * factor, -30 * factor),) * 2
    return heights.astype(np.float32), inner
