"""Fill small voids smoothly from their rims; larger ones stay void.

A void is filled when it fits a square of the settings' `fill_max_m`. The fill is the membrane through the void's rim
(Laplace's equation). It meets the rim without a step, adds no relief, and depends only on the void and its rim, so
windows and tiles agree on it. Filled pixels keep source index 0 and are marked; their uncertainty grows with the
distance to the rim.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy  # its submodules load at first use: planning needs halos only

from orograph.pipeline.core.raster import BoolArray, FloatArray
from orograph.pipeline.job import Job
from orograph.pipeline.tile.stages.fill_small import fill_small
from orograph.pipeline.tile.stages.stage import Context, TileWindow

_SIGMA_PER_M = 0.05
"""Growth of a filled height's standard deviation per metre from the rim: the relief a typical slope may hide."""


@dataclass(frozen=True, slots=True)
class Fill:
    """Fill voids that fit the limit."""

    name: str = "fill"

    def halo_px(self, job: Job) -> int:
        """A void that reaches into the core must be seen whole, rim included."""
        return math.ceil(job.settings.fill_max_m / job.settings.pixel_size_m) + 2

    def peak_bytes(self, shape: tuple[int, int], job: Job) -> int:
        """Labels (int32), masks, copies, and five int64 per pixel of small voids; the linear system of one void."""
        side = math.ceil(job.settings.fill_max_m / job.settings.pixel_size_m)
        return shape[0] * shape[1] * 56 + side * side * 600

    def __call__(self, window: TileWindow, context: Context) -> TileWindow:
        """Fill; the window leaves with `filled` set."""
        if window.heights_m is None or window.sigma_m is None:
            raise ValueError("fill comes after blend")
        void = np.isnan(window.heights_m)
        filled = np.zeros(window.shape, bool)
        limit_px = math.floor(context.job.settings.fill_max_m / context.job.settings.pixel_size_m)
        if limit_px < 1 or not void.any():
            return window.evolve(filled=filled)
        heights, sigma = window.heights_m.copy(), window.sigma_m.copy()
        pixel_size_m = context.job.settings.pixel_size_m
        labels = scipy.ndimage.label(void)[0].astype(np.int32, copy=False)
        larger = fill_small(labels, heights, sigma, filled, limit_px, _SIGMA_PER_M * pixel_size_m)
        boxes = scipy.ndimage.find_objects(labels) if larger.size else []
        for number in larger:
            box = boxes[number - 1]
            if _fits(box, window.shape, limit_px):
                around = tuple(slice(s.start - 1, s.stop + 1) for s in box)
                inside = labels[around] == number
                heights[around][inside] = membrane(heights[around], inside)
                sigma[around][inside] = _sigma(sigma[around], inside, pixel_size_m)
                filled[around] |= inside
        return window.evolve(heights_m=heights, sigma_m=sigma, filled=filled)


def _fits(box: tuple[slice, ...], shape: tuple[int, int], limit_px: int) -> bool:
    """A void no larger than the limit whose whole rim is inside the window."""
    rows, cols = box
    small = rows.stop - rows.start <= limit_px and cols.stop - cols.start <= limit_px
    inside = rows.start > 0 and cols.start > 0 and rows.stop < shape[0] and cols.stop < shape[1]
    return small and inside


def membrane(heights_m: FloatArray, inside: BoolArray) -> npt.NDArray[np.float32]:
    """Solve Laplace's equation inside a void with its four-neighbour rim as boundary.

    Args:
        heights_m: float32 block that contains the void and one pixel around it.
        inside: True in the void; never on the block's edge.

    Returns:
        Heights of the void's pixels in row-major order.
    """
    rows, cols = np.nonzero(inside)
    count = rows.size
    number = np.full(inside.shape, -1, np.int64)
    number[rows, cols] = np.arange(count)
    load = np.zeros(count)
    known = np.zeros(count)
    pairs: list[npt.NDArray[np.int64]] = []
    for dr, dc in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        neighbour = number[rows + dr, cols + dc]
        height = heights_m[rows + dr, cols + dc].astype(np.float64)
        rim = (neighbour < 0) & np.isfinite(height)
        load += np.where(rim, height, 0.0)
        known += rim
        link = neighbour >= 0
        pairs.append(np.stack([np.nonzero(link)[0], neighbour[link]]))
    i, j = np.concatenate(pairs, axis=1)
    degree = known + np.bincount(i, minlength=count)
    adjacency = scipy.sparse.csc_matrix((np.ones(i.size), (i, j)), shape=(count, count))
    system = (scipy.sparse.eye_array(count, format="csc").multiply(degree) - adjacency).tocsc()
    return np.asarray(scipy.sparse.linalg.spsolve(system, load), np.float64).reshape(-1).astype(np.float32)


def _sigma(sigma_m: FloatArray, inside: BoolArray, pixel_size_m: float) -> npt.NDArray[np.float32]:
    rim = scipy.ndimage.binary_dilation(inside) & ~inside & np.isfinite(sigma_m)
    base = float(sigma_m[rim].mean()) if rim.any() else 0.0
    distance_m = scipy.ndimage.distance_transform_edt(inside) * pixel_size_m
    return np.hypot(base, _SIGMA_PER_M * distance_m[inside]).astype(np.float32)
