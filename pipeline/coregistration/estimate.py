"""Robust estimation of polynomial displacements from block normal equations.

The linear form of Nuth and Kaab (2011, doi:10.5194/tc-5-271-2011): a height difference is the slope times the shift.
Instead of binning by aspect, all pixels enter one least squares with Tukey weights and noise that grows with slope;
the moving raster is sampled again through the field at every step, so errors of the linearisation vanish at
convergence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from orograph.pipeline.coregistration.field import DisplacementField, monomials
from orograph.pipeline.coregistration.methods import EAST, NORTH, UP, Term
from orograph.pipeline.coregistration.pair import Blocks, Pair

Array = npt.NDArray[Any]

LEAST_SAMPLES: Final = 100
LEAST_SLOPE_SPREAD: Final = 0.005
"""Slopes must vary by this much (standard deviation in the weaker direction) to make a shift observable."""
WORST_ERROR_PX: Final = 0.5
"""A shift less certain than this (standard error, weaker direction) counts as not observed."""
_SAMPLE: Final = 120_000
_MOST_SKIPPED: Final = 12
_STEPS: Final = 20
_TOLERANCE_PX: Final = 2e-4
_TOLERANCE_M: Final = 1e-3
_START_SLACK: Final = 50.0
_SETTLED_PX: Final = 0.02
_LEAST_SCALE_M: Final = 0.02
_SYMMETRIC: Final = np.array([[0, 1, 2], [1, 3, 4], [2, 4, 5]])


@dataclass(frozen=True, slots=True)
class SlopeSpread:
    """Smallest and largest standard deviation of slopes over directions, and the latter's unit vector."""

    weak: float = 0.0
    strong: float = 0.0
    direction: tuple[float, float] = (1.0, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """A fitted field and its quality statistics.

    Attributes:
        covariance: Covariance of the mean east, north and up displacement (square metres), robust to noise correlated
            in blocks.
        condition: Condition number of the scaled normal matrix of the mean displacement.
        slopes: Variation of slopes by direction, at the decimated scale.
    """

    field: DisplacementField
    iterations: int
    settled: bool
    covariance: Array
    condition: float
    slopes: SlopeSpread
    scale: Array

    @property
    def slope_spread(self) -> float:
        """Smallest standard deviation of slopes over directions."""
        return self.slopes.weak


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """Differences (metres) with their median and NMAD, which take long to find; NaN without any."""

    values_m: Array
    median_m: float
    nmad_m: float

    @classmethod
    def of(cls, values_m: Array) -> Self:
        """Measure differences."""
        if not values_m.size:
            return cls(values_m, float("nan"), float("nan"))
        middle = median(values_m)
        return cls(values_m, middle, 1.4826 * median(np.abs(values_m - middle)))

    def __str__(self) -> str:
        # Adding zero removes the sign of a negative one.
        return f"median {round(self.median_m, 2) + 0.0:.2f} m, NMAD {self.nmad_m:.2f} m"


def nmad(values: Array) -> float:
    """Normalised median absolute deviation; NaN without values."""
    if values.size == 0:
        return float("nan")
    return 1.4826 * median(np.abs(values - median(values)))


def median(values: Array) -> float:
    """Median of finite values; faster than numpy's, which also checks for NaN."""
    middle = values.size // 2
    if values.size % 2:
        return float(np.partition(values, middle)[middle])
    around = np.partition(values, (middle - 1, middle))[middle - 1 : middle + 1]
    return 0.5 * (float(around[0]) + float(around[1]))


def noise_scale(residual: Array, slope: Array) -> Array:
    """Noise on flat terrain (metres) and its growth with slope, from spreads in eight classes of slope."""
    total = max(nmad(residual), _LEAST_SCALE_M)
    if residual.size < 800:
        return np.array([total, 0.0])
    order = np.argsort(slope, kind="stable")
    centred = np.abs(residual - median(residual))[order]
    classes = np.array_split(np.arange(order.size), 8)
    spread = np.array([1.4826 * median(centred[c]) for c in classes])
    middle = np.array([slope[order[c[c.size // 2]]] for c in classes], float)
    design = np.stack([np.ones(8), middle], axis=1)
    flat, growth = np.linalg.lstsq(design, spread, rcond=None)[0]
    if growth <= 0:
        return np.array([total, 0.0])
    return np.array([max(flat, 0.3 * total, _LEAST_SCALE_M), growth])


def matrices(sums: Array) -> tuple[Array, Array]:
    """Normal matrices (blocks, 3, 3) and right-hand sides (blocks, 3)."""
    flat = sums.reshape(-1, sums.shape[-1])
    return flat[:, _SYMMETRIC], flat[:, 6:9]


def design(terms: tuple[Term, ...], blocks: Blocks) -> Array:
    """Effect of terms on blocks: shape (blocks, 3, terms)."""
    u, v = blocks.centres()
    values = monomials(u.ravel(), v.ravel())
    out = np.zeros((values.shape[0], 3, len(terms)))
    for k, (component, monomial) in enumerate(terms):
        out[:, component, k] = values[:, monomial]
    return out


def with_nuisance(terms: tuple[Term, ...]) -> tuple[Term, ...]:
    """Terms plus a height plane if there are horizontal terms, so that a ramp is not mistaken for a shift."""
    if all(component == UP for component, _ in terms):
        return terms
    return tuple(sorted({*terms, (UP, 0), (UP, 1), (UP, 2)}))


def _solve(normal: Array, right: Array, terms: tuple[Term, ...]) -> Array:
    """Solve with a weak ridge on everything except the constant terms, relative to the information on the constants."""
    scale = np.sqrt(np.maximum(np.diag(normal), 1e-300))
    faint = np.array([1e-9 if monomial == 0 else 1e-4 for _, monomial in terms])
    scaled = normal / np.outer(scale, scale) + np.diag(faint)
    return np.linalg.solve(scaled, right / scale) / scale


def _along(terms: tuple[Term, ...], direction: tuple[float, float] | None) -> Array:
    """Map from unknowns to terms, shape (terms, unknowns): identity, or east and north tied along one direction."""
    if direction is None:
        return np.eye(len(terms))
    columns = []
    for component, monomial in terms:
        column = np.zeros(len(terms))
        if component == UP:
            column[terms.index((component, monomial))] = 1.0
        elif component == EAST:
            column[terms.index((EAST, monomial))] = direction[0]
            column[terms.index((NORTH, monomial))] = direction[1]
        else:
            continue
        columns.append(column)
    return np.stack(columns, axis=1)


def estimate(
    pair: Pair,
    terms: tuple[Term, ...],
    start: DisplacementField,
    *,
    polish: bool = True,
    direction: tuple[float, float] | None = None,
) -> Estimate:
    """Fit the terms on top of a field: on a sample until convergence, then, with `polish`, on all pixels.

    Without polish the result is a start for a finer fit, and the fit stops earlier. `direction` (east, north; length
    1) ties the horizontal terms to displacements along it.
    """
    joint = with_nuisance(terms)
    blocks = Blocks.of(pair.reference.shape, 40)
    tied = _along(joint, direction)
    basis = design(joint, blocks)
    thin = min(max(1, pair.reference.size // _SAMPLE), _MOST_SKIPPED)
    field, scale, still, settled, count = start, np.ones(2), False, False, 0
    slack = 1.0 if polish else _START_SLACK
    steps = [thin] * _STEPS + ([1] * 3 if thin > 1 and polish else [])
    for step in steps:
        if still and step == thin:
            continue
        scale = noise_scale(*_sample(pair, field))
        sums = pair.sums(field, blocks, scale, step=step)
        moved, update = _step(field, sums, basis, joint, tied)
        field, count = moved, count + 1
        still = update[0] < _TOLERANCE_PX * slack * pair.pixel_m and update[1] < _TOLERANCE_M * slack
        settled = update[0] < _SETTLED_PX * pair.pixel_m
        if still and step == steps[-1]:
            break
    sums = pair.sums(field, blocks, scale, step=thin)
    field = _without_nuisance(pair, field, terms, start)
    covariance, condition = mean_covariance(sums, direction)
    return Estimate(field, count, settled, covariance, condition, slope_spread(pair, field, scale), scale)


def _sample(pair: Pair, field: DisplacementField) -> tuple[Array, Array]:
    return pair.residuals(field, 15_000)


def _step(
    field: DisplacementField, sums: Array, basis: Array, terms: tuple[Term, ...], tied: Array
) -> tuple[DisplacementField, tuple[float, float]]:
    """One Gauss-Newton step; also its size, sideways and in height (metres)."""
    a, b = matrices(sums)
    half = np.einsum("bij,bjl->bil", a, basis)
    normal = np.einsum("bik,bil->kl", basis, half)
    right = np.einsum("bik,bi->k", basis, b)
    kept = tuple(terms[int(np.flatnonzero(column)[0])] for column in tied.T)
    change = tied @ _solve(tied.T @ normal @ tied, tied.T @ right, kept)
    polynomial = field.polynomial.copy()
    for (component, monomial), value in zip(terms, change, strict=True):
        polynomial[component, monomial] += value
    update = np.zeros(3)
    for (component, _), value in zip(terms, change, strict=True):
        update[component] += abs(value)
    return field.with_polynomial(polynomial), (float(np.hypot(update[EAST], update[NORTH])), float(update[UP]))


def _without_nuisance(
    pair: Pair, field: DisplacementField, terms: tuple[Term, ...], start: DisplacementField
) -> DisplacementField:
    """Remove height terms that only the fit needs, and set the vertical shift to the median of the differences."""
    polynomial = field.polynomial.copy()
    dropped = [t for t in ((UP, 1), (UP, 2)) if t not in terms]
    for component, monomial in dropped:
        polynomial[component, monomial] = start.polynomial[component, monomial]
    field = field.with_polynomial(polynomial)
    if len(dropped) == 2:
        residual, _ = pair.residuals(field)
        polynomial = polynomial.copy()
        polynomial[UP, 0] += median(residual) if residual.size else 0.0
        field = field.with_polynomial(polynomial)
    return field


def mean_covariance(sums: Array, direction: tuple[float, float] | None = None) -> tuple[Array, float]:
    """Covariance of the mean displacement by the sandwich over blocks, and the condition number of its matrix.

    With a direction, along it only; the perpendicular component is not estimated and has no variance.
    """
    a, b = matrices(sums)
    if direction is not None:
        back = np.array([[direction[0], 0.0], [direction[1], 0.0], [0.0, 1.0]])
        a, b = np.einsum("ik,bij,jl->bkl", back, a, back), b @ back
        covariance, condition = _sandwich(a, b, int(np.count_nonzero(sums[..., 10])))
        return back @ covariance @ back.T, condition
    return _sandwich(a, b, int(np.count_nonzero(sums[..., 10])))


def _sandwich(a: Array, b: Array, used: int) -> tuple[Array, float]:
    normal = a.sum(axis=0)
    scale = np.sqrt(np.maximum(np.diag(normal), 1e-300))
    scaled = normal / np.outer(scale, scale)
    condition = float(np.linalg.cond(scaled))
    if not np.isfinite(condition) or condition > 1e12:
        return np.full(normal.shape, np.inf), float("inf")
    inverse = np.linalg.inv(scaled) / np.outer(scale, scale)
    if used < 12:
        return inverse, condition
    return inverse @ (b.T @ b) @ inverse * used / (used - 3), condition


def slope_spread(pair: Pair, field: DisplacementField, scale: Array) -> SlopeSpread:
    """Spread of slopes by direction in decimated rasters, so that noise does not look like slope."""
    wide = np.array([max(scale[0], 0.5) * 4, scale[1] * 4])
    for factor in (8, 4, 2, 1):
        if min(pair.reference.shape) < 6 * factor or min(pair.moving.shape) < 6 * factor:
            continue
        coarse = pair.decimated(factor) if factor > 1 else pair
        sums = coarse.sums(field, Blocks.of(coarse.reference.shape, 1e9), wide)
        if sums[..., 10].sum() < LEAST_SAMPLES and factor > 1:
            continue
        return spread_of_slopes(sums.reshape(-1, sums.shape[-1]).sum(axis=0))
    return SlopeSpread()


def spread_of_slopes(total: Array) -> SlopeSpread:
    """Spread of slopes by direction from one block's sums."""
    if total[5] <= 0:
        return SlopeSpread()
    a = total[_SYMMETRIC] / total[5]
    values, vectors = np.linalg.eigh(a[:2, :2] - np.outer(a[:2, 2], a[:2, 2]))
    weak, strong = np.sqrt(np.maximum(values, 0.0))
    return SlopeSpread(float(weak), float(strong), (float(vectors[0, 1]), float(vectors[1, 1])))
