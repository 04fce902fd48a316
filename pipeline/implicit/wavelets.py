"""An orthonormal basis of a cubic spline space, from coarse to fine; few large coefficients represent a terrain.

The spaces of splines on n, 2 n, 4 n, ... intervals are nested. Each level's detail space is the orthogonal complement
of the coarser space in the finer one, orthonormalised symmetrically, so its functions stay local (the Battle-Lemarie
wavelets, with exact borders; Unser, Splines: a perfect fit for signal processing, 1999). In an orthonormal basis,
keeping the largest coefficients is the optimal choice of that number, and quantisation errors do not accumulate.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import scipy.linalg
import scipy.sparse

from orograph.pipeline.implicit.splines import DEGREE, Float64Array, gram, refinement

# Entries of the basis below this fraction of its largest are dropped: they decay by about 0.27 per knot.
_NEGLIGIBLE: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a hierarchy: `coarse` intervals, doubled `levels` times.

    Coefficients are ordered coarse scaling functions first, then the details of each level, coarse to fine.
    """

    coarse: int
    levels: int

    @property
    def intervals(self) -> int:
        """Intervals of the finest lattice."""
        return self.coarse << self.levels

    @property
    def size(self) -> int:
        """Number of coefficients, the same in the lattice and in the hierarchy."""
        return self.intervals + DEGREE

    @property
    def bands(self) -> tuple[slice, ...]:
        """Ranges of the scaling functions and of each level's details among the coefficients."""
        first = self.coarse + DEGREE
        ends = [first + (self.coarse << level) - self.coarse for level in range(self.levels + 1)]
        return (slice(0, first), *(slice(a, b) for a, b in itertools.pairwise(ends)))

    @property
    def synthesis(self) -> scipy.sparse.csr_array:
        """Matrix (size, size) from hierarchy to lattice coefficients."""
        return _synthesis(self.coarse, self.levels)

    @property
    def analysis(self) -> scipy.sparse.csr_array:
        """Matrix (size, size) from lattice coefficients to the hierarchy; the inverse of synthesis."""
        return _analysis(self.coarse, self.levels)

    @property
    def positions(self) -> Float64Array:
        """Centre of each basis function along the axis, 0 to 1."""
        parts = [(np.arange(self.coarse + DEGREE) - 1.0) / self.coarse]
        for level in range(self.levels):
            count = self.coarse << level
            parts.append((np.arange(count) + 0.5) / count)
        return np.clip(np.concatenate(parts), 0.0, 1.0)


def analyse(coefficients: Float64Array, rows: Axis, cols: Axis) -> Float64Array:
    """Transform lattice coefficients (rows, columns) to the hierarchy, orthonormal in L2 over the finest knot unit."""
    return np.asarray(rows.analysis @ (cols.analysis @ coefficients.T).T)


def synthesise(hierarchy: Float64Array, rows: Axis, cols: Axis) -> Float64Array:
    """Transform the hierarchy's coefficients to those of the finest lattice."""
    return np.asarray(rows.synthesis @ (cols.synthesis @ hierarchy.T).T)


def _orthonormal(functions: Float64Array, inner: scipy.sparse.csr_array) -> Float64Array:
    """The orthonormal basis nearest to the given functions (Loewdin), which keeps each function in place."""
    values, vectors = scipy.linalg.eigh(functions.T @ (inner @ functions))
    return functions @ ((vectors / np.sqrt(values)) @ vectors.T)


@lru_cache(maxsize=32)
def _details(intervals: int) -> Float64Array:
    """Orthonormal details (2 n + 3, n) between `intervals` and twice as many, as coefficients of the finer."""
    fine = 2 * intervals + DEGREE
    inner, up = gram(2 * intervals), refinement(intervals)
    chosen = np.zeros((fine, intervals))
    chosen[2 + 2 * np.arange(intervals), np.arange(intervals)] = 1.0
    banded = _upper_band(scipy.sparse.csr_array(up.T @ inner @ up))
    shadow = scipy.linalg.solveh_banded(banded, np.asarray(up.T @ (inner @ chosen)))
    return _orthonormal(chosen - up @ shadow, inner)


def _upper_band(matrix: scipy.sparse.csr_array) -> Float64Array:
    size = matrix.shape[0]
    band = np.zeros((DEGREE + 1, size))
    for offset in range(DEGREE + 1):
        band[DEGREE - offset, offset:] = matrix.diagonal(offset)
    return band


@lru_cache(maxsize=16)
def _synthesis(coarse: int, levels: int) -> scipy.sparse.csr_array:
    # Each level's functions are orthonormal in their own knot unit; halving the unit halves the square of the norm.
    scaling = _orthonormal(np.eye(coarse + DEGREE), gram(coarse))
    blocks = [_sparse(scaling * 2.0 ** (-levels / 2))]
    for level in range(levels):
        up = refinement(coarse << level)
        details = _details(coarse << level) * 2.0 ** (-(levels - level - 1) / 2)
        blocks = [scipy.sparse.csr_array(up @ block) for block in blocks]
        blocks.append(_sparse(details))
    return scipy.sparse.csr_array(scipy.sparse.hstack(blocks))


@lru_cache(maxsize=16)
def _analysis(coarse: int, levels: int) -> scipy.sparse.csr_array:
    basis = _synthesis(coarse, levels)
    return scipy.sparse.csr_array(basis.T @ gram(coarse << levels))


def _sparse(matrix: Float64Array) -> scipy.sparse.csr_array:
    kept = np.where(np.abs(matrix) > _NEGLIGIBLE * np.abs(matrix).max(), matrix, 0.0)
    return scipy.sparse.csr_array(kept)
