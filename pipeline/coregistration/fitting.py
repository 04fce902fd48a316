"""`fit`: from two rasters to a `Coregistration` with a status."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from orograph.pipeline.core.raster import BoolArray, FloatArray, Raster
from orograph.pipeline.coregistration.blockwise import fit_field
from orograph.pipeline.coregistration.despike import despike
from orograph.pipeline.coregistration.estimate import (
    LEAST_SAMPLES,
    LEAST_SLOPE_SPREAD,
    Estimate,
    SlopeSpread,
    estimate,
    nmad,
    slope_spread,
)
from orograph.pipeline.coregistration.field import DisplacementField, require_metric
from orograph.pipeline.coregistration.methods import EAST, NORTH, UP, Method, Term, parse_method
from orograph.pipeline.coregistration.pair import RESIDUALS, Pair
from orograph.pipeline.coregistration.result import Coregistration
from orograph.pipeline.coregistration.status import CoregistrationStatus
from orograph.pipeline.coregistration.torch_kernels import kernels_for
from orograph.pipeline.coregistration.verdict import Verdict, beyond, judge, one_direction
from orograph.pipeline.coregistration.wave_search import find_wave, with_waves
from orograph.pipeline.coregistration.waves import Wave
from orograph.pipeline.errors import CoregistrationError, NodataError, VerticalError

Array = npt.NDArray[Any]

DEFAULT_MAX_SHIFT_PX: Final = 60.0
_LOWEST_M, _HIGHEST_M = -600.0, 9000.0
_REPEATS: Final = 5
_BETTER: Final = 0.95
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
    waves: bool = True,
) -> Coregistration:
    """Estimate the displacement that aligns a raster with a reference.

    Both are in one projected CRS and one vertical frame; resolutions and extents may differ. The result is
    deterministic and does not depend on the number of threads.

    Args:
        reference: Heights to align with, metres, NaN is void.
        to_be_aligned: Heights to align.
        inlier_mask: True on stable terrain, on the reference's grid; everywhere when None.
        method: A method or its name, see `parse_method`.
        max_shift_m: Horizontal displacements beyond this give the status `rejected`; 60 pixels when None.
        threads: Threads to use; 0 means all that this process may use.
        device: A torch device such as `cuda` for the pixel kernels; the compiled kernels of the CPU when None.
        waves: Search the residuals for waves, and remove them.

    Raises:
        ConfigError: unknown method or device.
        SourceGridError: geographic or rotated grids, or different CRS.
        VerticalError: the two are in different vertical frames.
        NodataError: a raster holds undeclared nodata values.
        CoregistrationError: the mask does not fit the reference.
    """
    chosen = parse_method(method) if isinstance(method, str) else method
    pair = make_pair(reference, to_be_aligned, inlier_mask, threads, device)
    limit_m = DEFAULT_MAX_SHIFT_PX * pair.pixel_m if max_shift_m is None else max_shift_m
    still = DisplacementField(reference.geobox)
    before, _ = pair.residuals(still)
    start, far_m = coarse_start(pair, still, limit_m) if chosen.horizontal else (still, 0.0)
    begun, _ = pair.residuals(start)
    if _count(pair, begun) < LEAST_SAMPLES:
        verdict = Verdict(
            CoregistrationStatus.TOO_FEW, f"only {_count(pair, begun)} pixels have heights in both rasters"
        )
        if far_m:
            verdict = beyond(far_m, limit_m, pair.pixel_m)
        return _result(chosen, verdict, _unmoved(still), before, before, _count(pair, begun))
    found, after, verdict = _estimated(pair, chosen, _raised(start, begun), before, limit_m)
    tried = found.field.mean_m
    if not verdict.status.aligned:
        if far_m and verdict.status is CoregistrationStatus.REJECTED:
            verdict = beyond(far_m, limit_m, pair.pixel_m)
        found = _vertical_only(pair, chosen, still, before, found)
        after, _ = pair.residuals(found.field)
    result = _result(chosen, verdict, found, before, after, _count(pair, after))
    if verdict.reason and not verdict.status.aligned:
        result = replace(result, found_m=tried)
    return (
        _with_blocks(pair, result, limit_m, waves=waves)
        if chosen.blockwise and verdict.status is CoregistrationStatus.CONVERGED
        else result
    )


def _estimated(
    pair: Pair, method: Method, start: DisplacementField, before: Array, limit_m: float
) -> tuple[Estimate, Array, Verdict]:
    """Global estimate, residuals and verdict; along one direction if the other is not observed."""
    polish = not method.blockwise
    found = estimate(pair, method.terms, start, polish=polish)
    after, _ = pair.residuals(found.field)
    if not method.horizontal:
        return found, after, Verdict(CoregistrationStatus.CONVERGED)
    verdict = judge(pair, found, before, after, limit_m)
    if verdict.status is not CoregistrationStatus.UNOBSERVABLE or found.slopes.strong < LEAST_SLOPE_SPREAD:
        return found, after, verdict
    along = estimate(pair, method.terms, start, direction=found.slopes.direction)
    left, _ = pair.residuals(along.field)
    strong = replace(along, slopes=SlopeSpread(found.slopes.strong, found.slopes.strong, found.slopes.direction))
    # Half of the shift's information is missing, so the remaining shift must improve residuals by itself.
    raised, _ = pair.residuals(_raised(start, pair.residuals(start)[0]))
    if judge(pair, strong, before, left, limit_m).status is CoregistrationStatus.CONVERGED and nmad(
        left
    ) < _BETTER * nmad(raised):
        return along, left, one_direction(found)
    return found, after, verdict


def _with_blocks(pair: Pair, result: Coregistration, limit_m: float, *, waves: bool) -> Coregistration:
    """A smooth field on top of the global fit, then waves, each kept only if it improves the previous result."""
    fitted = fit_field(pair, result.method, result.field)
    field, left = with_waves(pair, fitted.field) if waves else (fitted.field, None)
    steps = result.iterations + fitted.iterations
    if field.waves:
        # The smooth field has partly followed the waves: both are fitted again.
        fitted = fit_field(pair, result.method, result.field.with_waves(field.waves))
        field, left = with_waves(pair, fitted.field)
        steps += fitted.iterations
    after, _ = pair.residuals(field)
    result = replace(result, blocks=fitted.table, stiffness=fitted.stiffness, iterations=steps)
    worse = after.size < LEAST_SAMPLES or nmad(after) > 1.001 * result.nmad_after_m + 0.005
    if worse or field.largest_horizontal_m > 1.5 * limit_m:
        left = find_wave(pair, result.field) if waves else None
        return result if left is None else _undulated(result, left)
    result = replace(
        result,
        field=field.rounded(),
        median_after_m=float(np.median(after)),
        nmad_after_m=nmad(after),
        sample_count=int(fitted.table.count.sum()),
        blind_nmad_m=fitted.held_out_nmad_m,
    )
    return result if left is None else _undulated(result, left)


def _undulated(result: Coregistration, wave: Wave) -> Coregistration:
    """A result whose heights still contain a wave."""
    return replace(
        result,
        status=CoregistrationStatus.UNDULATED,
        reason=f"the residuals still contain a wave of {wave}",
        wave_left=wave,
    )


def make_pair(
    reference: Raster, moving: Raster, inliers: BoolArray | None, threads: int, device: str | None = None
) -> Pair:
    """Check two rasters and prepare them for the kernels."""
    require_metric(reference.geobox)
    require_metric(moving.geobox)
    if reference.frame != moving.frame:
        raise VerticalError(
            f"reference in {reference.frame}, raster to be aligned in {moving.frame}",
            remedy="transform both to one vertical frame first: coregistration would absorb the difference of the datums",
        )
    reject_undeclared_nodata(reference.heights_m, "reference")
    reject_undeclared_nodata(moving.heights_m, "raster to be aligned")
    shape = reference.heights_m.shape
    if inliers is None:
        inliers = np.ones(shape, np.bool_)
    elif inliers.shape != shape or inliers.dtype != np.bool_:
        raise CoregistrationError(f"inlier mask of {inliers.dtype} {inliers.shape} for a reference of {shape}")
    # The kernels use flat memory; each of them would copy a strided view.
    target, heights = np.ascontiguousarray(reference.heights_m), np.ascontiguousarray(moving.heights_m)
    stable = np.ascontiguousarray(inliers)
    despiked = despike(heights, threads=threads)
    return Pair(target, heights, despiked, stable, reference.geobox, moving.geobox, threads, kernels_for(device))


def reject_undeclared_nodata(heights: FloatArray, name: str) -> None:
    """Reject implausible heights that occur repeatedly, such as -9999 left undeclared.

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
            f"the {name} contains {values[often]:g} m {counts[often]} times, which is not a terrain height",
            remedy="declare this value as nodata",
        )


