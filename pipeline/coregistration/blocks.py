"""Quality statistics per block: count, own shift, covariance, condition, spread of residuals, status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from orograph.pipeline.coregistration.block_normals import Evidence
from orograph.pipeline.coregistration.estimate import LEAST_SAMPLES, matrices
from orograph.pipeline.coregistration.field import DisplacementField, monomials
from orograph.pipeline.coregistration.methods import UP
from orograph.pipeline.coregistration.pair import Blocks, Pair
from orograph.pipeline.coregistration.status import CoregistrationStatus

Array = npt.NDArray[Any]

_LEAST_SPREAD: Final = 0.005
_NOISE_SLOPE: Final = 0.7
"""Independent noise alone causes slopes of about half its size per pixel; a block's slopes must be larger."""
_THINNING: Final = 4
"""Slopes are computed on medians of squares of this many pixels, which reduces noise but not relief."""
_WORST_ERROR_PX: Final = 1.0
_LIKE_PIXELS: Final = 6.0
"""Pixels per independent observation; with it, a block's standard error matches its error on synthetic pairs."""
_FAR: Final = 50.0
"""A block is rejected if its own shift is this many times farther from the field than usual."""
_LEAST_SHARE: Final = 0.5
"""A block is also rejected if fewer than this fraction of its pixels agree with the field."""


