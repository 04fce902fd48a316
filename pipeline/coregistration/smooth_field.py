"""Joint solution of all blocks: block normal equations tied by a bending prior, solved by one banded Cholesky.

The unknown is a lattice of displacements, bilinear between its nodes. The prior is the discrete thin-plate energy of
each component, which leaves shifts, tilts and rotations free. Weights scale with the square of the node spacing, so
that a number means the same stiffness on every lattice.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.linalg import lapack

from orograph.pipeline.errors import CoregistrationError

Array = npt.NDArray[Any]

_COMPONENTS: Final = 3


@dataclass(frozen=True, slots=True, eq=False)
class BlockLattice:
    """Node lattice over blocks: the nodes that determine a block's displacement, and the bending energy.

    Attributes:
        blocks: Rows and columns of blocks.
        nodes: Rows and columns of nodes, at the centres of as many equal parts of the same extent.
        weights: Sparse (blocks, nodes): bilinear, linear beyond the outer nodes.
        order: Position of each node in the banded system, along the shorter side first.
        pairs: Sparse map from six numbers per block to the lower bands of the system, in LAPACK's column order.
        bending: For each component, the lower bands of the prior and their values.
        width: Number of lower bands, the diagonal included.
    """

    blocks: tuple[int, int]
    nodes: tuple[int, int]
    weights: Any
    order: Array
    pairs: Any
    bending: tuple[tuple[Array, Array], ...]
    width: int

    @classmethod
    @lru_cache(maxsize=16)
    def over(cls, blocks: tuple[int, int], nodes: tuple[int, int]) -> Self:
        """Build the lattice for shapes of nodes and blocks."""
        rows, cols = (_bilinear(b, n) for b, n in zip(blocks, nodes, strict=True))
        weights = sparse.csr_array(sparse.kron(rows, cols))
        weights.eliminate_zeros()
        grid = np.arange(nodes[0] * nodes[1]).reshape(nodes)
        order = np.empty(grid.size, np.int64)
        order[(grid if nodes[1] <= nodes[0] else grid.T).ravel()] = np.arange(grid.size)
        energy = sparse.coo_array(_bending(nodes))
        row, col = order[energy.coords[0]], order[energy.coords[1]]
        reach = max(int(np.abs(row - col).max(initial=0)), _reach(weights, order))
        width, size = _COMPONENTS * (reach + 1), _COMPONENTS * grid.size
        lower = row >= col
        bending = []
        for k in range(_COMPONENTS):
            bands = np.zeros((width, size))
            bands[_COMPONENTS * (row - col)[lower], _COMPONENTS * col[lower] + k] = energy.data[lower]
            filled = np.flatnonzero(bands.any(axis=1))
            bending.append((filled, bands[filled]))
        pairs = _pairs(weights, order, width, size)
        return cls(blocks, nodes, weights, order, pairs, tuple(bending), width)

    def solve(self, matrices: Array, right: Array, stiffness: Array) -> Array:
        """Displacements of the nodes (3, rows, columns) from block matrices (n, 3, 3) and right-hand sides (n, 3).

        Raises:
            CoregistrationError: the blocks and the prior together do not determine the field.
        """
        size = _COMPONENTS * self.order.size
        bands = (self.pairs @ matrices[:, _LOWER[0], _LOWER[1]].ravel()).reshape(size, self.width).T
        # Set before bending is added: a ridge relative to a stiff prior would pull the field to zero.
        ridge = 1e-9 * bands[0].max()
        spacing = self.nodes[0] * self.nodes[1] / (self.blocks[0] * self.blocks[1])
        for (filled, values), weight in zip(self.bending, stiffness, strict=True):
            bands[filled] += values * (weight * spacing)
        bands[0] *= 1.0 + 4.0 * np.finfo(np.float64).eps
        bands[0] += ridge
        vector = np.empty(size)
        for k in range(_COMPONENTS):
            vector[_COMPONENTS * self.order + k] = self.weights.T @ right[:, k]
        factor, failed = lapack.dpbtrf(bands, lower=1, overwrite_ab=1)
        if failed:
            raise CoregistrationError("the blocks do not determine a smooth field")
        solution, _ = lapack.dpbtrs(factor, vector, lower=1)
        return np.stack([solution[_COMPONENTS * self.order + k].reshape(self.nodes) for k in range(_COMPONENTS)])

    def at_blocks(self, lattice: Array) -> Array:
        """Displacements of the blocks (blocks, 3) from those of the nodes."""
        return np.stack([self.weights @ lattice[k].ravel() for k in range(_COMPONENTS)], axis=1)


_LOWER: Final = (np.array([0, 1, 2, 1, 2, 2]), np.array([0, 0, 0, 1, 1, 2]))
"""Rows and columns of the lower triangle of a block's matrix."""


