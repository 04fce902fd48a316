"""A source's sensor model from a finer DTM of the same place.

The finer heights are blurred until they fit: Gauss-Newton over the squares of both footprints, the horizontal shift and
a tilted plane, weighted by the noise and robust against outliers. A Gaussian's derivative by its variance is half its
second derivative, so no blur is computed twice. The residuals then give the noise: its variance regressed on the
squared slope, its range from their variogram, which slow errors of the source do not disturb.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.ndimage import gaussian_filter1d, map_coordinates, minimum_filter
from scipy.optimize import least_squares, nnls

from orograph.pipeline.core.raster import BoolArray
from orograph.pipeline.errors import InputError
from orograph.pipeline.learning.sensors.estimate import Parameters, SensorEstimate, jackknife
from orograph.pipeline.learning.sensors.grids import HeightGrid
from orograph.pipeline.superres.sensor.covariance import Array, matern

LEAST_PIXELS: Final = 500
_ITERATIONS: Final = 10
_LEAST_SIGMA_M: Final = 2.0
_GROSS: Final = 8.0
"""Residuals beyond so many standard deviations are blunders, not noise."""
_MARGIN_M: Final = 150.0
"""Heights closer to the finer model's border have no whole footprint on it."""
_VARIOGRAM_M: Final = 180.0
_START: Final = Parameters(20.0, 20.0, 1.0, 1.0, 25.0)
_BLOCKS: Final = 3