def coarse_start(pair: Pair, still: DisplacementField, limit_m: float) -> tuple[DisplacementField, float]:
    """A first horizontal shift from decimated rasters, if it improves the residuals; else zero.

    The second value is the length of a shift (metres) that improves the residuals but is not used because it is far
    beyond the limit; zero without one.
    """
    factor = min(8, min(*pair.reference.shape, *pair.moving.shape) // 40)
    if factor < 2:
        return still, 0.0
    coarse = pair.decimated(factor)
    before, _ = coarse.residuals(still)
    if before.size < LEAST_SAMPLES:
        return still, 0.0
    slopes = slope_spread(coarse, still, np.array([nmad(before) + 1.0, 0.0]))
    if slopes.strong < LEAST_SLOPE_SPREAD:
        return still, 0.0
    direction = slopes.direction if slopes.weak < LEAST_SLOPE_SPREAD else None
    found = estimate(coarse, _HORIZONTAL, _raised(still, before), polish=False, direction=direction)
    after, _ = coarse.residuals(found.field)
    if after.size < LEAST_SAMPLES or not nmad(after) < nmad(before):
        return still, 0.0
    length_m = found.field.largest_horizontal_m
    if length_m > 2 * limit_m:
        return still, length_m
    return still.with_polynomial(found.field.polynomial.copy()), 0.0


def _vertical_only(pair: Pair, method: Method, still: DisplacementField, before: Array, found: Estimate) -> Estimate:
    """Fit heights alone, and keep the reason why nothing moves sideways."""
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
    """Number of pixels with both heights, from a decimated image of residuals."""
    return int(residual.size) * pair.step(RESIDUALS) ** 2


def _unmoved(still: DisplacementField) -> Estimate:
    unknown = np.full((3, 3), np.inf)
    return Estimate(
        still, 0, settled=False, covariance=unknown, condition=np.inf, slopes=SlopeSpread(), scale=np.ones(2)
    )


def _result(
    method: Method, verdict: Verdict, found: Estimate, before: Array, after: Array, count: int
) -> Coregistration:
    return Coregistration(
        method=method,
        status=verdict.status,
        reason=verdict.reason,
        remedy=verdict.remedy,
        field=found.field.rounded(),
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
