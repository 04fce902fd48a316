"""Exact interpolants as separable filters, one short kernel per phase of the fine pixel inside the coarse one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from orograph.pipeline.core.compiled import compiled
from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres.edge_padding import context_px, mask_fine, with_context

Kernel = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]


def _nearest(distance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(np.abs(distance) < 0.5, 1.0, 0.0)


def _linear(distance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.maximum(0.0, 1.0 - np.abs(distance))


def _cubic(distance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Keys' cubic convolution with a = -0.5, as GDAL's `cubic` (torch and OpenCV take -0.75)."""
    s = np.abs(distance)
    near = (1.5 * s - 2.5) * s * s + 1.0
    far = ((-0.5 * s + 2.5) * s - 4.0) * s + 2.0
    return np.where(s <= 1.0, near, np.where(s < 2.0, far, 0.0))


def _keys6(distance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Keys (1981), IEEE TASSP 29(6), section VI: six samples, fourth-order convergence."""
    s = np.abs(distance)
    near = (4.0 / 3.0 * s - 7.0 / 3.0) * s * s + 1.0
    middle = ((-7.0 / 12.0 * s + 3.0) * s - 59.0 / 12.0) * s + 2.5
    far = ((1.0 / 12.0 * s - 2.0 / 3.0) * s + 1.75) * s - 1.5
    return np.where(s <= 1.0, near, np.where(s <= 2.0, middle, np.where(s < 3.0, far, 0.0)))


def _lanczos3(distance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(np.abs(distance) < 3.0, np.sinc(distance) * np.sinc(distance / 3.0), 0.0)


def _cardinal_spline(distance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The interpolating cubic B-spline: the prefilter's two-sided exponential times the cubic B-spline.

    Unser (1999), IEEE SPM 16(6): coefficients are sqrt(3) z^|k| with z = sqrt(3) - 2. Its tail falls by 0.27 a pixel,
    so twelve pixels leave 1e-7 of a step.
    """
    pole = np.sqrt(3.0) - 2.0
    total = np.zeros_like(distance)
    for k in range(-16, 17):
        s = np.abs(distance - k)
        bump = np.where(s < 1.0, 2.0 / 3.0 - s * s * (1.0 - s / 2.0), np.where(s < 2.0, (2.0 - s) ** 3 / 6.0, 0.0))
        total += np.sqrt(3.0) * pole ** abs(k) * bump
    return total


_KERNELS: Final[dict[str, tuple[Kernel, int]]] = {
    "nearest": (_nearest, 0),
    "bilinear": (_linear, 1),
    "gdal-cubic": (_cubic, 2),
    "keys6": (_keys6, 3),
    "lanczos3": (_lanczos3, 3),
    "bspline": (_cardinal_spline, 12),
}
"""Kernel and radius in coarse pixels by name."""

INTERPOLANTS: Final = tuple(_KERNELS)
"""Names of the exact interpolants, which do not depend on a source's thinning mode."""


def phase_weights(name: str, factor: int) -> npt.NDArray[np.float64]:
    """Return the weights of an interpolant: float64, shape (factor, 2 radius + 1), each row summing to one.

    Row p belongs to the fine pixel whose centre is (p + 0.5) / factor - 0.5 coarse pixels from the coarse centre;
    column k to the coarse pixel k - radius away.

    Raises:
        ConfigError: The name is not an exact interpolant, or the factor is below 1.
    """
    if name not in _KERNELS:
        raise ConfigError(f"{name!r} is not an exact interpolant", remedy=f"one of: {', '.join(_KERNELS)}")
    if factor < 1:
        raise ConfigError(f"factor {factor} is below 1")
    kernel, radius = _KERNELS[name]
    phase = (np.arange(factor) + 0.5) / factor - 0.5
    weights = kernel(np.arange(-radius, radius + 1)[None, :] - phase[:, None])
    return weights / weights.sum(axis=1, keepdims=True)


@compiled
def _separable(
    heights: npt.NDArray[np.float64], weights: npt.NDArray[np.float64], fine: npt.NDArray[np.float32]
) -> None:
    """Filter rows, then columns, in float64 and one order of summation: every tiling gives the same bits."""
    factor, taps = weights.shape
    rows = heights.shape[0] - taps + 1
    columns = heights.shape[1] - taps + 1
    line = np.empty(heights.shape[1], np.float64)
    for row in range(rows):
        for p in range(factor):
            line[:] = 0.0
            for k in range(taps):
                w = weights[p, k]
                if w != 0.0:
                    for column in range(line.size):
                        line[column] += w * heights[row + k, column]
            out = fine[row * factor + p]
            for column in range(columns):
                for q in range(factor):
                    total = 0.0
                    for k in range(taps):
                        total += weights[q, k] * line[column + k]
                    out[column * factor + q] = total


@dataclass(frozen=True, slots=True)
class Interpolant:
    """A separable interpolant as a resolver, without error estimate; the thinning mode has no effect."""

    name: str

    @property
    def radius_px(self) -> int:
        """Radius of the kernel in coarse pixels."""
        return _KERNELS[self.name][1]

    @property
    def halo_px(self) -> int:
        """Context in coarse pixels: the kernel, and the pixels from which voids inside it are filled."""
        return context_px(self.radius_px)

    def __call__(
        self,
        heights_m: FloatArray,
        *,
        factor: int = 3,
        thinning: Thinning = Thinning.DECIMATED,
        pixel_size_m: tuple[float, float] = (30.0, 30.0),
        origin_px: tuple[int, int] = (0, 0),
    ) -> tuple[FloatArray, None]:
        """Interpolate; see `Resolver`. The mode, pixel size and origin have no effect."""
        del thinning, pixel_size_m, origin_px
        weights = phase_weights(self.name, factor)
        context, valid = with_context(heights_m, self.radius_px)
        fine = np.empty((heights_m.shape[0] * factor, heights_m.shape[1] * factor), np.float32)
        _separable(context, weights, fine)
        return mask_fine(fine, valid, factor), None


BASE_RADIUS_PX = 4


def interpolant_kernels(name: str, factor: int, radius_px: int = BASE_RADIUS_PX) -> npt.NDArray[np.float64]:
    """An exact interpolant as kernels by phase, shape (factor**2, 2 radius + 1, 2 radius + 1)."""
    weights = phase_weights(name, factor)
    pad = radius_px - weights.shape[1] // 2
    weights = np.pad(weights, ((0, 0), (pad, pad)))
    return np.einsum("pi,qj->pqij", weights, weights).reshape(factor * factor, *(2 * radius_px + 1,) * 2)
