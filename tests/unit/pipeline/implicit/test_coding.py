"""Codes of lattices: what was packed comes back; damaged codes are typed errors."""

import numpy as np
import pytest

from orograph.pipeline.errors import ModelError
from orograph.pipeline.implicit.coding import (
    pack,
    pack_hierarchy,
    pack_lattice,
    sparsify,
    unpack,
    unpack_hierarchy,
    unpack_lattice,
)
from orograph.pipeline.implicit.wavelets import Axis


def test_integers_of_any_size_come_back():
    values = np.array([0, 1, -1, 126, 127, -128, 40_000, -2_000_000], np.int32)
    np.testing.assert_array_equal(unpack(pack(values), values.size), values)
    assert unpack(pack(values[:0]), 0).size == 0


def test_lattices_and_hierarchies_come_back():
    rows, cols = Axis(2, 2), Axis(3, 1)
    levels = np.random.default_rng(0).integers(-500, 500, (rows.size, cols.size)).astype(np.int32)
    np.testing.assert_array_equal(unpack_lattice(pack_lattice(levels), levels.shape), levels)
    np.testing.assert_array_equal(unpack_hierarchy(pack_hierarchy(levels, rows, cols), rows, cols), levels)


@pytest.mark.parametrize("count", [3, 9])
def test_another_number_of_values_is_a_typed_error(count):
    with pytest.raises(ModelError):
        unpack(pack(np.arange(8, dtype=np.int32)), count)


def test_the_largest_coefficients_are_kept_to_half_a_step():
    values = np.random.default_rng(1).normal(0, 10, (12, 13))
    levels, step = sparsify(values, 20)
    assert np.count_nonzero(levels) == 20
    kept = levels != 0
    np.testing.assert_allclose(levels[kept] * step, values[kept], atol=step / 2)
    assert np.abs(values[kept]).min() >= np.abs(values[~kept]).max()
