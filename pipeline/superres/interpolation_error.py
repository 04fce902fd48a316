"""Standard error of interpolated heights: from their own curvature, or from the sensor model of their source.

Heights without noise: between samples, terrain deviates from an interpolant in proportion to the second differences of
the samples. The ratio follows from the spectrum of terrain, in closed form, for any kernel, footprint and factor. The
ratio of second differences over one and over two pixels corrects for terrain that is rougher or smoother in detail than
that spectrum. `docs/design/039-errors.md` compares the error with measured errors.
Heights of a sensor: terrain amplitude and noise level are those that the sensor's filter estimates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.sources.sensor import SensorModel
from orograph.pipeline.superres.edge_padding import context_px, with_context
from orograph.pipeline.superres.interpolants import INTERPOLANTS
from orograph.pipeline.superres.resolver import Resolver
from orograph.pipeline.superres.roughness import AROUND_PX, around, reach_px, roughness, slope_squared, spread
from orograph.pipeline.superres.sensor.covariance import Array
from orograph.pipeline.superres.sensor.kernel_error import KernelError, kernel_error, moved_kernel_error
from orograph.pipeline.superres.sensor.relief import HALO_PX, REACH_PX, relief
from orograph.pipeline.superres.sensor.resolver import BAND, rounded_size_m

_STEEPNESS: Final = 0.567
"""Exponent of the ratio of second differences; the best over ten lidar terrains, the same for samples and means."""
_LEAST_SQUARE_M2: Final = 4e-4
"""Second differences below 2 cm are rounding: they say nothing about the spectrum."""
_SHRUNK: Final = 0.2
"""Weight of the roughness around a pixel: its own is a mean of few differences, and estimates that are small by chance are
the heavy tails of errors over stated errors. From lidar of eight sites, `docs/benchmarks/errors.md`."""
_BY_SLOPE: Final = 0.15
"""Increase of the squared error per squared slope: cliffs are rougher in detail than second differences over a pixel say.
From the same sites, the same for samples and means."""
_OWN_BY_SLOPE: Final = 0.3
"""The same increase of errors that a resolver estimates itself; from networks on lidar of two sites in Tyrol and one in Norway."""
_STAND_IN: Final = "keys6"
"""Kernel assumed of resolvers that are not interpolants."""
_PHASES: Final = 4
"""Positions between pixels, along each axis, over which the error of a resampling is averaged."""


def _kernel(name: str) -> str:
    return name if name in INTERPOLANTS and name != "bspline" else _STAND_IN


def _by_phase(values: Array, factor: int, shape: tuple[int, int]) -> Array:
    return np.tile(values.reshape(factor, factor), shape)


def _repeated(coarse: Array, factor: int) -> Array:
    return np.repeat(np.repeat(coarse, factor, axis=0), factor, axis=1)


def curvature_factors(error: KernelError) -> Array:
    """Interpolation error over the RMS of second differences over one pixel, one per phase."""
    one, two = error.second_differences
    return np.asarray(np.sqrt(error.terrain / one) * (two / one) ** (_STEEPNESS / 2.0))


def _by_ratio(one: Array, two: Array) -> Array:
    return np.asarray(((one + _LEAST_SQUARE_M2) / (two + _LEAST_SQUARE_M2)) ** (_STEEPNESS / 2.0))


def _local_error(heights_m: FloatArray, pixel_size_m: tuple[float, float], origin_px: tuple[int, int]) -> Array:
    """Interpolation error over the factor of a phase, by coarse pixel; depends on `_LOCAL_REACH_PX` pixels around it."""
    one, two, _, _ = roughness(heights_m, origin_px)
    own = one + _SHRUNK * (around(one, np.isfinite(heights_m)) - one)
    steep = 1.0 + _BY_SLOPE * slope_squared(heights_m, pixel_size_m)
    return np.asarray(np.sqrt(own * steep) * _by_ratio(one, two))


_LOCAL_REACH_PX: Final = reach_px(1) + AROUND_PX


@dataclass(frozen=True, slots=True)
class StatedError:
    """A resolver together with the error of its interpolation; adds to the resolver's own estimate if it has one.

    Attributes:
        up: The resolver.
        sensor: Sensor model of the source, which the resolver does not use; None for heights without noise.
    """

    up: Resolver
    sensor: SensorModel | None = None

    @property
    def name(self) -> str:
        """Name of the resolver."""
        return self.up.name

    @property
    def halo_px(self) -> int:
        """Context of the resolver or of the error estimate, the larger of both."""
        own = _LOCAL_REACH_PX if self.sensor is None else HALO_PX + context_px(REACH_PX)
        return max(self.up.halo_px, own)

    def __call__(
        self,
        heights_m: FloatArray,
        *,
        factor: int = 3,
        thinning: Thinning = Thinning.DECIMATED,
        pixel_size_m: tuple[float, float] = (30.0, 30.0),
        origin_px: tuple[int, int] = (0, 0),
    ) -> tuple[FloatArray, FloatArray]:
        """Upsample; see `Resolver`."""
        fine, own = self.up(heights_m, factor=factor, thinning=thinning, pixel_size_m=pixel_size_m, origin_px=origin_px)
        size = rounded_size_m(pixel_size_m)
        kernel = _kernel(self.up.name)
        if self.sensor is not None:
            sigma = _sensor_error(heights_m, self.sensor, kernel, factor, size, origin_px)
        elif own is None:
            declared = SensorModel.declared(math.sqrt(size[0] * size[1]), thinning is Thinning.AVERAGED)
            factors = curvature_factors(kernel_error(kernel, declared, size, factor))
            sigma = _repeated(_local_error(heights_m, size, origin_px), factor)
            sigma *= _by_phase(factors, factor, (heights_m.shape[0], heights_m.shape[1]))
        elif getattr(self.up, "sensor", None) is not None:
            # The resolver of a sensor has the slope in its own estimate.
            return fine, own
        else:
            steep = 1.0 + _OWN_BY_SLOPE * slope_squared(heights_m, size)
            return fine, (own * _repeated(np.sqrt(steep), factor)).astype(np.float32)
        total = sigma if own is None else np.hypot(sigma, own)
        return fine, np.where(np.isnan(fine), np.nan, total).astype(np.float32)


def _sensor_error(
    heights_m: FloatArray,
    sensor: SensorModel,
    kernel: str,
    factor: int,
    pixel_size_m: tuple[float, float],
    origin_px: tuple[int, int],
) -> Array:
    context, valid = with_context(heights_m, REACH_PX)
    local = relief(context, valid, sensor, pixel_size_m, origin_px)
    error = kernel_error(kernel, sensor, pixel_size_m, factor)
    shape = (heights_m.shape[0], heights_m.shape[1])
    terrain = _repeated(local.stated_amplitude, factor) * _by_phase(error.terrain, factor, shape)
    noise = _repeated(np.square(local.stated_noise_m), factor) * _by_phase(error.noise, factor, shape)
    random = BAND * np.sqrt(terrain + noise) * _repeated(local.error_factor, factor)
    return np.hypot(random, _repeated(local.offset_m, factor))


RESAMPLED_CELL_PX: Final = 4
"""Side of the cells over which the roughness of resampled heights is averaged."""


def resampling_reach_px() -> int:
    """Number of target pixels around a window on which its resampling error depends."""
    return reach_px(RESAMPLED_CELL_PX) + RESAMPLED_CELL_PX


def resampling_error(
    heights_m: FloatArray, pixel_size_m: float, averaged: bool, origin_px: tuple[int, int]
) -> FloatArray:
    """Standard error of heights resampled by cubic convolution to pixels of about the same size.

    The mean over positions between pixels; heights keep their values where the lattices coincide.

    Args:
        heights_m: Resampled heights, float32, NaN is void, with `resampling_reach_px` of context.
        pixel_size_m: Size of a pixel.
        averaged: Whether pixels are means over their area.
        origin_px: Row and column of the first pixel on the target's global lattice.
    """
    size_m = rounded_size_m((pixel_size_m, pixel_size_m))[0]
    error = moved_kernel_error("gdal-cubic", SensorModel.declared(size_m, averaged), size_m, _PHASES)
    factor = float(np.sqrt(np.mean(np.square(curvature_factors(error)))))
    one, two, rows, columns = roughness(heights_m, origin_px, RESAMPLED_CELL_PX)
    cells = factor * np.sqrt(one) * _by_ratio(one, two)
    return spread(cells, rows, columns, RESAMPLED_CELL_PX)
