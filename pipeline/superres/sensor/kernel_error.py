"""Error of an interpolation kernel for terrain and noise measured by a sensor, in closed form."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from orograph.pipeline.sources.sensor import SensorModel
from orograph.pipeline.superres.interpolants import interpolant_kernels
from orograph.pipeline.superres.sensor.bank import noise_correlation
from orograph.pipeline.superres.sensor.covariance import Array, Prior

_RADIUS_PX: Final = 4


class KernelError(NamedTuple):
    """Variances of interpolated heights against the terrain at the fine pixels' centres, one per phase.

    Attributes:
        terrain: For terrain of unit amplitude, square metres.
        noise: For noise of unit variance.
        second_differences: Variances of the coarse heights' second differences over one and over two pixels, for
            terrain of unit amplitude, means of both axes.
    """

    terrain: Array
    noise: Array
    second_differences: tuple[float, float]


@lru_cache(maxsize=64)
def kernel_error(kernel: str, sensor: SensorModel, pixel_size_m: tuple[float, float], factor: int) -> KernelError:
    """Errors of an interpolant on heights of a sensor, for terrain with the spectrum of `Prior.power_law`.

    Args:
        kernel: An exact interpolant whose radius is at most four pixels.
        sensor: Footprint and noise of the coarse heights.
        pixel_size_m: Size of a coarse pixel along columns and rows.
        factor: Fine pixels along a coarse pixel's side; phases are row by row.
    """
    prior, sigmas = Prior.power_law(), sensor.sigmas_m
    weights = interpolant_kernels(kernel, factor, _RADIUS_PX).reshape(factor**2, -1)
    steps = np.arange(-_RADIUS_PX, _RADIUS_PX + 1.0)
    rows, columns = (part.ravel() for part in np.meshgrid(steps, steps, indexing="ij"))
    north, east = rows * pixel_size_m[1], columns * pixel_size_m[0]
    apart_e, apart_n = east[:, None] - east, north[:, None] - north
    seen = prior.covariance(apart_e, apart_n, sigmas, passes=2)
    within = (np.arange(factor) + 0.5) / factor - 0.5
    fine_n, fine_e = (part.ravel() for part in np.meshgrid(within, within, indexing="ij"))
    cross = prior.covariance(
        east[:, None] - fine_e * pixel_size_m[0], north[:, None] - fine_n * pixel_size_m[1], sigmas, passes=1
    )
    own = float(prior.covariance(np.zeros(1), np.zeros(1), (0.0, 0.0), passes=0)[0])
    terrain = own - 2.0 * np.einsum("pt,tp->p", weights, cross) + np.einsum("pt,ts,ps->p", weights, seen, weights)
    noise = np.einsum("pt,ts,ps->p", weights, noise_correlation(sensor, apart_e, apart_n), weights)
    one, two = (_second_difference(prior, sigmas, pixel_size_m, step) for step in (1.0, 2.0))
    return KernelError(np.maximum(terrain, 0.0), noise, (one, two))


def _second_difference(
    prior: Prior, sigmas: tuple[float, float], pixel_size_m: tuple[float, float], step: float
) -> float:
    weights, places = np.array([1.0, -2.0, 1.0]), np.array([-step, 0.0, step])
    apart, still = places[:, None] - places, np.zeros((3, 3))
    along = prior.covariance(apart * pixel_size_m[0], still, sigmas, passes=2)
    across = prior.covariance(still, apart * pixel_size_m[1], sigmas, passes=2)
    return float(weights @ (along + across) @ weights / 2.0)


@lru_cache(maxsize=16)
def moved_kernel_error(kernel: str, sensor: SensorModel, pixel_size_m: float, phases: int) -> KernelError:
    """Errors of heights resampled between pixels of one size, with the second differences of the resampled heights.

    An interpolant smooths, so resampled heights are smoother than their samples.

    Args:
        kernel: An exact interpolant whose radius is at most four pixels.
        sensor: Footprint of the heights.
        pixel_size_m: Size of a pixel.
        phases: Positions between pixels along each axis.
    """
    error = kernel_error(kernel, sensor, (pixel_size_m, pixel_size_m), phases)
    radius = _RADIUS_PX + 2
    steps = np.arange(-radius, radius + 1.0) * pixel_size_m
    north, east = (part.ravel() for part in np.meshgrid(steps, steps, indexing="ij"))
    seen = Prior.power_law().covariance(east[:, None] - east, north[:, None] - north, sensor.sigmas_m, passes=2)
    weights = interpolant_kernels(kernel, phases, _RADIUS_PX)
    squares = []
    for step in (1, 2):
        along = np.zeros((2, weights.shape[0], 2 * radius + 1, 2 * radius + 1))
        for shift, share in ((-step, 1.0), (0, -2.0), (step, 1.0)):
            side = slice(2 + shift, 2 + shift + weights.shape[1])
            middle = slice(2, 2 + weights.shape[1])
            along[0, :, side, middle] += share * weights
            along[1, :, middle, side] += share * weights
        flat = along.reshape(-1, seen.shape[0])
        squares.append(float(np.einsum("pt,ts,ps->p", flat, seen, flat).mean()))
    return KernelError(error.terrain, error.noise, (squares[0], squares[1]))
