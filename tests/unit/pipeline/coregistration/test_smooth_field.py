"""The smooth field: bilinear weights, free planes, and the banded solve against a dense one."""

import numpy as np
import pytest

from orograph.pipeline.coregistration.smooth_field import BlockLattice
from orograph.pipeline.errors import CoregistrationError

STIFF = np.array([2.0, 3.0, 5.0])


@pytest.mark.parametrize(("blocks", "nodes"), [((4, 5), (4, 5)), ((7, 9), (4, 5)), ((3, 2), (1, 1)), ((1, 6), (1, 3))])
def test_a_plane_over_the_nodes_is_that_plane_over_the_blocks(blocks, nodes):
    lattice = BlockLattice.over(blocks, nodes)
    np.testing.assert_allclose(lattice.weights.sum(axis=1), 1.0)

    def plane(shape):
        v, u = ((np.arange(n) + 0.5) / n for n in shape)
        slope_v, slope_u = (0.0 if n == 1 else s for n, s in zip(nodes, (2.0, -3.0), strict=True))
        return 1.0 + slope_v * v[:, None] + slope_u * u[None, :]

    at_blocks = lattice.at_blocks(np.broadcast_to(plane(nodes), (3, *nodes)))
    np.testing.assert_allclose(at_blocks, np.repeat(plane(blocks).reshape(-1, 1), 3, axis=1), atol=1e-12)


def test_planes_cost_no_bending():
    lattice = BlockLattice.over((5, 6), (5, 6))
    rows, cols = np.mgrid[0:5, 0:6]
    plane = (1.0 + 0.5 * rows - 0.25 * cols).ravel()
    right = np.stack([plane, -plane, 2 * plane], axis=1)
    found = lattice.solve(np.broadcast_to(np.eye(3), (30, 3, 3)), right, 1e3 * STIFF)
    np.testing.assert_allclose(lattice.at_blocks(found), right, atol=1e-3)


def test_a_block_without_data_continues_its_neighbours():
    lattice = BlockLattice.over((5, 5), (5, 5))
    matrices = np.broadcast_to(np.eye(3), (25, 3, 3)).copy()
    right = np.full((25, 3), 4.0)
    matrices[12], right[12] = 0.0, 0.0
    np.testing.assert_allclose(lattice.solve(matrices, right, STIFF), 4.0, atol=1e-5)


def test_without_any_data_the_field_is_not_determined():
    lattice = BlockLattice.over((3, 3), (3, 3))
    with pytest.raises(CoregistrationError, match="do not determine"):
        lattice.solve(np.zeros((9, 3, 3)), np.zeros((9, 3)), np.zeros(3))


@pytest.mark.parametrize("nodes", [(7, 9), (4, 5), (1, 1), (1, 4)])
def test_the_banded_solve_is_the_dense_one(nodes):
    rng = np.random.default_rng(0)
    lattice = BlockLattice.over((7, 9), nodes)
    factors = rng.normal(size=(63, 3, 3))
    a, b = factors @ factors.transpose(0, 2, 1), rng.normal(size=(63, 3))
    stiffness = np.array([2.0, 3.0, 5.0])
    solution = lattice.solve(a, b, stiffness)
    weights = lattice.weights.toarray()
    size = weights.shape[1]
    dense = np.einsum("bp,bij,bq->piqj", weights, a, weights)
    grid = np.eye(size).reshape(*nodes, size)
    bends = (
        np.diff(grid, 2, axis=0),
        np.diff(grid, 2, axis=1),
        np.sqrt(2) * np.diff(np.diff(grid, axis=0), axis=1),
    )
    stacked = np.concatenate([bend.reshape(-1, size) for bend in bends])
    for k in range(3):
        dense[:, k, :, k] += stacked.T @ stacked * stiffness[k] * size / 63
    right = np.einsum("bp,bi->pi", weights, b)
    expected = np.linalg.solve(dense.reshape(3 * size, -1), right.ravel()).reshape(size, 3).T.reshape(3, *nodes)
    np.testing.assert_allclose(solution, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("stiffness", [1e3, 1e6, 1e8])
def test_a_stiff_prior_keeps_the_constant_that_the_blocks_give(stiffness):
    lattice = BlockLattice.over((5, 6), (5, 6))
    right = np.full((30, 3), 4.0)
    found = lattice.solve(np.broadcast_to(np.eye(3), (30, 3, 3)), right, stiffness * STIFF)
    np.testing.assert_allclose(found, 4.0, atol=1e-4)