def _bilinear(blocks: int, nodes: int) -> Any:
    """Weights of nodes at block centres along one axis."""
    place = (np.arange(blocks) + 0.5) * nodes / blocks - 0.5
    if nodes == 1:
        return sparse.csr_array(np.ones((blocks, 1)))
    left = np.clip(np.floor(place).astype(int), 0, nodes - 2)
    part = place - left
    where = np.concatenate([np.arange(blocks)] * 2), np.concatenate([left, left + 1])
    out = sparse.csr_array((np.concatenate([1 - part, part]), where), shape=(blocks, nodes))
    out.eliminate_zeros()
    return out


def _differences(n: int, order: int) -> Any:
    """First or second differences of `n` values; no rows if there are too few."""
    if n <= order:
        return sparse.csr_array((0, n))
    taps = (-1.0, 1.0) if order == 1 else (1.0, -2.0, 1.0)
    return sparse.diags_array([np.full(n - order, tap) for tap in taps], offsets=range(order + 1), shape=(n - order, n))


def _bending(nodes: tuple[int, int]) -> Any:
    """Thin-plate energy of a lattice as a quadratic form."""
    rows, cols = nodes
    eye = sparse.eye_array
    across = sparse.kron(eye(rows), _differences(cols, 2))
    down = sparse.kron(_differences(rows, 2), eye(cols))
    twist = np.sqrt(2.0) * sparse.kron(_differences(rows, 1), _differences(cols, 1))
    stacked = sparse.vstack([across, down, twist])
    return stacked.T @ stacked


def _reach(weights: Any, order: Array) -> int:
    """Largest distance in the system between two nodes of one block."""
    together = sparse.coo_array(weights.T @ weights)
    return int(np.abs(order[together.coords[0]] - order[together.coords[1]]).max(initial=0))


def _pairs(weights: Any, order: Array, width: int, size: int) -> Any:
    """Sparse map from the blocks' six numbers to the flattened lower bands."""
    table = weights.tocoo()
    by_block: list[Array] = []
    block, node, value = table.coords[0], table.coords[1], table.data
    sort = np.argsort(block, kind="stable")
    block, node, value = block[sort], node[sort], value[sort]
    starts = np.searchsorted(block, np.arange(weights.shape[0] + 1))
    most = int(np.diff(starts).max(initial=0))
    for i in range(most):
        for j in range(most):
            has = np.diff(starts) > max(i, j)
            b = np.flatnonzero(has)
            p, q = starts[:-1][has] + i, starts[:-1][has] + j
            by_block.extend(_entries(b, order[node[p]], order[node[q]], value[p] * value[q], width))
    rows, cols, values = (np.concatenate([part[k] for part in by_block]) for k in range(3))
    shape = (width * size, 6 * weights.shape[0])
    return sparse.csr_array((values, (rows.astype(np.int64), cols.astype(np.int64))), shape=shape)


def _entries(block: Array, row: Array, col: Array, value: Array, width: int) -> list[Any]:
    """Band entries of one pair of nodes in many blocks, for all component pairs in the lower triangle."""
    six = {(0, 0): 0, (0, 1): 1, (0, 2): 2, (1, 1): 3, (1, 2): 4, (2, 2): 5}
    out = []
    for k in range(_COMPONENTS):
        for m in range(_COMPONENTS):
            i, j = _COMPONENTS * row + k, _COMPONENTS * col + m
            lower = i >= j
            number = six[(min(k, m), max(k, m))]
            out.append((j[lower] * width + (i - j)[lower], 6 * block[lower] + number, value[lower]))
    return out