@dataclass(frozen=True, slots=True, eq=False)
class BlockTable:
    """One row per block, row by row from the north-west.

    Attributes:
        shape: Rows and columns of blocks.
        centre_m: (n, 2) easting and northing of the centres, reference CRS.
        displacement_m: (n, 3) east, north, up of the field at the centre.
        own_m: (n, 3) estimate from the block alone; NaN where it is not observable.
        error_m: (n, 3) its standard errors, including correlated noise of patches and neighbouring pixels.
        condition: (n,) condition number of the block's scaled normal matrix.
        nmad_m: (n,) spread of residuals under the field; NaN without samples.
        count: (n,) pixels used.
        status: (n,) a `CoregistrationStatus` per block.
    """

    shape: tuple[int, int]
    centre_m: Array
    displacement_m: Array
    own_m: Array
    error_m: Array
    condition: Array
    nmad_m: Array
    count: Array
    status: tuple[CoregistrationStatus, ...]

    def to_dicts(self) -> list[dict[str, Any]]:
        """JSON-ready rows; None for unknown values."""
        columns = ("centre_m", "displacement_m", "own_m", "error_m", "condition", "nmad_m", "count")
        rows = []
        for i, status in enumerate(self.status):
            row: dict[str, Any] = {"row": i // self.shape[1], "column": i % self.shape[1], "status": status.value}
            for name in columns:
                row[name] = _plain(getattr(self, name)[i])
            rows.append(row)
        return rows


def _plain(value: Any) -> Any:
    """Numbers for JSON, to a tenth of a millimetre."""
    if np.ndim(value):
        return [_plain(v) for v in value]
    if isinstance(value, np.integer):
        return int(value)
    return round(float(value), 4) if np.isfinite(value) else None


def observable(pair: Pair, field: DisplacementField, blocks: Blocks, scale: Array) -> Array:
    """Blocks that constrain a horizontal shift by themselves, shape (n,)."""
    smallest = min(*pair.reference.shape, *pair.moving.shape)
    coarse = pair.decimated(_THINNING) if smallest >= 10 * _THINNING else pair
    sums = coarse.sums(field, Blocks.of_counts(coarse.reference.shape, blocks.shape), 4.0 * scale)
    flat = sums.reshape(-1, sums.shape[-1])
    a, _ = matrices(sums)
    weight = np.maximum(flat[:, 5], 1e-300)
    unit = a / weight[:, None, None]
    spread = unit[:, :2, :2] - unit[:, :2, 2:] * unit[:, 2:, :2]
    weak = np.sqrt(np.maximum(np.linalg.eigvalsh(spread)[:, 0], 0.0))
    noise = np.sqrt(flat[:, 9] / weight)
    return (weak > np.maximum(_LEAST_SPREAD, _NOISE_SLOPE * noise / coarse.pixel_m)) & (flat[:, 10] >= 4)


def tabulate(
    blocks: Blocks,
    field: DisplacementField,
    evidence: Evidence,
    seen: Array,
    pair: Pair,
    image: tuple[Array, int],
) -> BlockTable:
    """Compute the block table at the end of a fit."""
    u, v = (part.ravel() for part in blocks.centres())
    displacement = monomials(u, v) @ field.polynomial.T + field.lattice.reshape(3, -1).T
    count = evidence.count
    own, error, condition = _alone(evidence.a, evidence.b, count)
    own[~seen, :2] = np.nan
    spread, valid = _spreads(blocks, *image)
    share = count / np.maximum(valid * image[1] ** 2, 1)
    status = _statuses(count, seen, error, _distance(own, evidence.a, seen), share, pair.pixel_m)
    affine, shape = pair.geobox.affine, pair.reference.shape
    centre = np.stack(
        [affine.c + affine.a * (u + 1) * 0.5 * shape[1], affine.f + affine.e * (v + 1) * 0.5 * shape[0]], axis=1
    )
    return BlockTable(
        shape=blocks.shape,
        centre_m=centre,
        displacement_m=displacement,
        own_m=displacement + own,
        error_m=error,
        condition=condition,
        nmad_m=spread,
        count=count.astype(np.int64),
        status=status,
    )


def _alone(a: Array, b: Array, count: Array) -> tuple[Array, Array, Array]:
    """Correction of the field by each block alone, its standard error and condition number."""
    diagonal = np.sqrt(np.maximum(a[:, np.arange(3), np.arange(3)], 1e-300))
    scaled = a / (diagonal[:, :, None] * diagonal[:, None, :]) + 1e-9 * np.eye(3)
    good = (count >= LEAST_SAMPLES) & (diagonal > 1e-100).all(axis=1)
    condition = np.full(count.size, np.inf)
    own, error = np.full((count.size, 3), np.nan), np.full((count.size, 3), np.inf)
    if good.any():
        values = np.linalg.eigvalsh(scaled[good])
        condition[good] = values[:, -1] / np.maximum(values[:, 0], 1e-9)
        inverse = np.linalg.inv(scaled[good])
        own[good] = np.einsum("bij,bj->bi", inverse, b[good] / diagonal[good]) / diagonal[good]
        # Within a patch, errors of neighbouring pixels are still correlated.
        error[good] = np.sqrt(_LIKE_PIXELS * inverse[:, np.arange(3), np.arange(3)]) / diagonal[good]
    return own, error, condition


def _distance(own: Array, a: Array, seen: Array) -> Array:
    """Distance of each block's own estimate from the field, in its standard errors, relative to the usual distance."""
    step = np.nan_to_num(own)
    squared = np.einsum("bi,bij,bj->b", step, a, step)
    usual = float(np.median(squared[seen])) if seen.any() else 0.0
    return squared / (usual + 1.0)


def _statuses(
    count: Array, seen: Array, error: Array, distance: Array, share: Array, pixel_m: float
) -> tuple[CoregistrationStatus, ...]:
    """A status for each block."""
    out = []
    for i in range(count.size):
        if count[i] < LEAST_SAMPLES:
            out.append(CoregistrationStatus.TOO_FEW)
        elif not seen[i] or not error[i, :UP].max() < _WORST_ERROR_PX * pixel_m:
            out.append(CoregistrationStatus.UNOBSERVABLE)
        elif distance[i] > _FAR or share[i] < _LEAST_SHARE:
            out.append(CoregistrationStatus.REJECTED)
        else:
            out.append(CoregistrationStatus.CONVERGED)
    return tuple(out)


def _spreads(blocks: Blocks, image: Array, step: int) -> tuple[Array, Array]:
    """NMAD and number of the residuals of each block, from a decimated image."""
    number = blocks.numbers(image.shape, step)
    good = np.isfinite(image)
    values, number = image[good].astype(float), number[good]
    count = blocks.shape[0] * blocks.shape[1]
    middle = _group_medians(values, number, count)
    return 1.4826 * _group_medians(np.abs(values - middle[number]), number, count), np.bincount(number, minlength=count)


def _group_medians(values: Array, number: Array, count: int) -> Array:
    """Median of each group (the upper one of an even count); NaN for empty groups."""
    # Single-precision numbers sort like their bits once the bits of the negative ones are inverted, so one integer sort
    # puts groups and values in order.
    bits = values.astype(np.float32).view(np.int32)
    turned = np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits)
    keys = np.sort((number.astype(np.int64) << 32) + (turned.astype(np.int64) + 2**31))
    sizes = np.bincount(number, minlength=count)
    middle = (np.cumsum(sizes) - sizes + sizes // 2)[sizes > 0]
    chosen = ((keys[middle] & 0xFFFFFFFF) - 2**31).astype(np.int32)
    out = np.full(count, np.nan)
    out[sizes > 0] = np.where(chosen < 0, chosen ^ np.int32(0x7FFFFFFF), chosen).view(np.float32)
    return out
