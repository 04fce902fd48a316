"""Representations come back from their arrays and description; damaged ones are named."""

import numpy as np
import pytest

from orograph.pipeline.errors import ForeignModel
from orograph.pipeline.implicit.payload import decode, encode_adaptive, encode_lattice, encode_sum
from orograph.pipeline.implicit.wavelets import Axis, synthesise

STEP_M = 0.05
LATTICE = np.random.default_rng(1).normal(scale=20, size=(6 + 3, 7 + 3))


def test_a_lattice_comes_back_to_half_a_step():
    field = decode(*encode_lattice(LATTICE, STEP_M))
    assert np.abs(field.coefficients - LATTICE).max() <= STEP_M / 2 + 1e-9
    assert (field.kind, field.parameters) == ("lattice", 90)


def test_a_hierarchy_stores_what_is_not_zero():
    axes = Axis(3, 1), Axis(2, 1)
    levels = np.zeros((axes[0].size, axes[1].size), np.int32)
    levels[0, 0], levels[4, 3] = 70, -9
    field = decode(*encode_adaptive(levels, axes, STEP_M))
    np.testing.assert_allclose(field.coefficients, synthesise(levels * STEP_M, *axes))
    assert field.parameters == 2


def test_a_sum_comes_back_as_both():
    one = encode_lattice(LATTICE, STEP_M)
    both = decode(*encode_sum(one, one))
    v = u = np.array([0.3])
    assert both.height(v, u) == pytest.approx(2 * decode(*one).height(v, u))


@pytest.mark.parametrize(
    "spec", [{}, {"kind": "other"}, {"kind": "lattice"}, {"kind": "lattice", "rows": "x", "cols": 1, "step_m": 1}]
)
def test_descriptions_that_do_not_fit_are_errors(spec):
    with pytest.raises(ForeignModel):
        decode({"code": np.zeros(1, np.uint8)}, spec)
