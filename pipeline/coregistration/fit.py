"""`fit`: from two rasters to a `Coregistration`, with a status for everything that cannot be known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from orograph.pipeline.core.raster import BoolArray, FloatArray, Raster
from orograph.pipeline.coregistration.blockwise import fit_field
from orograph.pipeline.coregistration.despike import mend
from orograph.pipeline.coregistration.estimate import (
    LEAST_SAMPLES,
    LEAST_SLOPE_SPREAD,
    WORST_ERROR_PX,
    Estimate,
    estimate,
    nmad,
    slope_spread,
)
from orograph.pipeline.coregistration.field import DisplacementField, require_metric
from orograph.pipeline.coregistration.methods import EAST, NORTH, UP, Method, Term, parse_method
from orograph.pipeline.coregistration.pair import RESIDUALS, Pair
from orograph.pipeline.coregistration.result import Coregistration
from orograph.pipeline.coregistration.status import Status
from orograph.pipeline.coregistration.torch_kernels import kernels_for
from orograph.pipeline.errors import CoregistrationError, NodataError, VerticalError

Array = npt.NDArray[Any]

DEFAULT_MAX_SHIFT_PX: Final = 60.0
_LOWEST_M, _HIGHEST_M = -600.0, 9000.0
_REPEATS: Final = 5
_HORIZONTAL: Final[tuple[Term, ...]] = ((EAST, 0), (NORTH, 0), (UP, 0))


def fit(
    reference: Raster,
    to_be_aligned: Raster,
    inlier_mask: BoolArray | None = None,
    method: str | Method = "nuth-kaab",
    max_shift_m: float | None = None,
    *,
    threads: int = 1,
    device: str | None = None,
) -> Coregistration:
    """Estimate how to move a raster onto a reference.

    Both are in one projected CRS and one vertical frame; resolutions and extents may differ. The result is
    deterministic and does not depend on the number of threads.

    Args:
        reference: Heights to move onto, metres, NaN is void.
        to_be_aligned: Heights to be moved.
        inlier_mask: True on ground that did not change, on the reference's grid; everywhere when None.
        method: A method or its name, see `parse_method`.
        max_shift_m: Horizontal displacements beyond this give the status `rejected`; 60 pixels when None.
        threads: Threads to use; 0 means all this process may run on.
        device: A torch device such as `cuda` to go over the pixels on; the compiled kernels of the CPU when None.

    Raises:
        ConfigError: unknown method or device.
        SourceGridError: geographic, unlike or rotated grids.
        VerticalError: the two are in different vertical frames.
        NodataError: a raster holds undeclared nodata values.
        CoregistrationError: the mask does not fit the reference.
    """
    chosen = parse_method(method) if isinstance(method, str) else method
    pair = make_pair(reference, to_be_aligned, inlier_mask, threads, device)
    limit_m = DEFAULT_MAX_SHIFT_PX * pair.pixel_m if max_shift_m is None else max_shift_m
    still = DisplacementField(reference.geobox)
    before, _ = pair.residuals(still)
    start, status, after = still, Status.CONVERGED, before
    if chosen.horizontal:
        start = coarse_start(pair, still, limit_m)
    begun, _ = pair.residuals(start)
    if _count(pair, begun) < LEAST_SAMPLES:
        return _result(chosen, Status.TOO_FEW, _unmoved(still), before, before, _count(pair, begun))
    found = estimate(pair, chosen.terms, _raised(start, begun), polish=not chosen.blockwise)
    if chosen.horizontal:
        status, after = judge(pair, found, before, limit_m)
    if status is not Status.CONVERGED:
        found = _vertical_only(pair, chosen, still, before, found)
    if status is not Status.CONVERGED or not chosen.horizontal:
        after, _ = pair.residuals(found.field)
    result = _result(chosen, status, found, before, after, _count(pair, after))
    return _with_blocks(pair, result, limit_m) if chosen.blockwise and status is Status.CONVERGED else result


def _with_blocks(pair: Pair, result: Coregistration, limit_m: float) -> Coregistration:
    """A smooth field on top of the global fit, where it does better than that."""
    fitted = fit_field(pair, result.method, result.field)
    after, _ = pair.residuals(fitted.field)
    steps = result.iterations + fitted.iterations
    result = replace(result, blocks=fitted.table, stiffness=fitted.stiffness, iterations=steps)
    worse = after.size < LEAST_SAMPLES or nmad(after) > 1.001 * result.nmad_after_m + 0.005
    if worse or fitted.field.largest_horizontal_m > 1.5 * limit_m:
        return result
    return replace(
        result,
        field=fitted.field,
        median_after_m=float(np.median(after)),
        nmad_after_m=nmad(after),
        sample_count=int(fitted.table.count.sum()),
        blind_nmad_m=fitted.held_out_nmad_m,
    )


def make_pair(
    reference: Raster, moving: Raster, inliers: BoolArray | None, threads: int, device: str | None = None
) -> Pair:
    """Check two rasters and make them ready for the kernels."""
    require_metric(reference.geobox)
    require_metric(moving.geobox)
    if reference.frame != moving.frame:
        raise VerticalError(
            f"reference in {reference.frame}, raster to be aligned in {moving.frame}",
            remedy="bring both to one vertical frame first: coregistration would absorb the difference of the datums",
        )
    refuse_undeclared_nodata(reference.heights_m, "reference")
    refuse_undeclared_nodata(moving.heights_m, "raster to be aligned")
    shape = reference.heights_m.shape
    if inliers is None:
        inliers = np.ones(shape, np.bool_)
    elif inliers.shape != shape or inliers.dtype != np.bool_:
        raise CoregistrationError(f"inlier mask of {inliers.dtype} {inliers.shape} for a reference of {shape}")
    # The kernels go along flat memory; a view of every other column would be copied by each of them.
    target, heights = np.ascontiguousarray(reference.heights_m), np.ascontiguousarray(moving.heights_m)
    stable = np.ascontiguousarray(inliers)
    mended = mend(heights, threads=threads)
    return Pair(target, heights, mended, stable, reference.geobox, moving.geobox, threads, kernels_for(device))


def refuse_undeclared_nodata(heights: FloatArray, name: str) -> None:
    """Refuse values no ground has that come back again and again, such as -9999 left undeclared.

    Raises:
        NodataError: names the value.
    """
    if not (np.fmin.reduce(heights, axis=None) < _LOWEST_M or np.fmax.reduce(heights, axis=None) > _HIGHEST_M):
        return
    strange = heights[(heights < _LOWEST_M) | (heights > _HIGHEST_M)]
    values, counts = np.unique(strange, return_counts=True)
    often = int(np.argmax(counts))
    if counts[often] >= _REPEATS:
        raise NodataError(
            f"the {name} holds {values[often]:g} m {counts[often]} times, which no ground has",
            remedy="declare it as nodata",
        )


def coarse_start(pair: Pair, still: DisplacementField, limit_m: float) -> DisplacementField:
    """A first horizontal shift from thinned rasters, where it improves things; else no shift."""
    factor = min(8, min(*pair.reference.shape, *pair.moving.shape) // 40)
    if factor < 2:
        return still
    coarse = pair.thinned(factor)
    before, _ = coarse.residuals(still)
    if (
        before.size < LEAST_SAMPLES
        or slope_spread(coarse, still, np.array([nmad(before) + 1.0, 0.0])) < LEAST_SLOPE_SPREAD
    ):
        return still
    found = estimate(coarse, _HORIZONTAL, _raised(still, before), polish=False)
    after, _ = coarse.residuals(found.field)
    good = (
        after.size >= LEAST_SAMPLES and nmad(after) < nmad(before) and found.field.largest_horizontal_m <= 2 * limit_m
    )
    if not good:
        return still
    polynomial = found.field.polynomial.copy()
    return still.with_polynomial(polynomial)


def judge(pair: Pair, found: Estimate, before: Array, limit_m: float) -> tuple[Status, Array]:
    """Whether a horizontal displacement is to be believed, and the residuals under it."""
    after, _ = pair.residuals(found.field)
    error = float(np.sqrt(max(np.linalg.eigvalsh(found.covariance[:2, :2])[-1], 0.0))) if _finite(found) else np.inf
    if found.slope_spread < LEAST_SLOPE_SPREAD or not error < WORST_ERROR_PX * pair.pixel_m:
        return Status.UNOBSERVABLE, after
    worse = after.size < LEAST_SAMPLES or nmad(after) > 1.02 * nmad(before) + 0.01
    if worse or not found.settled or found.field.largest_horizontal_m > limit_m:
        return Status.REJECTED, after
    return Status.CONVERGED, after


def _finite(found: Estimate) -> bool:
    return bool(np.isfinite(found.covariance).all())


def _vertical_only(pair: Pair, method: Method, still: DisplacementField, before: Array, found: Estimate) -> Estimate:
    """Fit heights alone, keeping what is known of why nothing moves sideways."""
    if before.size < LEAST_SAMPLES:
        return replace(found, field=still)
    terms = tuple(term for term in method.terms if term[0] == UP) or ((UP, 0),)
    return replace(found, field=estimate(pair, terms, _raised(still, before)).field)


def _raised(field: DisplacementField, residual: Array) -> DisplacementField:
    """The field with its vertical shift set by the median of residuals."""
    polynomial = field.polynomial.copy()
    if residual.size:
        polynomial[UP, 0] += float(np.median(residual))
    return field.with_polynomial(polynomial)


def _count(pair: Pair, residual: Array) -> int:
    """Pixels with both heights, from a thinned image of residuals."""
    return int(residual.size) * pair.step(RESIDUALS) ** 2


def _unmoved(still: DisplacementField) -> Estimate:
    unknown = np.full((3, 3), np.inf)
    return Estimate(still, 0, settled=False, covariance=unknown, condition=np.inf, slope_spread=0.0, scale=np.ones(2))


def _result(method: Method, status: Status, found: Estimate, before: Array, after: Array, count: int) -> Coregistration:
    return Coregistration(
        method=method,
        status=status,
        field=found.field,
        median_before_m=float(np.median(before)) if before.size else float("nan"),
        median_after_m=float(np.median(after)) if after.size else float("nan"),
        nmad_before_m=nmad(before),
        nmad_after_m=nmad(after),
        sample_count=count,
        covariance=found.covariance,
        condition=found.condition,
        slope_spread=found.slope_spread,
        iterations=found.iterations,
    )
