"""A reference and a raster to be aligned, prepared for the kernels, at full resolution and decimated."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
from affine import Affine
from odc.geo.geobox import GeoBox

from orograph.pipeline.core.compiled import compiled_with
from orograph.pipeline.core.raster import BoolArray, FloatArray
from orograph.pipeline.coregistration import kernels
from orograph.pipeline.coregistration.cpu_kernels import by_numpy, cpu_kernels
from orograph.pipeline.coregistration.despike import despike
from orograph.pipeline.coregistration.field import DisplacementField, geometry_of
from orograph.pipeline.coregistration.threads import in_bands
from orograph.pipeline.coregistration.torch_kernels import COMPILED, Kernels

Array = npt.NDArray[Any]

RESIDUALS: Final = 100_000
"""Number of pixels for spreads before and after."""
_BANDS: Final = 24
_KEPT_COARSE: Final = 8


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Equal blocks of a grid; their sides differ by at most a pixel, so none is partial and centres are regular."""

    row_edges: Array
    col_edges: Array

    @classmethod
    def of(cls, shape: tuple[int, int], side_px: float) -> Self:
        """Blocks of about `side_px` pixels."""
        return cls.of_counts(shape, (max(1, round(shape[0] / side_px)), max(1, round(shape[1] / side_px))))

    @classmethod
    def of_counts(cls, shape: tuple[int, int], counts: tuple[int, int]) -> Self:
        """As many blocks along rows and columns as requested."""
        edges = [
            np.round(np.arange(count + 1) * (size / count)).astype(np.int64)
            for size, count in zip(shape, counts, strict=True)
        ]
        return cls(*edges)

    @classmethod
    def within(cls, blocks: Blocks, fine: int) -> Self:
        """Divide each block into `fine` parts along both sides."""
        edges = [
            np.concatenate(
                [np.round(np.linspace(a, b, fine, endpoint=False)) for a, b in pairwise(outer)] + [outer[-1:]]
            )
            for outer in (blocks.row_edges, blocks.col_edges)
        ]
        return cls(*(edge.astype(np.int64) for edge in edges))

    def numbers(self, decimated: tuple[int, int], step: int) -> Array:
        """Number of the block of each pixel in an image of every `step`-th pixel."""
        row = np.searchsorted(self.row_edges, np.arange(decimated[0]) * step, side="right") - 1
        col = np.searchsorted(self.col_edges, np.arange(decimated[1]) * step, side="right") - 1
        return row[:, None] * self.shape[1] + col[None, :]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of blocks."""
        return self.row_edges.size - 1, self.col_edges.size - 1

    def centres(self) -> tuple[Array, Array]:
        """Normalised u and v of the blocks' centres, each of the blocks' shape."""
        rows, cols = self.shape
        u = (np.arange(cols) + 0.5) * 2.0 / cols - 1.0
        v = (np.arange(rows) + 0.5) * 2.0 / rows - 1.0
        uu, vv = np.meshgrid(u, v)
        return uu, vv


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two rasters (metres, NaN is void) and the mask of their comparison.

    Attributes:
        reference: float32 on `geobox`.
        moving: float32 on `moving_geobox`.
        despiked: `moving` prepared for interpolation.
        inliers: True on stable terrain, on `geobox`.
        engine: The pixel kernels.
    """

    reference: FloatArray
    moving: FloatArray
    despiked: FloatArray
    inliers: BoolArray
    geobox: GeoBox
    moving_geobox: GeoBox
    threads: int = 1
    engine: Kernels = COMPILED
    _decimated: dict[int, Pair] = field(default_factory=dict, repr=False)

    @property
    def pixel_m(self) -> float:
        """The larger pixel of the two, metres."""
        return max(abs(box.affine.a) for box in (self.geobox, self.moving_geobox))

    @property
    def holes(self) -> bool:
        """Whether the moving raster contains voids; without voids the raster equals its repaired copy."""
        return self.despiked is not self.moving

    def _geometry(self, field: DisplacementField) -> Array:
        return geometry_of(self.geobox, field.geobox, self.moving_geobox)

    def step(self, most: float) -> int:
        """Row and column interval that gives at most about `most` pixels."""
        return max(1, int(np.ceil(np.sqrt(self.reference.size / most))))

    def _coarse_residuals(self, field: DisplacementField, most: float) -> tuple[Array, Array, int]:
        step = self.step(most)
        shape = tuple(-(-size // step) for size in self.reference.shape)
        out, slope = np.empty(shape, np.float32), np.empty(shape, np.float32)
        arguments = (self.reference, self.moving, self.despiked, self.holes, self.inliers, self._geometry(field))
        shaped = (*arguments, field.polynomial, field.nodes, step)
        in_bands(lambda a, b: self.engine.residuals(*shaped, a, b, out, slope), shape[0], self.threads)
        return out, slope, step

    def residuals(self, field: DisplacementField, most: float = RESIDUALS) -> tuple[Array, Array]:
        """Residuals (metres) and slopes where both rasters have heights, of at most about `most` pixels."""
        out, slope, _ = self._coarse_residuals(field, most)
        good = np.isfinite(out)
        return out[good], slope[good]

    def residual_image(self, field: DisplacementField, most: float) -> tuple[Array, int]:
        """Residuals of every n-th row and column, NaN where there are none, and n."""
        out, _, step = self._coarse_residuals(field, most)
        return out, step

    def sums(
        self, field: DisplacementField, blocks: Blocks, scale: Array, *, gate: float = kernels.TUKEY, step: int = 1
    ) -> Array:
        """Normal equations by block from every `step`-th row, shape (rows, columns, 11); see `kernels.accumulate`."""
        out = np.zeros((*blocks.shape, kernels.SUMS))
        arguments = (self.reference, self.moving, self.despiked, self.holes, self.inliers, self._geometry(field))
        shaped = (*arguments, field.polynomial, field.nodes, scale, gate, step, blocks.row_edges, blocks.col_edges)
        per_band = max(1, blocks.shape[0] // _BANDS)
        in_bands(
            lambda a, b: self.engine.accumulate(*shaped, a, b, out), blocks.shape[0], self.threads, per_band=per_band
        )
        return out

    def decimated(self, factor: int) -> Pair:
        """Decimate both rasters by medians of squares of `factor` pixels; small results are cached."""
        if factor < _KEPT_COARSE:
            return self._decimate(factor)
        if factor not in self._decimated:
            self._decimated[factor] = self._decimate(factor)
        return self._decimated[factor]

    def _decimate(self, factor: int) -> Pair:
        ref_box, moving_box = _thin_box(self.geobox, factor), _thin_box(self.moving_geobox, factor)
        reference = _thin(self.reference, self.inliers, factor, self.threads)
        everywhere = np.ones((1, 1), np.bool_)
        moving = _thin(self.despiked, everywhere, factor, self.threads)
        despiked = despike(moving, spikes=False)
        return Pair(reference, moving, despiked, np.isfinite(reference), ref_box, moving_box, self.threads, self.engine)


def _thin_box(geobox: GeoBox, factor: int) -> GeoBox:
    shape = (geobox.shape.y // factor, geobox.shape.x // factor)
    affine = geobox.affine
    return GeoBox(shape, Affine(affine.a * factor, 0.0, affine.c, 0.0, affine.e * factor, affine.f), geobox.crs)


def _thin(heights: FloatArray, inliers: BoolArray, factor: int, threads: int) -> FloatArray:
    out = np.empty((heights.shape[0] // factor, heights.shape[1] // factor), np.float32)
    thin = cpu_kernels().thin_rows if by_numpy() else _thin_rows
    in_bands(lambda a, b: thin(heights, inliers, factor, a, b, out), out.shape[0], threads)
    return out


@compiled_with(error_model="numpy")
def _thin_rows(heights: Array, inliers: Array, factor: int, first: int, last: int, out: Array) -> None:
    """Medians over every other pixel of square cells; void if fewer than half of those are valid."""
    skip = 2 if factor >= 4 else 1
    work = np.empty(factor * factor)
    whole = inliers.size == 1
    for i in range(first, last):
        for j in range(out.shape[1]):
            n = seen = 0
            for r in range(i * factor, (i + 1) * factor, skip):
                for c in range(j * factor, (j + 1) * factor, skip):
                    seen += 1
                    h = heights[r, c]
                    if np.isfinite(h) and (whole or inliers[r, c]):
                        k = n
                        while k > 0 and work[k - 1] > h:
                            work[k] = work[k - 1]
                            k -= 1
                        work[k] = h
                        n += 1
            if 2 * n < seen:
                out[i, j] = np.nan
            else:
                out[i, j] = work[n // 2] if n % 2 else 0.5 * (work[n // 2 - 1] + work[n // 2])
