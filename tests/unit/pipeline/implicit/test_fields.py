"""Evaluation of lattices and sums of them, with exact derivatives."""

import numpy as np

from orograph.pipeline.implicit.fields import LatticeField, SumField

LATTICE = LatticeField(np.random.default_rng(1).normal(size=(5 + 3, 6 + 3)), "lattice", 72)
V, U = np.array([0.2, 0.55, 0.9]), np.array([0.1, 0.5, 0.8])


def test_derivatives_are_per_unit_of_the_extent():
    jet, h = LATTICE.jet(V, U), 1e-6
    np.testing.assert_allclose(jet.height, LATTICE.height(V, U))
    np.testing.assert_allclose(
        jet.dv, (LATTICE.height(V + h, U) - LATTICE.height(V - h, U)) / (2 * h), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        jet.du, (LATTICE.height(V, U + h) - LATTICE.height(V, U - h)) / (2 * h), rtol=1e-4, atol=1e-5
    )


def test_grids_and_pixels_are_the_heights_of_their_points():
    grid = LATTICE.grid(V, U)
    np.testing.assert_allclose(np.diag(grid), LATTICE.height(V, U), atol=1e-12)
    pixels = LATTICE.pixels((4, 5))
    centres = LATTICE.grid((np.arange(4) + 0.5) / 4, (np.arange(5) + 0.5) / 5)
    np.testing.assert_allclose(pixels, centres, atol=1e-9)


def test_a_sum_adds_heights_derivatives_and_parameters():
    both = SumField(LATTICE, LATTICE)
    assert (both.kind, both.parameters, LATTICE.intervals) == ("lattice+residual", 144, (5, 6))
    np.testing.assert_allclose(both.height(V, U), 2 * LATTICE.height(V, U))
    np.testing.assert_allclose(both.jet(V, U).dvu, 2 * LATTICE.jet(V, U).dvu)
    np.testing.assert_allclose(both.grid(V, U), 2 * LATTICE.grid(V, U))