@dataclass(frozen=True, slots=True, eq=False)
class Overlap:
    """A source over a finer DTM.

    Attributes:
        source: The source.
        fine_m: The finer heights.
        spacing_m: Size of the finer pixels along columns and rows, metres.
        rows: Row of each source pixel on the finer raster.
        columns: Column of each source pixel on the finer raster.
        usable: Source pixels to use.
    """

    source: HeightGrid
    fine_m: Array
    spacing_m: tuple[float, float]
    rows: Array
    columns: Array
    usable: BoolArray

    @classmethod
    def of(cls, source: HeightGrid, finer: HeightGrid, mask: BoolArray | None = None) -> Overlap:
        """Find the overlap of a source with a finer model.

        Args:
            source: The source.
            finer: Terrain heights at most half as coarse.
            mask: Finer pixels to use, such as open terrain; all by default.

        Raises:
            InputError: Fewer than LEAST_PIXELS source pixels are on the finer model.
        """
        rows, columns = source.indices_on(finer)
        margin = max(1, round(_MARGIN_M / min(finer.pixel_size_m)))
        good = finer.valid if mask is None else finer.valid & mask
        inner = minimum_filter(finer.valid.astype(np.uint8), size=2 * margin + 1, mode="constant", cval=0)
        weight = np.minimum(good, inner.astype(np.bool_)).astype(np.float64)
        usable = source.valid & (map_coordinates(weight, [rows, columns], order=1, mode="constant", cval=0.0) > 0.99)
        if usable.sum() < LEAST_PIXELS:
            raise InputError(
                f"{usable.sum()} pixels of the source are on the finer model, at least {LEAST_PIXELS} are needed",
                remedy="use a finer model that covers more of the source",
            )
        return cls(source, finer.heights_m, finer.pixel_size_m, rows, columns, usable)

    def parts(self) -> list[BoolArray]:
        """The usable pixels in up to nine blocks of the area."""
        row, column = (np.flatnonzero(self.usable.any(axis=axis)) for axis in (1, 0))
        number = np.zeros(self.usable.shape, np.intp)
        for axis, seen in ((0, row), (1, column)):
            place = np.arange(self.usable.shape[axis])
            part = np.clip((place - seen[0]) * _BLOCKS // (seen[-1] - seen[0] + 1), 0, _BLOCKS - 1)
            number = number * _BLOCKS + (part[:, None] if axis == 0 else part)
        found = [self.usable & (number == k) for k in range(_BLOCKS**2)]
        return [part for part in found if part.sum() >= LEAST_PIXELS // 4]


def characterise_pair(overlap: Overlap) -> SensorEstimate:
    """Footprint and noise of a source against a finer model, with standard errors by blocks of the area."""
    best = _fitted(overlap, overlap.usable, _START)

    def without(parts: Sequence[BoolArray]) -> Parameters:
        return _fitted(overlap, np.logical_or.reduce(parts), best, _ITERATIONS // 3)

    errors = Parameters(*jackknife(overlap.parts(), without))
    return SensorEstimate(best, errors, int(overlap.usable.sum()), overlap.source.step_m)


def _fitted(overlap: Overlap, use: BoolArray, start: Parameters, iterations: int = _ITERATIONS) -> Parameters:
    """Alternate the footprint given the noise and the noise given the residuals."""
    across, along = start.footprint_m, start.footprint_rows_m
    east = south = 0.0
    level, per_slope = start.noise_m**2, start.noise_per_slope_m**2
    residual, slope = np.zeros(int(use.sum())), np.zeros(int(use.sum()))
    rows, columns = np.nonzero(use)
    plane = [np.ones(rows.size), rows / rows.max() - 0.5, columns / columns.max() - 0.5]
    for _ in range(iterations):
        seen = _Blurred.of(overlap, use, (across, along), (east, south))
        slope = np.square(seen.by_east) + np.square(seen.by_south)
        design = np.stack([seen.by_east, seen.by_south, 0.5 * seen.bend_east, 0.5 * seen.bend_south, *plane], axis=1)
        step, residual = _robust(design, overlap.source.heights_m[use] - seen.heights, level + per_slope * slope)
        east, south = east + step[0], south + step[1]
        across, along = _moved(across, step[2]), _moved(along, step[3])
        level, per_slope = _noise_by_slope(residual, slope)
    whitened = np.full(use.shape, np.nan)
    whitened[use] = residual / np.sqrt(level + per_slope * slope)
    sill, range_m = _variogram(whitened, overlap.source.pixel_size_m)
    rounding = overlap.source.step_m**2 / 12.0
    return Parameters(
        across, along, float(np.sqrt(max(0.0, level * sill - rounding))), float(np.sqrt(per_slope * sill)), range_m
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Blurred:
    """Blurred finer heights at the source's pixels, and their derivatives by metres."""

    heights: Array
    by_east: Array
    by_south: Array
    bend_east: Array
    bend_south: Array

    @classmethod
    def of(
        cls, overlap: Overlap, use: BoolArray, sigmas_m: tuple[float, float], shift_m: tuple[float, float]
    ) -> _Blurred:
        dx, dy = overlap.spacing_m
        blurred = gaussian_filter1d(overlap.fine_m, sigmas_m[0] / dx, axis=1)
        blurred = gaussian_filter1d(blurred, sigmas_m[1] / dy, axis=0)
        places = [overlap.rows[use] + shift_m[1] / dy, overlap.columns[use] + shift_m[0] / dx]

        def at(plane: Array, order: int = 1) -> Array:
            return np.asarray(map_coordinates(plane, places, order=order, mode="nearest"))

        east, south = np.gradient(blurred, dx, axis=1), np.gradient(blurred, dy, axis=0)
        return cls(
            at(blurred, 3),
            at(east),
            at(south),
            at(np.gradient(east, dx, axis=1)),
            at(np.gradient(south, dy, axis=0)),
        )


def _moved(sigma: float, by: float) -> float:
    """A footprint whose square has moved by at most a factor of four."""
    square = sigma * sigma
    return float(np.sqrt(max(_LEAST_SIGMA_M**2, min(4.0 * square, max(0.25 * square, square + by)))))


def _robust(design: Array, target: Array, variance: Array) -> tuple[Array, Array]:
    """Least squares with Tukey's weights; returns the solution and the residuals."""
    weight = np.asarray(1.0 / np.sqrt(variance))
    solution: Array = np.zeros(design.shape[1])
    trust: Array = np.ones(target.size)
    for _ in range(6):
        w = weight * np.sqrt(trust)
        solution = np.asarray(np.linalg.lstsq(design * w[:, None], target * w, rcond=None)[0], np.float64)
        scaled = (target - design @ solution) * weight
        spread = 1.4826 * float(np.median(np.abs(scaled))) + 1e-12
        trust = np.asarray(np.square(np.maximum(0.0, 1.0 - np.square(scaled / (4.685 * spread)))), np.float64)
    return solution, target - design @ solution


def _noise_by_slope(residual: Array, slope: Array) -> tuple[float, float]:
    """Variance on level terrain and per squared slope: a gamma regression without negative parts."""
    square = np.square(residual)
    design = np.stack([np.ones_like(slope), slope], axis=1)
    found = np.array([float(np.median(square)), 1.0])
    for _ in range(15):
        expected = design @ found
        keep = square < _GROSS**2 * expected
        found, _ = nnls(design[keep] / expected[keep, None], square[keep] / expected[keep])
        found = np.maximum(found, 1e-4)
    return float(found[0]), float(found[1])


def _variogram(whitened: Array, pixel_size_m: tuple[float, float]) -> tuple[float, float]:
    """Sill and range of a Matern variogram (order 3/2) fitted to lags of up to 180 m along both axes."""
    lags, values = [], []
    for axis, size in ((0, pixel_size_m[1]), (1, pixel_size_m[0])):
        for step in range(1, max(2, int(_VARIOGRAM_M / size)) + 1):
            apart = np.moveaxis(whitened, axis, 0)
            difference = apart[step:] - apart[:-step]
            difference = np.clip(difference[np.isfinite(difference)], -_GROSS * 1.4, _GROSS * 1.4)
            if difference.size >= LEAST_PIXELS // 4:
                lags.append(step * size)
                values.append(0.5 * float(np.mean(np.square(difference))))
    distance, found = np.array(lags), np.array(values)

    def misfit(parameters: Array) -> Array:
        sill, range_m = np.exp(parameters)
        return np.asarray(sill * (1.0 - matern(distance, range_m)) / found - 1.0)

    sill, range_m = np.exp(least_squares(misfit, [0.0, np.log(25.0)]).x)
    return float(sill), float(range_m)
