"""Square pixels for models that need them: average the finer axis of a grid, and map results back.

Squares are counted from the grid's own origin, so windows agree on them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from orograph.pipeline.core.raster import FloatArray

TOLERANCE: Final = 1.05
"""Pixels up to so much longer than wide (or wider than long) are taken as squares."""


@dataclass(frozen=True, slots=True)
class Squares:
    """Division of one axis of a window into squares.

    Attributes:
        axis: The finer axis: 0 for rows, 1 for columns.
        step: Pixels per square along that axis; above 1, in general not a whole number.
        first: First square, counted from the grid's origin.
        count: Number of squares.
        origin_px: First pixel of the window along that axis.
        size_px: Number of pixels.
    """

    axis: int
    step: float
    first: int
    count: int
    origin_px: int
    size_px: int

    @classmethod
    def of(cls, pixel_size_m: tuple[float, float], origin_px: tuple[int, int], shape: tuple[int, ...]) -> Self | None:
        """Return the squares for a window, None if its pixels are square already.

        Args:
            pixel_size_m: Size along columns and along rows, metres.
            origin_px: Row and column of the window's first pixel.
            shape: Rows and columns.
        """
        step = squares_step(pixel_size_m)
        if step == 1.0:
            return None
        axis = 1 if pixel_size_m[0] < pixel_size_m[1] else 0
        origin, size = origin_px[axis], shape[axis]
        first = math.floor(origin / step)
        return cls(axis, step, first, math.ceil((origin + size) / step) - first, origin, size)

    def reduce(self, plane: FloatArray) -> FloatArray:
        """Average the linearly interpolated plane over each square; squares cut by the edge average their visible part.

        Means of whole pixels would cause ripples on slopes, because each square cuts pixels at another place.
        """
        along = np.moveaxis(plane, self.axis, -1)
        # Counted from the grid's origin, independent of the window: the same fractions, to the last bit.
        begin = (self.first + np.arange(self.count)) * self.step
        whole = np.floor(begin)
        part = begin - whole
        total = np.zeros((*along.shape[:-1], self.count), np.float64)
        weights = np.zeros(self.count)
        for k in range(-1, math.ceil(self.step) + 2):
            pixel = whole.astype(np.int64) + k - self.origin_px
            weight = _hat_below(part + self.step - k - 0.5) - _hat_below(part - k - 0.5)
            weight = np.where((pixel >= 0) & (pixel < self.size_px), weight, 0.0)
            taken = along[..., np.clip(pixel, 0, self.size_px - 1)]
            total += np.where(weight > 0, taken * weight, 0.0)
            weights += weight
        return np.ascontiguousarray(np.moveaxis((total / weights).astype(np.float32), -1, self.axis))

    def expand(self, plane: FloatArray) -> FloatArray:
        """Values at the window's pixels, linear between the middles of squares."""
        along = np.moveaxis(plane, self.axis, -1)
        place = (self.origin_px + np.arange(self.size_px) + 0.5) / self.step - 0.5
        lower = np.floor(place)
        share = (place - lower).astype(np.float32)
        square = lower.astype(np.int64) - self.first
        left, right = (along[..., np.clip(square + k, 0, self.count - 1)] for k in (0, 1))
        return np.ascontiguousarray(np.moveaxis(left + (right - left) * share, -1, self.axis))

    def origin(self, origin_px: tuple[int, int]) -> tuple[int, int]:
        """Row and column of the first square, for a window that begins at a row and column."""
        return (origin_px[0], self.first) if self.axis == 1 else (self.first, origin_px[1])


def _hat_below(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Integral, up to x, of the hat that is 1 at 0 and 0 from 1 on."""
    x = np.clip(x, -1.0, 1.0)
    return np.where(x < 0, 0.5 * (1.0 + x) ** 2, 1.0 - 0.5 * (1.0 - x) ** 2)


def squares_step(pixel_size_m: tuple[float, float]) -> float:
    """Number of pixels per square along the finer axis; 1 for pixels that are nearly square."""
    step = max(pixel_size_m) / min(pixel_size_m)
    return 1.0 if step <= TOLERANCE else step


def halo_px(halo: int, pixel_size_m: tuple[float, float]) -> tuple[int, int]:
    """Return rows and columns of context that contain this number of squares."""
    step = squares_step(pixel_size_m)
    wide = halo if step == 1.0 else math.ceil((halo + 2) * step)
    return (halo, wide) if pixel_size_m[0] < pixel_size_m[1] else (wide, halo)
