"""Residuals of a method on held-out terrain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from orograph.pipeline.core.raster import BoolArray, FloatArray, Raster
from orograph.pipeline.coregistration.estimate import nmad
from orograph.pipeline.coregistration.fitting import fit
from orograph.pipeline.coregistration.methods import Method
from orograph.pipeline.coregistration.row_blocks import sampled, sampling_step, strips
from orograph.pipeline.coregistration.status import CoregistrationStatus

CELL_M: Final = 500.0


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Residuals of a chequerboard: each colour predicted by a fit on the other.

    Attributes:
        cell_m: Side of a cell.
        median_m, nmad_m: Median and NMAD of reference - aligned over all cells, metres; NaN when a fit did not
            converge.
        sample_count: Number of compared pixels: all, or about two million of a larger raster.
    """

    cell_m: float
    median_m: float
    nmad_m: float
    sample_count: int


def chequerboard(reference: Raster, cell_m: float = CELL_M) -> BoolArray:
    """True on the white cells of a chequerboard over the reference's grid."""
    rows, cols = reference.heights_m.shape
    height_px = max(1, round(cell_m / abs(reference.geobox.affine.e)))
    width_px = max(1, round(cell_m / abs(reference.geobox.affine.a)))
    return ((np.arange(rows) // height_px)[:, None] + (np.arange(cols) // width_px)[None, :]) % 2 == 0


def held_out(
    reference: Raster,
    moving: Raster,
    inliers: BoolArray | None,
    method: str | Method,
    max_shift_m: float | None = None,
    *,
    cell_m: float = CELL_M,
    threads: int = 1,
    waves: bool = True,
) -> HeldOut:
    """Fit twice, on either colour of a chequerboard, and compare on the other colour.

    Cells of 500 m are adjacent and noise of neighbouring pixels is correlated, so this is slightly optimistic for
    fields that follow the noise; `Coregistration.blind_nmad_m` (cells of 2 km, a block away from the data used) is
    pessimistic. Pass `waves` as whether the checked result has some: the cells' own pattern can pass for a wave where
    there is none.
    """
    white = chequerboard(reference, cell_m)
    everywhere = np.ones(white.shape, np.bool_) if inliers is None else inliers
    step = sampling_step(white.shape)
    left: list[FloatArray] = []
    for colour in (white, ~white):
        result = fit(reference, moving, everywhere & colour, method, max_shift_m, threads=threads, waves=waves)
        if result.status in {CoregistrationStatus.TOO_FEW, CoregistrationStatus.REJECTED}:
            return HeldOut(cell_m, float("nan"), float("nan"), 0)
        for strip in strips(result, moving, reference.geobox, threads=threads):
            other = sampled((everywhere[strip.rows] & ~colour[strip.rows]), strip, step)
            values = sampled(reference.heights_m[strip.rows] - strip.aligned_m, strip, step)[other]
            left.append(values[np.isfinite(values)])
    residual = np.concatenate(left)
    median = float(np.median(residual)) if residual.size else float("nan")
    return HeldOut(cell_m, median, nmad(residual), int(residual.size))
