"""The hierarchy is orthonormal, and synthesis inverts analysis."""

import numpy as np
import pytest

from orograph.pipeline.implicit.splines import gram
from orograph.pipeline.implicit.wavelets import Axis, analyse, synthesise


@pytest.fixture(scope="module")
def axis():
    return Axis(3, 2)


def test_bands_cover_the_axis_once(axis):
    assert (axis.intervals, axis.size) == (12, 15)
    numbers = np.concatenate([np.arange(axis.size)[band] for band in axis.bands])
    assert numbers.tolist() == list(range(axis.size))
    assert axis.positions.shape == (axis.size,)
    assert ((axis.positions >= 0) & (axis.positions <= 1)).all()


def test_the_basis_is_orthonormal(axis):
    inner = axis.synthesis.T @ gram(axis.intervals) @ axis.synthesis
    np.testing.assert_allclose(inner.toarray(), np.eye(axis.size), atol=1e-6)


def test_synthesis_inverts_analysis(axis):
    other = Axis(2, 1)
    coefficients = np.random.default_rng(1).normal(size=(axis.size, other.size))
    back = synthesise(analyse(coefficients, axis, other), axis, other)
    np.testing.assert_allclose(back, coefficients, atol=1e-6)


def test_a_plane_has_no_details():
    fine = Axis(4, 2)
    plane = np.add.outer(np.arange(fine.size), 2.0 * np.arange(fine.size))
    hierarchy = analyse(plane, fine, fine)
    kept = fine.bands[0]
    details = hierarchy.copy()
    details[kept, kept] = 0.0
    assert np.abs(details).max() < 1e-5 * np.abs(hierarchy).max()
