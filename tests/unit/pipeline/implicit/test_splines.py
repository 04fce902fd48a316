"""Cubic B-splines along an axis: partition of unity, exact refinement, inner products and derivatives."""

import numpy as np
import pytest

from orograph.pipeline.implicit.splines import design, evaluate, gram, interval_of, on_grid, refinement, weights

RNG = np.random.default_rng(1)


def test_weights_sum_to_one_and_their_derivatives_to_zero():
    t = np.linspace(0, 1, 11)
    np.testing.assert_allclose(sum(weights(t)), 1.0)
    for order in (1, 2):
        np.testing.assert_allclose(sum(weights(t, order)), 0.0, atol=1e-12)


def test_the_upper_end_belongs_to_the_last_interval():
    index, t = interval_of(np.array([0.0, 1.5, 4.0]), 4)
    assert index.tolist() == [0, 1, 3]
    assert t.tolist() == [0.0, 0.5, 1.0]


def test_refinement_gives_the_same_curve():
    coefficients = RNG.normal(size=5 + 3)
    u = np.linspace(0, 5, 41)
    coarse = design(u, 5) @ coefficients
    fine = design(2 * u, 10) @ (refinement(5) @ coefficients)
    np.testing.assert_allclose(fine, coarse, atol=1e-12)


def test_inner_products_integrate_exactly():
    coefficients = RNG.normal(size=4 + 3)
    u = (np.arange(40_000) + 0.5) / 10_000
    for order in (0, 1, 2):
        curve = design(u, 4, order) @ coefficients
        assert coefficients @ (gram(4, order) @ coefficients) == pytest.approx(np.mean(curve**2) * 4, rel=1e-5)


def test_derivatives_are_those_of_the_values():
    lattice = RNG.normal(size=(6 + 3, 7 + 3))
    row, col, h = np.array([1.3, 4.9]), np.array([2.2, 6.1]), 1e-5
    ahead, behind = evaluate(lattice, row + h, col), evaluate(lattice, row - h, col)
    np.testing.assert_allclose(evaluate(lattice, row, col, (1, 0)), (ahead - behind) / (2 * h), atol=1e-6)
    grid = on_grid(lattice, row, col)
    np.testing.assert_allclose(np.diag(grid), evaluate(lattice, row, col), atol=1e-12)
