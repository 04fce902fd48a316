"""A bank of Wiener filters for one sensor, one per level of terrain amplitude over noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from orograph.pipeline.sources.sensor import SensorModel
from orograph.pipeline.superres.sensor.covariance import Array, Prior, matern

RADIUS_PX: Final = 6
"""Radius of the filters in coarse pixels."""
LEVELS: Final = np.geomspace(1.0, 1e8, 17)
"""Amplitude of the terrain over the variance of the noise, 1/m^2 times m^4; filters in between are interpolated."""
LEAST_NOISE_M: Final = 0.02
"""Noise of a source that declares none; keeps the equations solvable."""


@dataclass(frozen=True, slots=True, eq=False)
class FilterBank:
    """Filters by level.

    Attributes:
        kernels: Shape (levels, taps, phases), float64; taps row by row over a square of 2 RADIUS_PX + 1 pixels, phases
            row by row over the fine pixels of a coarse one. Each filter returns planes.
        terrain: Variance of the filtered height on noise-free terrain of unit amplitude, shape (levels, phases), m^2.
        noise: Variance it has from noise of unit variance, shape (levels, phases).
    """

    kernels: Array
    terrain: Array
    noise: Array


def _offsets(radius: int) -> tuple[Array, Array]:
    """Rows and columns of a square's pixels, relative to its centre, flattened."""
    steps = np.arange(-radius, radius + 1, dtype=np.float64)
    rows, columns = np.meshgrid(steps, steps, indexing="ij")
    return rows.ravel(), columns.ravel()


def step_share(sensor: SensorModel) -> float:
    """White share of the noise: rounding over all noise on level terrain."""
    total = sensor.noise_m**2 + sensor.step_variance
    return 0.0 if total == 0.0 else sensor.step_variance / total


def noise_correlation(sensor: SensorModel, east_m: Array, north_m: Array) -> Array:
    """Correlation of a source's noise at offsets, rounding included."""
    distance, white = np.hypot(east_m, north_m), step_share(sensor)
    correlation = (1.0 - white) * matern(distance, sensor.noise_range_m)
    return np.asarray(correlation + white * np.where(distance == 0.0, 1.0, 0.0))


@lru_cache(maxsize=64)
def filter_bank(sensor: SensorModel, pixel_size_m: tuple[float, float], factor: int) -> FilterBank:
    """Best linear filters of a sensor: kriging of the fine height from noisy, blurred neighbours, exact on planes.

    Filters reproduce planes exactly; otherwise a filter for low relief would turn a smooth slope into steps.

    Args:
        sensor: Footprint and noise.
        pixel_size_m: Size of a coarse pixel along columns and rows.
        factor: Fine pixels along a coarse pixel's side; 1 removes blur and noise on the source's own grid.
    """
    prior, sigmas = Prior.power_law(), sensor.sigmas_m
    rows, columns = _offsets(RADIUS_PX)
    north, east = rows * pixel_size_m[1], columns * pixel_size_m[0]
    apart_e, apart_n = east[:, None] - east, north[:, None] - north
    seen = prior.covariance(apart_e, apart_n, sigmas, passes=2)
    noise = noise_correlation(sensor, apart_e, apart_n)
    within = (np.arange(factor) + 0.5) / factor - 0.5
    fine_n, fine_e = (part.ravel() for part in np.meshgrid(within, within, indexing="ij"))
    fine_n, fine_e = fine_n * pixel_size_m[1], fine_e * pixel_size_m[0]
    cross = prior.covariance(east[:, None] - fine_e, north[:, None] - fine_n, sigmas, passes=1)
    own = float(prior.covariance(np.zeros(1), np.zeros(1), (0.0, 0.0), passes=0)[0])
    taps, phases = cross.shape
    trend = np.stack([np.ones(taps), east / pixel_size_m[0], north / pixel_size_m[1]])
    trend_there = np.stack([np.ones(phases), fine_e / pixel_size_m[0], fine_n / pixel_size_m[1]])
    kernels = np.empty((LEVELS.size, taps, phases))
    of_terrain, of_noise = np.empty((2, LEVELS.size, phases))
    for k, level in enumerate(LEVELS):
        system = np.block([[level * seen + noise, trend.T], [trend, np.zeros((3, 3))]])
        wanted = np.vstack([level * cross, trend_there])
        # Covariances of steep spectra are large against the noise: scaled, the solver keeps its digits.
        scale = np.append(1.0 / np.sqrt(np.diag(system)[:taps]), np.ones(3))
        solved = scale[:, None] * np.linalg.solve(system * np.outer(scale, scale), wanted * scale[:, None])
        weights = kernels[k] = solved[:taps]
        missed = own - 2.0 * np.einsum("ij,ij->j", weights, cross) + np.einsum("ij,ij->j", weights, seen @ weights)
        of_terrain[k] = np.maximum(missed, 0.0)
        of_noise[k] = np.einsum("ij,ij->j", weights, noise @ weights)
    return FilterBank(np.ascontiguousarray(kernels), of_terrain, of_noise)
